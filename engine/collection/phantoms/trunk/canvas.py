"""A trunk to paint organs into: tissues of a few thick axial slices, and who owns each sample.

Organs are drawn in the frame of the body, in millimetres: the body may lie turned, moved and cut
off by the image. Only a window around each organ is computed, so that many organs cost little.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid, smooth_noise
from engine.collection.phantoms.tidy import seen, without_crumbs

_TUMOUR = 32  # added to the value of the organ a tumour lies in

VALUES = {
    "liver": 1,
    "spleen": 2,
    "kidney_left": 3,
    "kidney_right": 4,
    "stomach": 5,
    "aorta": 6,
    "vertebra": 7,
    "gallbladder": 8,
    "psoas_left": 9,
    "psoas_right": 10,
    "bladder": 11,
    "prostate": 12,
    "rectum": 13,
    "femur_left": 14,
    "femur_right": 15,
    "lung_left": 16,
    "lung_right": 17,
    "heart": 18,
    "vena_cava": 19,
}


class Tissue(IntEnum):
    """What a sample is made of; the two modalities say what that looks like."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    MESENTERY = 3
    CORTEX = 4
    MARROW = 5
    FLUID = 6
    LIVER = 7
    SPLEEN = 8
    KIDNEY = 9
    MEDULLA = 10
    ARTERY = 11
    VEIN = 12
    GUT_WALL = 13
    GUT = 14
    GAS = 15
    URINE = 16
    TUMOUR = 17
    NECROSIS = 18
    GLAND = 19
    LUNG = 20
    TABLE = 21
    DISC = 22


@dataclass(frozen=True, eq=False)
class Blob:
    """A shape's field float64[z, y, x] (inside where <= 1) in a window of the canvas."""

    window: tuple[slice, slice, slice]
    field: Field

    @property
    def inside(self) -> Mask:
        return self.field <= 1.0


