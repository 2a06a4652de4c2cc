"""Paint the bundled sample painting: a night landscape in oil whose stroke width is known.

A scene of our own (colours and a flow field) is written down as formulas; strokes follow the flow and take
their colour from the scene, layer upon layer, coarse to fine. Sources of the method:
    Haeberli, "Paint by numbers: abstract image representations", SIGGRAPH 1990: a painting is an ordered list
        of strokes that take colour and direction from a scene, jittered so that neighbours differ.
    Hertzmann, "Painterly rendering with curved brush strokes of multiple sizes", SIGGRAPH 1998: long curved
        strokes that end where the scene's colour changes; layers from a large to a small brush, the last only
        where the canvas still differs from the scene, a stroke at the worst spot of each cell of a grid.
    Hertzmann, "Fast paint texture", NPAR 2002: every stroke leaves a height; lit at the end, it is relief.
    Cabral and Leedom, "Imaging vector fields using line integral convolution", SIGGRAPH 1993: noise averaged
        along the flow; here it makes the bands of colour that neighbouring strokes of a swirl share.
The numbers of composition and brush are set by eye. A point of the picture is a complex number x + iy, a
direction one of length 1.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

SIZE_PX = (720, 576)
STROKE_WIDTH_PX = 11.0  # the medium brush, at the saved size
SEED = 5
OVERSAMPLING = 2  # strokes are laid on a canvas this many times larger, then averaged down
TRACE_POINTS = 9  # points of a stroke on each side of its seed, itself included
MAX_TURN = 1.1  # radians a stroke may turn on each side of its seed
MAX_COLOUR_CHANGE = 0.36  # Euclidean distance in sRGB [0, 1] at which a stroke ends
MIN_REACH = 0.9  # in the stroke's width: how far it goes on each side whatever its turn and colour
MIN_ERROR = 0.40  # Euclidean distance in sRGB [0, 1], canvas to scene, above which it is corrected


class Layer(NamedTuple):
    """One pass over the canvas; width and length in medium stroke widths."""

    width: float  # mean; single strokes differ by up to a fifth
    length: float  # at most
    jitter: float  # how far the colours of neighbours differ
    coverage: float = 0  # mean number of full-length strokes over a pixel; 0: only correct errors


LAYERS = (
    Layer(width=2.0, length=9, jitter=0.7, coverage=8.0),
    Layer(width=1.0, length=8, jitter=1.0, coverage=3.5),
    Layer(width=1.0, length=9, jitter=1.8, coverage=1.4),
    *3 * (Layer(width=0.6, length=5, jitter=0.8),),
)

# The composition. x is a share of the width; y and radii are shares of the height.
# Moon and stars: x, y, radius of the disc, radius of the halo.
LIGHTS = ((0.225, 0.225, 0.058, 0.200), (0.515, 0.095, 0.014, 0.080), (0.905, 0.135, 0.022, 0.105))
LIGHTS += ((0.055, 0.500, 0.010, 0.060), (0.955, 0.520, 0.013, 0.065), (0.715, 0.070, 0.010, 0.050))
MOON_X = LIGHTS[0][0]
# Eddies of the wind: x, y, radius; its sign tells the sense of rotation.
EDDIES = ((0.635, 0.315, 0.145), (0.835, 0.430, -0.095), (0.360, 0.535, 0.075))
LAMPS = (0.445, 0.535, 0.685, 0.875)  # x, on the shore

# Palettes: sRGB, dark to light or outside to inside.
GROUND = "2c2c50"  # the primed canvas
SKY = "0a0e32 142266 1e449c 2a76ba 5cb2c2 bad8be f6eab0"
GLOW = "2c70b4 60b4b2 c6d478 fad442 f49822 ffdc54 fff8d2"
HILLS = "141442 2a2c72 4a4a9c 7c6ab2 b082aa"
LAKE = "081434 0e3258 165c7c 4096a0 96ccbe"
FIELD = "181c24 42282a 94421e ce8c28 8a8a38 2e6a4c 1a423c"
LAMPLIGHT = "b4541e f6a628 ffe278"


def ramp(palette: str, t: NDArray) -> NDArray:
    """Interpolate a palette at t in [0, 1]; returns [..., 3] sRGB in [0, 1]."""
    channels = np.array([list(bytes.fromhex(colour)) for colour in palette.split()]).T / 255
    return np.stack([np.interp(t, np.linspace(0, 1, len(c)), c) for c in channels], axis=-1)


def smoothstep(x: NDArray) -> NDArray:
    """Rise smoothly from 0 at x <= 0 to 1 at x >= 1."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def sample(field: NDArray, z: NDArray[np.complex128]) -> NDArray:
    """Nearest values of a [H, W, ...] field at points in px, clamped to the picture."""
    x, y = np.clip(z.real, 0, field.shape[1] - 1), np.clip(z.imag, 0, field.shape[0] - 1)
    return field[y.astype(np.intp), x.astype(np.intp)]


