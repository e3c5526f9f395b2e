"""A patient's own coordinates and outlines drawn in them, for pictures of two dimensions.

Lengths are in halves of the image's short side. An outline is computed in a window around it, and
its irregularity belongs to the patient: it moves and turns with the view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid, smooth_noise
from engine.collection.phantoms.tidy import without_crumbs

Point = tuple[float, float]

_TILE, _REACH = 37, 1.5  # samples of an outline's noise, and how many radii they cover


@dataclass(frozen=True, eq=False)
class Outline:
    """A field float64[y, x], inside where <= 1, in a window of the picture."""

    window: tuple[slice, slice]
    field: Field


class Easel:
    """Coordinates and structures of a picture.

    Attributes:
        where: float64[2, y, x], the patient's (y, x).
        rng: the anatomy's generator: equal for all views of a patient.
    """

    def __init__(self, where: Field, rng: np.random.Generator) -> None:
        self.where = where
        self.rng = rng
        self._masks: dict[str, Mask] = {}

    @property
    def shape(self) -> tuple[int, int]:
        _, height, width = self.where.shape
        return height, width

    def noise(self, width: float) -> Field:
        """float64[y, x] of standard deviation 1 that changes over `width`."""
        sigma = width * min(self.shape) / 2
        return smooth_noise(self.shape, (sigma, sigma), self.rng)

    def oval(
        self,
        centre: Point,
        radii: Point,
        turn_deg: float = 0.0,
        ragged: float = 0.04,
        power: float = 2.0,
    ) -> Outline:
        """An ellipse whose outline wobbles by `ragged` radii (standard deviation)."""
        # Drawn even for a smooth outline or one out of sight: all views draw the same numbers.
        tile = smooth_noise((_TILE, _TILE), (_TILE / 9, _TILE / 9), self.rng)
        far = max(radii) * 1.4
        window = self._window(centre[0] - far, centre[0] + far, centre[1] - far, centre[1] + far)
        where = self.where[(slice(None), *window)]
        wobble: Field | float = 0.0
        if ragged and where.size:
            at = [(axis - c) / far for axis, c in zip(where, centre, strict=True)]
            steps = np.stack(at) * (_TILE - 1) / 2 / _REACH * 1.4 + (_TILE - 1) / 2
            wobble = ragged * map_coordinates(tile, steps, order=1, mode="nearest")
        field = ellipsoid(where, centre, radii, turn_deg=turn_deg, wobble=wobble, power=power)
        return Outline(window, field)

    def rod(self, start: Point, end: Point, radius: float, flare: float = 0.5) -> Outline:
        """A long bone: `flare` is how much thicker its ends are than its shaft."""
        far = radius * (1.05 + flare)
        (top, bottom), (left, right) = (sorted(pair) for pair in zip(start, end, strict=True))
        window = self._window(top - far, bottom + far, left - far, right + far)
        where = self.where[(slice(None), *window)]
        y, x = where[0] - start[0], where[1] - start[1]
        dy, dx = end[0] - start[0], end[1] - start[1]
        along = np.clip((y * dy + x * dx) / (dy * dy + dx * dx), 0.0, 1.0)
        away = (y - along * dy) ** 2 + (x - along * dx) ** 2
        middle = np.abs(2.0 * along - 1.0)
        thick = 1.0 + flare * middle * middle * middle
        return Outline(window, np.sqrt(away) / (radius * thick))

    def all_over(self, field: Field) -> Outline:
        """A field of the whole picture."""
        return Outline((slice(None), slice(None)), field)

    def joined(self, *outlines: Outline) -> Outline:
        """The union, as one body."""
        field = np.full(self.shape, np.inf)
        for outline in outlines:
            np.minimum(field[outline.window], outline.field, out=field[outline.window])
        return self.all_over(field)

    def mask(self, outline: Outline, low: float = -np.inf, high: float = 1.0) -> Mask:
        """bool[y, x] of the picture: where low < field <= high."""
        mask = np.zeros(self.shape, dtype=np.bool_)
        mask[outline.window] = (outline.field > low) & (outline.field <= high)
        return mask

    def own(self, structure: str, mask: Mask) -> None:
        """Label pixels, in addition to what the structure has already."""
        known = self._masks.get(structure)
        self._masks[structure] = mask if known is None else known | mask

    def disown(self, structure: str, mask: Mask) -> None:
        """Take pixels from a structure that lies behind another."""
        if structure in self._masks:
            self._masks[structure] = self._masks[structure] & ~mask

    def masks(self, seen: Mask) -> dict[str, Mask]:
        """structure -> bool[y, x], as far as it is `seen`, without crumbs."""
        clean = {name: without_crumbs(mask & seen) for name, mask in self._masks.items()}
        return {name: mask for name, mask in clean.items() if mask.any()}

    def _window(self, top: float, bottom: float, left: float, right: float) -> tuple[slice, slice]:
        y, x = self.where
        near = (y > top) & (y < bottom) & (x > left) & (x < right)
        spans = [np.flatnonzero(near.any(axis=axis)) for axis in (1, 0)]
        if not spans[0].size:
            return slice(0, 0), slice(0, 0)
        return slice(int(spans[0][0]), int(spans[0][-1]) + 1), slice(
            int(spans[1][0]), int(spans[1][-1]) + 1
        )
