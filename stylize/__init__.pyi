from .composite import compose as compose
from .feedforward.painting import instant as instant
from .optimise import StepEvent as StepEvent
from .optimise import stylize as stylize
from .presets import Settings as Settings
from .region import StyledRegion as StyledRegion