class Scene(NamedTuple):
    """What the strokes look up, at the saved size."""

    colour_hw3: NDArray  # sRGB in [0, 1]
    flow_hw: NDArray  # direction
    region_hw: NDArray  # 0 sky, 1 hills, 2 lake, 3 field: no stroke crosses from one to another


def compose(width_px: int, height_px: int, rng: np.random.Generator) -> Scene:
    """Compose the picture: a swirling sky over hills, a lake with lamps on its shore, a ploughed field."""
    aspect = width_px / height_px
    y, x = np.mgrid[0:height_px, 0:width_px] / height_px
    across = x / aspect
    hills = 0.680 + 0.038 * np.sin(5.2 * across + 0.4) + 0.016 * np.sin(13 * across)
    shore = 0.745 + 0.006 * np.sin(7 * across)
    bank = 0.885 + 0.030 * np.sin(3.4 * across + 3.9)
    region = (y > hills).astype(np.uint8) + (y > shore) + (y > bank)

    contour = np.arctan(np.gradient(hills[0]) * height_px)
    folds = contour + 0.5 * np.sin(9 * x + 14 * (y - hills)) * smoothstep((y - hills) / 0.06)
    ripples = 0.16 * np.sin(11 * x + 40 * y)
    furrows = np.arctan2(0.75 * (y - 0.76), x - 0.62 * aspect + 0.10 * np.sin(14 * y))
    flow = np.exp(1j * np.choose(region, [sky_angle(x, y, aspect), folds, ripples, furrows]))

    band = streaks(flow, 0.011 * height_px, 0.005 * height_px, rng)
    foot = smoothstep((y - shore + 0.05) / 0.03)
    moonlit = np.exp(-(((across - MOON_X) / 0.25) ** 2))
    land = [
        ramp(HILLS, 0.42 + 0.20 * band + 3.0 * (hills + 0.02 - y) - 0.4 * foot),
        ramp(LAKE, 0.30 + 0.20 * band + 0.15 * moonlit),
        ramp(FIELD, 0.46 + 0.24 * band + 0.08 * moonlit),
    ]
    for below in land[:2]:
        light_lamps(below, x, y - shore, aspect, band)
    colour = np.choose(region[..., None], [sky_colour(x, y, aspect, band), *land])
    return Scene(colour, flow, region)


def sky_angle(x: NDArray, y: NDArray, aspect: float) -> NDArray:
    """A wind that waves, drawn into the eddies and closed around moon and stars; radians."""
    wind = 0.5 * np.sin(2 * np.pi * (0.9 * x + 0.7 * y)) + 0.25 * np.sin(2 * np.pi * (2.1 * x - 1.3 * y))
    flow = np.exp(1j * wind)
    for cx, cy, radius in EDDIES:
        dx, dy = x - cx * aspect, y - cy
        spiral = np.exp(1j * (np.arctan2(dy, dx) + np.sign(radius) * np.deg2rad(102)))  # 90°: a circle
        flow += 5 * np.exp(-((np.hypot(dx, dy) / radius) ** 2)) * spiral
    for cx, cy, _, halo in LIGHTS:
        dx, dy = x - cx * aspect, y - cy
        flow += 14 * smoothstep(1.6 - 1.3 * np.hypot(dx, dy) / halo) * np.exp(1j * np.arctan2(dx, -dy))
    return np.angle(flow)


