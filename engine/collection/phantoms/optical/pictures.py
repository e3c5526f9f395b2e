"""What families of pictures share: views, star-shaped outlines, strokes, cameras, clean masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise

SMALLEST_PX = 60
"""Components below are cleaned out of every mask: no annotator draws them."""

_ANGLES = 2048
_EIGHT = np.ones((3, 3), dtype=np.bool_)


def picture_size(rng: np.random.Generator, longest: int = 336) -> tuple[int, int]:
    """(height, width) of a picture, the short side 256 or more, mostly landscape."""
    short = int(rng.integers(256, 289))
    long = int(rng.integers(short, longest + 1))
    return (short, long) if rng.random() < 0.8 else (long, short)


@dataclass(frozen=True)
class View:
    """How a scene is seen: a point (y, x) in units of the scene -> pixels.

    Attributes:
        shape: (height, width) of the picture.
        focus: the point of the scene (y, x) that lies in the middle of the picture.
        scale: pixels per unit.
        turn_deg: rotation of the scene about the focus.
        mirror: left and right exchanged.
    """

    shape: tuple[int, int]
    focus: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    turn_deg: float = 0.0
    mirror: bool = False

    def where(self) -> Field:
        """float64[2, y, x]: the point of the scene (y, x) behind every pixel."""
        rows, columns = (np.arange(n) - (n - 1) / 2 for n in self.shape)
        y, x = np.meshgrid(rows / self.scale, columns / self.scale, indexing="ij")
        cos, sin = self._turn()
        scene_y, scene_x = cos * y - sin * x, sin * y + cos * x
        sign = -1.0 if self.mirror else 1.0
        return np.stack([scene_y + self.focus[0], sign * scene_x + self.focus[1]])

    def pixels(self, points: Field) -> Field:
        """float64[n, 2]: pixel indices (y, x) of points of the scene (y, x)."""
        offset = points - np.asarray(self.focus)
        cos, sin = self._turn()
        y, x = offset[:, 0], (-1.0 if self.mirror else 1.0) * offset[:, 1]
        turned = np.column_stack([cos * y + sin * x, -sin * y + cos * x])
        return np.asarray(self.scale * turned + (np.array(self.shape) - 1) / 2)

    def _turn(self) -> tuple[float, float]:
        angle = np.deg2rad(self.turn_deg)
        return float(np.cos(angle)), float(np.sin(angle))


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed curve around `centre` (y, x): an ellipse times a periodic function of the angle.

    Attributes:
        profile: float64[angle], factor of the radius at equally spaced angles.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    turn_deg: float
    profile: Field

    @property
    def reach(self) -> float:
        """Largest distance of the curve from its centre."""
        return float(max(self.radii) * self.profile.max())

    def field(self, where: Field) -> Field:
        """Distance from the centre in radii of the curve: the inside is where it is <= 1."""
        y, x = where[0] - self.centre[0], where[1] - self.centre[1]
        field = np.sqrt(y * y + x * x) / self.reach
        near = field < 1.5  # far away the shape does not matter, only that it is outside
        field[near] = self._near(y[near], x[near])
        return np.asarray(field, dtype=np.float64)

    def _near(self, y: Field, x: Field) -> Field:
        angle = np.deg2rad(self.turn_deg)
        v = (np.cos(angle) * y - np.sin(angle) * x) / self.radii[0]
        u = (np.sin(angle) * y + np.cos(angle) * x) / self.radii[1]
        turns = np.arctan2(v, u) * (_ANGLES / (2 * np.pi))
        at = np.rint(turns).astype(np.intp) % _ANGLES
        return np.asarray(np.sqrt(v * v + u * u) / self.profile[at])

    def window(self, shape: tuple[int, int], margin: float = 1.3) -> tuple[slice, slice]:
        """The part of a picture the curve can reach; the scene is in pixels from its corner."""
        reach = margin * self.reach + 1
        rows, columns = (
            slice(max(0, int(c - reach)), max(0, min(n, int(c + reach) + 2)))
            for c, n in zip(self.centre, shape, strict=True)
        )
        return rows, columns


def outline(
    rng: np.random.Generator,
    centre: Sequence[float] | Field,
    radii: Sequence[float] | Field,
    *,
    rough: float = 0.06,
    decay: float = 1.2,
    waves: int = 12,
    turn_deg: float | None = None,
) -> Outline:
    """A random outline: `rough` is the height of its waves, which fall with their number.

    Args:
        decay: 2 for a smooth bean, 0.5 for a ragged edge.
    """
    wave = np.arange(2, waves + 2)
    height = rough * rng.standard_normal(waves) * (2.0 / wave) ** decay
    spectrum = np.zeros(_ANGLES // 2 + 1, dtype=np.complex128)
    spectrum[wave] = height * np.exp(1j * rng.uniform(0, 2 * np.pi, waves))
    profile = 1.0 + np.fft.irfft(spectrum, _ANGLES) * (_ANGLES / 2)
    turn = float(rng.uniform(0, 180)) if turn_deg is None else turn_deg
    y, x = (float(value) for value in centre)
    ry, rx = (float(value) for value in radii)
    return Outline((y, x), (ry, rx), turn, np.clip(profile, 0.4, 1.8))


def pixel_grid(shape: tuple[int, int]) -> Field:
    """float64[2, y, x]: row and column of every pixel."""
    return np.asarray(np.indices(shape), dtype=np.float64)


def strokes(shape: tuple[int, int], lines: Sequence[tuple[Field, Field | float]]) -> Field:
    """float64[y, x], 0..1: how far thick lines cover each pixel; `>= 0.5` is their mask.

    Args:
        lines: (path float64[n, 2] in pixels (y, x), radius of each point or of all).
    """
    if not lines:
        return np.zeros(shape)
    parts = [_dense(path, radii) for path, radii in lines]
    return dots(
        shape,
        np.concatenate([path for path, _ in parts]),
        np.concatenate([radius for _, radius in parts]),
    )


def dots(shape: tuple[int, int], points: Field, radii: Field) -> Field:
    """float64[y, x], 0..1: how far discs around points [n, 2] (y, x) cover each pixel."""
    cover = np.zeros(shape)
    outside = np.maximum(-points, points - np.array(shape) + 1).max(axis=1)
    points, radii = points[outside < radii + 1], radii[outside < radii + 1]
    reach = np.ceil(radii + 0.5).astype(np.intp)
    for size in np.unique(reach):
        chosen = reach == size
        _stamp(cover, points[chosen], radii[chosen], int(size))
    return cover


def _dense(path: Field, radii: Field | float) -> tuple[Field, Field]:
    """The line with steps of about a pixel at most."""
    radius = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(path),))
    if len(path) < 2:
        return path, radius
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if along[-1] <= 1.25 * len(path):
        return path, radius
    at = np.linspace(0.0, along[-1], int(along[-1]) + 2)
    dense = np.column_stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)])
    return dense, np.interp(at, along, radius)


def _stamp(cover: Field, points: Field, radii: Field, size: int) -> None:
    """Draw a disc at every point; `size` bounds their radii."""
    span = np.arange(-size, size + 1)
    nearest = np.rint(points).astype(np.intp)
    rows = nearest[:, 0, None, None] + span[:, None]
    columns = nearest[:, 1, None, None] + span[None, :]
    distance = np.hypot(rows - points[:, 0, None, None], columns - points[:, 1, None, None])
    share = np.clip(radii[:, None, None] - distance + 0.5, 0.0, 1.0)
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (rows >= 0) & (rows < cover.shape[0]) & (columns >= 0) & (columns < cover.shape[1])
    inside &= share > 0
    np.maximum.at(cover, (rows[inside], columns[inside]), share[inside])


def edge(field: Field, softness: float) -> Field:
    """Share 0..1 of a shape: 1 inside, falling to 0 over `softness` (in units of the field)."""
    away = (field - 1.0) / softness
    share = np.zeros(field.shape)
    near = away < 12.0
    share[near] = 1.0 / (1.0 + np.exp(np.maximum(away[near], -40.0)))
    return share


def blend(colour: Field, share: Field, tint: Sequence[float] | Field) -> None:
    """Move `colour` [y, x, 3] towards `tint` by `share` [y, x], in place."""
    at = share > 0.002
    colour[at] += share[at, None] * (np.asarray(tint) - colour[at])


def components(mask: Mask) -> Iterator[Mask]:
    """The 8-connected components worth a label, as masks."""
    parts, count = label(mask, structure=_EIGHT)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    for number in range(1, count + 1):
        if sizes[number] >= SMALLEST_PX:
            yield np.asarray(parts == number)


def tidy(mask: Mask, smallest_px: int = SMALLEST_PX) -> Mask:
    """The mask without components below `smallest_px`."""
    if not mask.any():
        return mask
    parts, count = label(mask, structure=_EIGHT)
    keep = np.bincount(parts.ravel(), minlength=count + 1) >= smallest_px
    keep[0] = False
    return np.asarray(keep[parts], dtype=np.bool_)


def tidy_instances(numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Every object in one piece, its largest; objects below the smallest size are gone."""
    out = np.zeros_like(numbers)
    following = 0
    for number in np.unique(numbers[numbers > 0]):
        largest = max(components(numbers == number), key=np.count_nonzero, default=None)
        if largest is not None:
            following += 1
            out[largest] = following
    return out