class Canvas:
    """Tissues and owners of one volume; later organs are painted over earlier ones.

    Attributes:
        rng: where all randomness comes from.
        spacing_mm: (z, y, x).
        radii_mm: (y, x) of the muscular wall; the frame of the body has its origin at its centre.
        tissue: uint8[z, y, x].
        cavity: float64[z, y, x], distance from the centre, 1 at the inner wall.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        shape = (3, int(rng.integers(256, 305)), int(rng.integers(280, 345)))
        wide = rng.uniform(118, 165)
        self.radii_mm = (wide * rng.uniform(0.62, 0.84), wide)
        # The table or a large patient may be cut off; a small one leaves much air.
        fit = max(2.3 * self.radii_mm[0] / shape[1], 2.2 * wide / shape[2])
        pixel = fit * rng.uniform(0.90, 1.18)
        self.spacing_mm = (
            float(rng.uniform(7, 14)),
            float(round(pixel, 4)),
            float(round(pixel, 4)),
        )
        turn = rng.normal(0, 6)
        self._cos, self._sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        self._origin = np.array(shape[1:]) / 2 + rng.normal(0, 7, 2)
        y, x = (np.arange(n) - c for n, c in zip(shape[1:], self._origin, strict=True))
        y, x = y[:, None] * pixel, x[None, :] * pixel
        self._where = np.stack([self._cos * y - self._sin * x, self._sin * y + self._cos * x])
        self._z = (np.arange(shape[0]) - (shape[0] - 1) / 2) * self.spacing_mm[0]
        self.shape = shape
        self.tissue = np.zeros(shape, dtype=np.uint8)
        self._owner = np.zeros(shape, dtype=np.uint8)
        self._tumour = np.zeros(shape, dtype=np.bool_)
        self.cavity = self._trunk()

    def at(self, y: float, x: float, spread: float = 0.05) -> tuple[float, float]:
        """A place given in radii of the wall, in mm, moved by about `spread` radii."""
        dy, dx = self.rng.normal(0.0, spread, 2)
        return (y + dy) * self.radii_mm[0], (x + dx) * self.radii_mm[1]

    def blob(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        *,
        turn_deg: float = 0.0,
        ragged: float = 0.06,
        power: float = 2.0,
        reach_mm: float = 40.0,
    ) -> Blob:
        """An organ through the slices, leaning, tapering and deformed.

        Args:
            centre, radii: (y, x) in mm in the body's frame.
            ragged: standard deviation of its outline in radii.
            reach_mm: radius along z; small ones shrink from slice to slice.
        """
        rng, pixel = self.rng, self.spacing_mm[1]
        small = min(radii)
        lean = rng.normal(0.0, 0.012 * small + 0.08, 2)
        far = float(np.abs(self._z).max())
        window = self._window(centre, max(radii) * 1.35 + float(np.abs(lean).max()) * far)
        rows, columns = window[1:]
        y, x = self._where[0, rows, columns], self._where[1, rows, columns]
        shape = (self.shape[0], *y.shape)
        if 0 in shape:
            return Blob(window, np.full(shape, np.inf))
        wide, fine = 0.55 * small / pixel, 0.16 * small / pixel
        wobble = ragged * smooth_noise(shape, (1.3, wide, wide), rng)
        wobble += 0.3 * ragged * smooth_noise(shape, (0.8, fine, fine), rng)
        z = self._z[:, None, None]
        where = np.stack(
            [np.broadcast_to(axis, shape) for axis in (z, y - lean[0] * z, x - lean[1] * z)]
        )
        field = ellipsoid(
            where,
            (rng.uniform(-0.3, 0.3) * reach_mm, *centre),
            (reach_mm, *radii),
            turn_deg=turn_deg,
            wobble=wobble,
            power=power,
        )
        return Blob(window, field)

    def fill(self, blob: Blob, mask: Mask, tissue: Tissue, structure: str | None = None) -> None:
        """Paint samples of a blob's window; they belong to `structure` alone, or to nothing."""
        self.tissue[blob.window][mask] = tissue
        self._owner[blob.window][mask] = VALUES[structure] if structure else 0

    def dye(self, blob: Blob, mask: Mask, tissue: Tissue) -> None:
        """Change the tissue of samples, not whose they are."""
        self.tissue[blob.window][mask] = tissue

    def within(self, blob: Blob, limit: float = 0.97) -> Mask:
        """The blob's inside, as far as it lies in the cavity."""
        return blob.inside & (self.cavity[blob.window] < limit)

    def tumour(self, structure: str, radius_mm: float) -> None:
        """A growth at a random place of an organ, part of it and a structure of its own."""
        places = np.argwhere(self._owner == VALUES[structure])
        if not len(places):
            return
        _, row, column = places[self.rng.integers(len(places))]
        y, x = self._where[:, row, column]
        radii = radius_mm * self.rng.uniform(0.75, 1.3), radius_mm
        blob = self.blob((y, x), radii, ragged=0.1, reach_mm=2.2 * radius_mm)
        mask = blob.inside & (self._owner[blob.window] == VALUES[structure])
        self.dye(blob, mask, Tissue.TUMOUR)
        if self.rng.random() < 0.35:
            self.dye(blob, mask & (blob.field < self.rng.uniform(0.5, 0.75)), Tissue.NECROSIS)
        self._tumour[blob.window][mask] = True

    def labels(self) -> NDArray[np.uint8]:
        """uint8[z, y, x]: `VALUES`, plus 32 in a tumour, without fragments."""
        owner = np.zeros_like(self._owner)
        for index, plane in enumerate(self._owner):
            for value in np.unique(plane[plane > 0]):
                owner[index][without_crumbs(plane == value)] = value
        tumour = without_crumbs(self._tumour & (owner > 0))
        return np.asarray(owner + _TUMOUR * tumour, dtype=np.uint8)

    def _window(self, centre: tuple[float, float], far_mm: float) -> tuple[slice, slice, slice]:
        y, x = centre
        middle = (self._cos * y + self._sin * x, self._cos * x - self._sin * y)
        cuts = [slice(None)]
        for mm, origin, n in zip(middle, self._origin, self.shape[1:], strict=True):
            pixel, far = mm / self.spacing_mm[1] + origin, far_mm / self.spacing_mm[1] + 2
            low, high = (int(np.clip(pixel + side * far, 0, n)) for side in (-1, 1))
            cuts.append(slice(low, high))
        return cuts[0], cuts[1], cuts[2]

    def _trunk(self) -> Field:
        """Skin, fat and the wall's muscle; the field of the cavity inside."""
        rng, (ry, rx) = self.rng, self.radii_mm
        reach, power, fat = 400.0, rng.uniform(2.0, 2.7), rng.uniform(4, 26)
        wide = 0.25 * min(ry, rx) / self.spacing_mm[1]
        wobble = 0.02 * smooth_noise(self.shape, (1.5, wide, wide), rng)
        z = self._z[:, None, None]
        where = np.stack([np.broadcast_to(axis, self.shape) for axis in (z, *self._where)])
        wall = ellipsoid(where, (0, 0, 0), (reach, ry, rx), power=power, wobble=wobble)
        skin = ellipsoid(where, (0, 0, 0), (reach, ry + fat, rx + 1.2 * fat), power=power)
        inner = 1.0 - rng.uniform(8, 15) / ry
        self.tissue[skin + wobble <= 1.0] = Tissue.FAT
        self.tissue[wall <= 1.0] = Tissue.MUSCLE
        self.tissue[wall <= inner] = Tissue.MESENTERY
        return np.asarray(wall / inner)


def masks_of(labels: NDArray[np.uint8]) -> dict[str, Mask]:
    """structure -> bool[z, y, x]; `tumour` lies in its organ, which includes it."""
    present = set(np.unique(labels % _TUMOUR).tolist())
    masks = {name: labels % _TUMOUR == v for name, v in VALUES.items() if v in present}
    if (labels > _TUMOUR).any():
        masks["tumour"] = labels > _TUMOUR
    return masks


def labels_of(masks: dict[str, Mask]) -> NDArray[np.uint8]:
    """The map `masks_of` was made from."""
    labels = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    for name, mask in masks.items():
        labels += np.uint8(VALUES.get(name, _TUMOUR)) * mask
    return labels


def distinct(masks: dict[str, Mask], signal: Field, least: float) -> dict[str, Mask]:
    """Masks in those slices alone where the signal [z, y, x] shows them.

    A tumour may go, its organ then includes it unmarked; with an organ its tumour goes too.
    """
    kept = {name: seen(signal, mask, least) for name, mask in masks.items()}
    if "tumour" in kept:
        organs = [mask for name, mask in kept.items() if name != "tumour"]
        kept["tumour"] = kept["tumour"] & np.any(organs, axis=0)
    return {name: mask for name, mask in kept.items() if mask.any()}