def streaks(flow: NDArray, grain_px: float, step_px: float, rng: np.random.Generator) -> NDArray:
    """Noise averaged along the flow (line integral convolution): [H, W], zero mean, unit deviation."""
    noise = cv2.GaussianBlur(rng.standard_normal(flow.shape), (0, 0), grain_px)
    y, x = np.indices(flow.shape)
    total = noise.copy()
    for direction in (-step_px, step_px):
        z = np.add(x, 1j * y)
        for _ in range(26):
            z += direction * sample(flow, z)
            total += sample(noise, z)
    return (total - total.mean()) / total.std()


def sky_colour(x: NDArray, y: NDArray, aspect: float, band: NDArray) -> NDArray:
    """Night blue in bands, lighter in the eddies and towards the hills, with ringed halos: [H, W, 3]."""
    tone = 0.22 + 0.29 * y + 0.18 * band
    for cx, cy, radius in EDDIES:
        tone += 0.20 * np.exp(-((np.hypot(x - cx * aspect, y - cy) / radius) ** 2))
    colour = ramp(SKY, tone)
    for cx, cy, disc, halo in LIGHTS:
        r = np.hypot(x - cx * aspect, y - cy) * (1 + 0.05 * band)
        glow = ramp(GLOW, np.where(r < disc, 1, 0.80 * (halo - r) / (halo - disc) + 0.10 * band))
        rings = 1 - 0.35 * smoothstep(r / halo) * (1 + np.cos(2 * np.pi * r / 0.055)) / 2
        colour += (rings * smoothstep(2.0 * (1.12 - r / halo)))[..., None] * (glow - colour)
    return colour


def light_lamps(colour: NDArray, x: NDArray, depth: NDArray, aspect: float, band: NDArray) -> None:
    """Light lamps above the shore (depth 0); mirror them and the moon below it as dashes. In place."""
    for cx, spread in ((MOON_X, 0.050), *((cx, 0.016) for cx in LAMPS)):
        off = np.abs(x - cx * aspect + 0.010 * np.sin(90 * depth)) / (spread * (1 + 7 * depth))
        dashes = np.cos(2 * np.pi * depth / 0.042 - 1.2 - 9 * cx) + 0.5 * band
        mirrored = (depth > 0) * smoothstep(1.5 - off) * smoothstep(0.7 + dashes - 4 * depth)
        colour += mirrored[..., None] * (ramp(LAMPLIGHT, 0.85 - 5 * depth + 0.15 * band) - colour)
    for cx in LAMPS:
        r = np.hypot(x - cx * aspect, depth + 0.022)
        colour += smoothstep(2.0 - r / 0.011)[..., None] * (ramp(LAMPLIGHT, 1.5 - r / 0.012) - colour)


def trace(scene: Scene, seeds: NDArray, length_px: float, reach_px: float) -> list[NDArray]:
    """Follow the flow both ways from every seed; returns the points of each stroke."""
    halves = []
    step = length_px / 2 / (TRACE_POINTS - 1)
    near = step * np.arange(TRACE_POINTS) < reach_px
    for direction in (-step, step):
        path = seeds[:, None].repeat(TRACE_POINTS, axis=1)
        for k in range(1, TRACE_POINTS):
            path[:, k] = path[:, k - 1] + direction * sample(scene.flow_hw, path[:, k - 1])
        colour, flow, region = (sample(field, path) for field in scene)
        turn = np.abs(np.angle(flow / flow[:, [0, *range(TRACE_POINTS - 1)]])).cumsum(axis=1)
        change = np.linalg.norm(colour - colour[:, :1], axis=-1)
        goes_on = (region == region[:, :1]) & (near | ((turn < MAX_TURN) & (change < MAX_COLOUR_CHANGE)))
        counts = np.logical_and.accumulate(goes_on, axis=1).sum(axis=1)
        halves.append([points[:count] for points, count in zip(path, counts, strict=True)])
    return [np.concatenate([back[:0:-1], ahead]) for back, ahead in zip(*halves, strict=True)]


def load_brushes(colour: NDArray, jitter: float, rng: np.random.Generator) -> NDArray:
    """Two colours per stroke, [N, 2, 3], from the scene's [N, 3]: each mixed a little differently."""
    light = rng.normal(0, 0.070 * jitter, (len(colour), 2, 1))
    hue = rng.normal(0, 0.030 * jitter, (len(colour), 2, 3))
    return np.clip(colour[:, None] * (1 + 1.6 * light) + 0.5 * light + hue, 0, 1).astype(np.float32)


