"""A run kept on the way, to be gone on with to the same bytes: tensors and JSON in one safetensors file."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.outputs import write_atomically
from interp.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from stylize.optimise import Position, Step, StepEvent
    from stylize.region import StyledRegion
    from stylize.ways import Way

EVERY, EVERY_S = 25, 60.0  # evaluations, or seconds, between two writes
THREADS = "number of threads"


@dataclass(frozen=True)
class Kept:
    """A run on the way: where it is, the figures of its steps, pictures shown of them, and those of a moving one."""

    position: "Position | None"
    steps: "list[Step]"
    snapshots: "list[tuple[str, np.ndarray]]"
    frames: "list[np.ndarray]" = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A file that a run is kept in.

    Attributes:
        path: The file.
        resumes: Whether it is there, to be gone on with.
    """

    path: Path
    resumes: bool

    @property
    def exists(self) -> bool:
        """Whether it is there now."""
        return self.path.is_file()

    def due(self, event: "StepEvent", saved_s: float) -> bool:
        """Whether to write after an evaluation, `saved_s` the last time; not after the last, which ends the run."""
        late = event.elapsed_s - saved_s >= EVERY_S
        return (event.step % EVERY == 0 or late) and event.step < event.total

    def check(self) -> None:
        """Refuse a file that is none of ours, without torch.

        Raises:
            InputError: If it is none.
        """
        with self._opened("np") as file:
            json.loads(file.metadata()["run"])

    def save(self, kept: Kept, made_with: dict[str, str]) -> None:
        """Write the file, at once or not at all."""
        import torch
        from safetensors.torch import save

        position = kept.position
        assert position is not None
        told = {
            "made_with": made_with,
            "steps": [asdict(step) for step in kept.steps],
            "snapshots": [name for name, _ in kept.snapshots],
            "frames": len(kept.frames),
            "position": {name: getattr(position, name) for name in ("step", "scale", "region", "losses")},
        }
        tensors = {f"descent {name}": value for name, value in position.descent.items()}
        tensors |= {f"snapshot {number}": torch.from_numpy(each) for number, (_, each) in enumerate(kept.snapshots)}
        tensors |= {f"frame {number}": torch.from_numpy(each) for number, each in enumerate(kept.frames)}
        tensors["restyled"] = position.restyled_rchw
        data = save(
            {
                name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
                for name, value in tensors.items()
            },
            {"run": json.dumps(told)},
        )
        write_atomically(self.path, data)

    def load(self, made_with: dict[str, str]) -> Kept:
        """Read the file.

        Raises:
            InputError: If it cannot be read, or is none of ours.
            UsageError: If it was written by another run; what differs is named.
        """
        told, tensors = self._read()
        if differing := [name for name, value in made_with.items() if told["made_with"].get(name) != value]:
            named = [_told(name, told["made_with"].get(name), made_with[name]) for name in differing]
            raise UsageError(
                f"{str(self.path)!r} was written with another {', another '.join(named)}; expected the same. Give "
                "those, or begin anew with another --checkpoint."
            )
        from stylize.optimise import Position, Step

        steps = [Step(**{**step, "size_hw_px": tuple(step["size_hw_px"])}) for step in told["steps"]]
        descent = {
            name.removeprefix("descent "): value for name, value in tensors.items() if name.startswith("descent ")
        }
        pictures = [(name, tensors[f"snapshot {number}"].numpy()) for number, name in enumerate(told["snapshots"])]
        frames = [tensors[f"frame {number}"].numpy() for number in range(told["frames"])]
        position = Position(**told["position"], restyled_rchw=tensors["restyled"], descent=descent)
        return Kept(position, steps, pictures, frames)

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        with self._opened("pt") as file:
            told = json.loads(file.metadata()["run"])
            # Copies: in the file's own memory they lie anywhere, and sums of BLAS depend on where.
            return told, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 -- no mapping

    @contextlib.contextmanager
    def _opened(self, framework: str) -> Iterator[Any]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework) as file:
                yield file
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{str(self.path)!r} is no checkpoint that can be gone on with ({error}); expected what --checkpoint "
                "wrote."
            ) from error


def _told(name: str, then: str | None, now: str) -> str:
    """What differs, by name; of a way the settings, and of what can be counted how many."""
    if name == THREADS:
        return f"{name} ({then}, now {now})"
    if name != "way" or then is None:
        return name
    before, after = json.loads(then), json.loads(now)
    settings = [key for key in after if before.get(key) != after[key]]
    return f"way ({', '.join(settings)})"


def made_with(vgg: "Vgg", photo: "Picture", regions: "list[StyledRegion]", way: "Way") -> dict[str, str]:
    """What a run's bytes depend on, by name; pictures by the hash of their pixels."""
    import torch

    found = {
        "photo": _hash(photo.original.rgb_hwc.tobytes()),
        "network": vgg.info.sha256,
        "way": json.dumps(asdict(way), sort_keys=True, default=str),
        THREADS: str(torch.get_num_threads()),  # which share sums out
    }
    for region in regions:
        masks = [b"" if each is None else each.tobytes() for each in (region.alpha_hw01, region.held_hw01)]
        part = region.painting_alpha_hw01
        painting = [region.painting_nchw01.cpu().numpy().tobytes(), b"" if part is None else part.tobytes()]
        found |= {
            f"mask of the {region.name}": _hash(*masks),
            f"painting for the {region.name}": _hash(*painting),
            f"strength of the {region.name}": f"{region.strength:g}",
            f"choice of colours for the {region.name}": region.colour,
            f"recolouring of the {region.name}": "its own" if region.recolouring is None else region.recolouring.told,
            f"choice of layers for the {region.name}": repr((region.choice.style_weights, region.choice.content_layer)),
        }
    return found


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
