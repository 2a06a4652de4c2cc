"""Ways to restyle: what decides a result, beside photo, painting and region. Ours is one, each recipe another.

A way is a table of constants that loads no torch, so that a name can be checked before anything heavy is; what it
computes, it imports when asked. `stylize` asks of it:

    scales(photo_hw_px)   sizes and evaluations, coarse to fine
    canvas(…)             a region at one scale, with its start and its loss
    descent()             optimiser and value range
    isolates              whether a region is painted from itself alone; else everything is, and the region pasted

and those who run it by name: `name`, `title`; `size_px`, `iterations`, `style_scale` and `start`; `strength` where the
user says nothing, if any; `choose(choice)` for the layers it sets itself; `shows(step, total)`, whether a picture is
shown, which changes none of them; `cut_result`, whether the region is cut out of the *result*; `sources` of its
constants, none where they are open; `tile_px`; `limited(…)`, `in_tiles(…)`, `uncut()` and `resolved(device)`: the same,
otherwise.
"""

from collections.abc import Sequence

from interp.errors import UsageError, unknown_name
from stylize.preset_file import read_preset
from stylize.presets import PRESETS, Preset
from stylize.recipes import RECIPES, Recipe

Way = Preset | Recipe


def way_named(name: str) -> Way:
    """Look up a recipe, a preset, or a preset file.

    Raises:
        UsageError: If there is none of that name.
        InputError: If a file cannot be read.
    """
    return RECIPES[name] if name in RECIPES else preset_named(name, [*PRESETS, *RECIPES])


def preset_named(name: str, known: Sequence[str] = tuple(PRESETS)) -> Preset:
    """Look up a preset of our own way, or a preset file; see `way_named`."""
    if name.endswith(".toml"):
        return read_preset(name)
    if name not in PRESETS:
        raise unknown_name("preset", name, known)
    return PRESETS[name]


def ways_named(names: Sequence[str]) -> list[Way]:
    """Look up several; see `way_named`.

    Raises:
        UsageError: If one is named twice.
    """
    if len(set(names)) < len(names):
        raise UsageError(f"--presets {','.join(names)} names a preset twice; expected each once.")
    return [way_named(name) for name in names]