def brush_marks(count: int, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """Paint left by a bristle brush: [count, 3, across, along] with tone, cover and mix.

    Tone is the lightness of each bristle's trace, zero mean; cover is in [0, 1], ragged at both ends where
    bristles touch late and leave early; mix in [0, 1] is the share of the brush's second colour.
    """
    bristles = (shape[0], 1)
    u, v = np.linspace(0, 1, shape[1])[None], np.linspace(-1, 1, shape[0])[:, None]
    marks = np.empty((count, 3, *shape), np.float32)
    for tone, cover, mix in marks:
        trail = cv2.GaussianBlur(rng.standard_normal(bristles), (1, 7), 1.1)
        grain = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), sigmaX=shape[1] / 14, sigmaY=0.8)
        side = cv2.GaussianBlur(rng.standard_normal(bristles), (0, 0), sigmaX=1, sigmaY=shape[0] / 5)
        tone[:] = trail / trail.std() + 0.8 * grain / grain.std()
        touch = 0.06 * rng.random(bristles) + 0.06 * v**2
        leave = 1 - 0.22 * rng.random(bristles) - 0.12 * v**2
        worn = 2.5 - 0.45 * tone - 2.1 * u**3  # thin paint: traces break up towards the end
        cover[:] = smoothstep((u - touch) / 0.03) * smoothstep((leave - u) / 0.08) * np.clip(worn, 0, 1)
        mix[:] = smoothstep(0.5 + 0.25 * side / side.std() + 0.1 * grain / grain.std())
    return marks