@dataclass(frozen=True)
class Camera:
    """Optics and electronics of one picture.

    Attributes:
        gain, gamma: of the levels; white: gain per channel.
        blur_px: standard deviation of the point spread.
        noise: standard deviation of the shot noise at full level.
        vignette: loss of light in the corners.
    """

    gain: float
    gamma: float
    white: tuple[float, float, float]
    blur_px: float
    noise: float
    vignette: float


def camera(rng: np.random.Generator, *, blur_px: float = 1.6, noise: float = 0.03) -> Camera:
    """A random camera no worse than given."""
    red, green, blue = (float(value) for value in 1.0 + rng.normal(0.0, 0.04, 3))
    return Camera(
        gain=float(rng.uniform(0.8, 1.15)),
        gamma=float(np.exp(rng.normal(0.0, 0.15))),
        white=(red, green, blue),
        blur_px=float(rng.uniform(0.4, blur_px)),
        noise=float(rng.uniform(0.1, 1.0) * noise),
        vignette=float(rng.uniform(0.0, 0.5)),
    )


def expose(colour: Field, lens: Camera, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8[y, x, 3] from light float64[y, x, 3], 0..1: lens, sensor, tone curve."""
    height, width = colour.shape[:2]
    rows = np.linspace(-1, 1, height)[:, None]
    columns = np.linspace(-1, 1, width)[None, :]
    fall = 1.0 - 0.5 * lens.vignette * (rows**2 + columns**2)
    levels = np.empty(colour.shape, dtype=np.uint8)
    smooth = 0.4 * lens.noise * smooth_noise((height, width), (1.2, 1.2), rng)
    for channel, white in enumerate(lens.white):
        light = gaussian_filter(colour[..., channel].astype(np.float32), lens.blur_px)
        light *= (lens.gain * white * fall).astype(np.float32)
        light = np.maximum(light, 0.0) ** np.float32(lens.gamma)
        shot = rng.standard_normal(light.shape, dtype=np.float32)
        light += np.float32(lens.noise) * np.sqrt(light + np.float32(0.02)) * shot
        light += smooth.astype(np.float32)
        levels[..., channel] = np.rint(np.clip(255 * light, 0.0, 255.0))
    return levels
