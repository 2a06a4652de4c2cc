"""What a study compares: ways by name, and pairs of pictures brought to one size with their region."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from commands.foreground import ForegroundOptions, find_foreground, region_alpha
from commands.options import Region
from commands.run import Run
from commands.seeing import look
from interp.errors import MaskError, UsageError, unknown_name
from stylize.preset_file import PresetFile, read_preset
from stylize.presets import PRESETS
from stylize.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    import numpy as np

    from interp.network.vgg import Vgg
    from interp.pictures.images import Picture
    from interp.statistics.layers import LayerChoice
    from segment.segmentation import Segmentation
    from stylize.contest import Contest, Contestant, Own


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare on, with what all ways share and the ways themselves."""

    name: str
    photo: "Picture"
    painting: "Picture"
    contest: "Contest"
    contestants: "list[Contestant]"


def ways_named(names: Sequence[str]) -> dict[str, Recipe | PresetFile]:
    """Recipes, presets and preset files by name, before any heavy library is loaded.

    Raises:
        UsageError: If a name is unknown or given twice.
    """
    if len(set(names)) < len(names):
        raise UsageError(f"--presets {','.join(names)} names a preset twice; expected each once.")
    found: dict[str, Recipe | PresetFile] = {}
    for name in names:
        if name in RECIPES:
            found[name] = RECIPES[name]
        elif name in PRESETS:
            found[name] = PresetFile(PRESETS[name])
        elif name.endswith(".toml"):
            found[name] = read_preset(name)
        else:
            raise unknown_name("preset", name, [*PRESETS, *RECIPES])
    return found


def prepare(
    run: Run,
    vgg: "Vgg",
    photo: "Picture",
    painting: "Picture",
    ways: dict[str, Recipe | PresetFile],
    region: Region,
    foreground: ForegroundOptions,
    size_px: int,
    *,
    iterations: int | None = None,
    jitters: int = 1,
) -> Pair:
    """Find a pair's region and bring everything to the working size."""
    from interp.pictures.sizes import resize_hw01, resize_nchw01, working_size_hw_px
    from interp.statistics.layers import fixed_choice
    from stylize.contest import Contest

    segmentation = None
    if region is not Region.ALL:
        findings = look(run, vgg, photo) if foreground.needs_saliency else None
        segmentation = find_foreground(run, photo, foreground, findings)
    size = working_size_hw_px(photo.size_hw_px, size_px)
    alpha = resize_hw01(region_alpha(region, photo, segmentation), size)
    small = resize_nchw01(photo.image_nchw01, size).to(run.device())
    large = painting.image_nchw01.to(run.device())
    contest = Contest(
        vgg, small, large, alpha, iterations, jitters, run.options.seed,
        cut=_cutter(run, segmentation, size, region) if segmentation else None,
    )  # fmt: skip
    contestants: list[Contestant] = []
    for name, way in ways.items():
        if isinstance(way, Recipe):
            contestants.append(way)
            continue
        contestants.append(own_way(name, way, fixed_choice()))
    return Pair(f"{photo.name} after {painting.name}", photo, painting, contest, contestants)


def own_way(name: str, file: PresetFile, choice: "LayerChoice") -> "Own":
    """Our own loop as a contestant: a preset's layers where it names them, else those given."""
    from stylize.contest import Own

    return Own(name, file.settings, with_layers_of(file, choice), 1.0 if file.strength is None else file.strength)


def with_layers_of(file: PresetFile, choice: "LayerChoice") -> "LayerChoice":
    """A choice of layers, overridden by those that a preset file names, with its weights."""
    if file.style_layers is not None:
        shares = ", ".join(f"{name} {weight:.0%}" for name, weight in file.style_layers.items())
        sentences = (*choice.sentences, f"The preset sets the style layers: {shares}.")
        choice = replace(choice, style_weights=file.style_layers, mode="given", sentences=sentences)
    if file.content_layer is not None:
        sentences = (*choice.sentences, f"The preset sets the content layer: {file.content_layer}.")
        choice = replace(choice, content_layer=file.content_layer, mode="given", sentences=sentences)
    return choice


def box_of(mask_hw: "np.ndarray", size_hw_px: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) around a foreground, in pixels of another size.

    Raises:
        MaskError: If nothing of it is left at that size.
    """
    import numpy as np

    from interp.pictures.sizes import resize_hw01

    rows, columns = np.nonzero(resize_hw01(mask_hw.astype(np.float32), size_hw_px) >= 0.5)
    if not len(rows):
        raise MaskError(f"The foreground vanishes at {size_hw_px[1]}x{size_hw_px[0]} px. Use a larger --size.")
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top


def grabcut_within(run: Run, box_xywh_px: tuple[int, int, int, int], rgb_hwc_u8: "np.ndarray") -> "np.ndarray":
    """GrabCut on a result, inside the box that the foreground has in the photo; the foreground's alpha."""
    import numpy as np

    from segment import segment

    try:
        return segment(rgb_hwc_u8, box_xywh_px=box_xywh_px, seed=run.options.seed).alpha_hw01
    except MaskError as error:
        run.warn(f"GrabCut found nothing usable in a result ({error}); the whole box was taken.")
        x, y, width, height = box_xywh_px
        alpha = np.zeros(rgb_hwc_u8.shape[:2], np.float32)
        alpha[y : y + height, x : x + width] = 1
        return alpha


def _cutter(
    run: Run, segmentation: "Segmentation", size_hw_px: tuple[int, int], region: Region
) -> "Callable[[np.ndarray], np.ndarray]":
    """What a recipe that cuts its result would have taken for the region."""
    from interp.pictures.images import quantise_hw01

    box = box_of(segmentation.mask_hw, size_hw_px)

    def cut(result_hwc_u8: "np.ndarray") -> "np.ndarray":
        alpha = grabcut_within(run, box, result_hwc_u8)
        return alpha if region is Region.FOREGROUND else quantise_hw01(1 - alpha)

    return cut