class Canvas:
    """Paint and its thickness, oversampled; positions and widths are given in px of the saved size."""

    def __init__(self, width_px: int, height_px: int):
        self.size_px = (width_px, height_px)
        self.relief = np.zeros((OVERSAMPLING * height_px, OVERSAMPLING * width_px), np.float32)
        self.rgb = ramp(GROUND, self.relief).astype(np.float32)

    def lay_stroke(self, path: NDArray, width: float, colours: NDArray, mark: NDArray, load: float) -> None:
        """Lay one stroke along the points of a path; load is how thick the paint is."""
        path, width = OVERSAMPLING * path, OVERSAMPLING * width
        length = np.abs(np.diff(path)).sum()
        u, v = np.linspace(0, 1, int(length / 0.6) + 4), np.linspace(-1, 1, int(width / 0.7) + 4)
        centre = np.interp(u, np.linspace(0, 1, len(path)), path)
        centre = uniform_filter1d(centre, max(1, len(u) // len(path)), mode="nearest")  # round the corners off
        half = 0.5 * width * np.minimum(1, 0.55 + 4 * u) * np.minimum(1, 0.35 + 2.2 * (1 - u))
        z = centre + v[:, None] * half * np.exp(1j * (np.angle(np.gradient(centre)) + np.pi / 2))
        height, width = self.relief.shape
        inside = (z.real >= 0) & (z.real < width) & (z.imag >= 0) & (z.imag < height)
        x, y = z.real[inside].astype(np.intp), z.imag[inside].astype(np.intp)

        rows = np.linspace(0, mark.shape[1] - 1, len(v)).astype(np.intp)[:, None]
        columns = np.linspace(0, mark.shape[2] - 1, len(u)).astype(np.intp)
        tone, cover, mix = mark[:, rows, columns][:, inside][..., None]
        paint_rgb = (colours[0] + mix * (colours[1] - colours[0])) * (1 + 0.07 * tone) + 0.006 * tone
        self.rgb[y, x] += cover * (paint_rgb - self.rgb[y, x])
        rim = np.broadcast_to(v[:, None] ** 6, inside.shape)[inside]  # paint pushed aside by the brush
        thickness = load * (1 + 0.24 * tone[:, 0] + 0.8 * rim)
        self.relief[y, x] += cover[:, 0] * (thickness - 0.65 * self.relief[y, x])

    def worst_spots(self, scene: Scene, cell_px: int) -> NDArray:
        """The worst point of each grid cell that is bare or off by `MIN_ERROR`."""
        seen = cv2.resize(self.rgb, self.size_px, interpolation=cv2.INTER_AREA)
        bare = cv2.resize((self.relief == 0).astype(np.float32), self.size_px, interpolation=cv2.INTER_AREA)
        error = np.linalg.norm(seen - scene.colour_hw3, axis=-1)
        error = cv2.GaussianBlur(error, (0, 0), cell_px / 3) + bare
        error = np.pad(error, [(0, -side % cell_px) for side in error.shape])
        cells = error.reshape(error.shape[0] // cell_px, cell_px, -1, cell_px).swapaxes(1, 2)
        cells = cells.reshape(*cells.shape[:2], cell_px**2)
        row, column = np.nonzero(cells.max(axis=-1) > MIN_ERROR)
        dy, dx = np.divmod(cells[row, column].argmax(axis=-1), cell_px)
        return column * cell_px + dx + 0.5 + 1j * (row * cell_px + dy + 0.5)

    def lit(self) -> NDArray:
        """The canvas lit from the upper left, averaged down: [H, W, 3] sRGB in [0, 1]."""
        height = cv2.GaussianBlur(self.relief, (0, 0), 0.9)
        slope = cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(height, cv2.CV_32F, 0, 1)
        shade = np.tanh(slope / 8)[..., None]
        lit = np.clip(self.rgb * (1 + 0.42 * shade) + 0.05 * np.maximum(shade, 0) ** 2, 0, 1)
        return cv2.resize(lit, self.size_px, interpolation=cv2.INTER_AREA)


def paint(width_px: int, height_px: int, stroke_width_px: float, seed: int) -> NDArray[np.uint8]:
    """Paint the night landscape.

    Args:
        width_px: width of the picture.
        height_px: height of the picture.
        stroke_width_px: width of the medium brush, in px of that picture; the under-painting uses 2 and the
            corrections 0.6 times this width (see `LAYERS`). The composition does not depend on it.
        seed: the same seed gives the same picture.

    Returns:
        rgb_hwc_u8: [height_px, width_px, 3] uint8, sRGB.
    """
    rng = np.random.default_rng(seed)
    return paint_scene(compose(width_px, height_px, rng), stroke_width_px, rng)


def paint_scene(scene: Scene, stroke_width_px: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint any scene; see `paint`."""
    height_px, width_px = scene.flow_hw.shape
    canvas = Canvas(width_px, height_px)
    marks = brush_marks(32, (22, 160), rng)
    for layer in LAYERS:
        width, length = layer.width * stroke_width_px, layer.length * stroke_width_px
        if layer.coverage:
            count = int(layer.coverage * width_px * height_px / (width * length))
            seeds = width_px * rng.random(count) + 1j * height_px * rng.random(count)
        else:
            seeds = rng.permutation(canvas.worst_spots(scene, max(1, round(width))))
        paths = trace(scene, seeds, length, MIN_REACH * width)
        widths = width * rng.uniform(0.8, 1.2, len(seeds))
        brushes = load_brushes(sample(scene.colour_hw3, seeds), layer.jitter, rng)
        picked = marks[rng.integers(0, len(marks), len(seeds))]
        for path, width, colours, mark in zip(paths, widths, brushes, picked, strict=True):
            if len(path) > 1:
                canvas.lay_stroke(path, width, colours, mark, load=layer.width**0.5)
    return np.round(255 * canvas.lit()).astype(np.uint8)


def save_png(rgb_hwc_u8: NDArray[np.uint8], path: Path) -> None:
    """Save with 256 colours, chosen by k-means on every fourth row and column: a third of RGB's bytes."""
    palette = Image.fromarray(np.ascontiguousarray(rgb_hwc_u8[::4, ::4])).quantize(256, kmeans=1)
    picture = Image.fromarray(rgb_hwc_u8).quantize(palette=palette, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Paint a night landscape with strokes of a known width.")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE_PX, metavar=("WIDTH", "HEIGHT"), help="px")
    parser.add_argument("--stroke-width", type=float, default=STROKE_WIDTH_PX, help="of the medium brush, px")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    options = parser.parse_args()
    save_png(paint(*options.size, stroke_width_px=options.stroke_width, seed=options.seed), options.output)
    print(options.output)


if __name__ == "__main__":
    main()
