"""An upper abdomen in CT: five labelled organs among unlabelled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid, grid, ring, smooth_noise
from engine.collection.phantoms.formation import ct

SPACING_MM = (5.0, 0.9, 0.9)
SHAPE = (4, 288, 352)
VALUES = {"liver": 1, "spleen": 2, "kidneys": 3, "aorta": 4, "vertebra": 5}

_AIR, _FAT, _MUSCLE, _MESENTERY = -1000.0, -100.0, 55.0, -85.0
_REACH_Z = 26.0  # radius along z: more than the volume, little enough to see slices differ


@dataclass(frozen=True)
class Abdomen:
    """`image`: int16[z, y, x], HU; `labels`: uint8[z, y, x]; axes ascend in S, P and L."""

    image: NDArray[np.int16]
    labels: NDArray[np.uint8]


def abdomen(rng: np.random.Generator) -> Abdomen:
    """Draw one abdomen."""
    return _Painter(rng).paint()


class _Painter:
    """Paints organs in HU, later ones over earlier ones, in millimetres (z, y, x)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._where = grid(SHAPE, SPACING_MM)
        self._where[1] += 6.0  # the patient lies a little below the middle
        self._hu = np.full(SHAPE, _AIR)
        self._labels = np.zeros(SHAPE, dtype=np.uint8)

    def paint(self) -> Abdomen:
        cavity = self._trunk()
        self._bowel(cavity)
        self._soft_organs(cavity)
        self._kidneys()
        self._vessels()
        self._spine()
        self._hu += 6.0 * (self._hu > -200) * smooth_noise(SHAPE, (0.5, 4, 4), self._rng)
        return Abdomen(ct(self._hu, self._rng), self._labels)

    def _shape(
        self, y: float, x: float, ry: float, rx: float, wobble: float = 0.03, turn_deg: float = 0.0
    ) -> Field:
        """A body through all slices, a little moved, leaning and deformed."""
        dy, dx = self._rng.normal(0.0, 0.04 * min(ry, rx), 2)
        lean_y, lean_x = self._rng.normal(0.0, 0.006 * min(ry, rx), 2)
        lean = np.stack([np.zeros(SHAPE), lean_y * self._where[0], lean_x * self._where[0]])
        noise = wobble * smooth_noise(SHAPE, (1.2, 14, 14), self._rng)
        return ellipsoid(
            self._where - lean,
            (self._rng.uniform(-5, 5), y + dy, x + dx),
            (_REACH_Z, ry, rx),
            turn_deg=turn_deg,
            wobble=noise,
        )

    def _fill(self, mask: Mask, hounsfield: float, structure: str | None = None) -> None:
        self._hu[mask] = hounsfield
        self._labels[mask] = VALUES[structure] if structure else 0

    def _trunk(self) -> Field:
        """Skin, fat, wall, ribs and table; the field of the abdominal cavity."""
        skin = ellipsoid(self._where, (0, 0, 0), (400, 100, 140), power=2.5)
        wobble = 0.015 * smooth_noise(SHAPE, (1.5, 16, 16), self._rng)
        self._fill(skin + wobble <= 1.0, _FAT)
        wall = ellipsoid(self._where, (0, 3, 0), (400, 88, 124), power=2.5, wobble=wobble)
        self._fill(wall <= 1.0, _MUSCLE)
        self._fill(wall <= 0.88, _MESENTERY)
        self._ribs()
        bed = np.hypot(self._where[1] + 330, self._where[2])
        self._fill((np.abs(bed - 437) < 3) & (np.abs(self._where[2]) < 150), -250.0)
        return np.asarray(wall / 0.88)

    def _ribs(self) -> None:
        for degrees in (-25, 8, 40, 140, 172, 205):
            angle = np.deg2rad(degrees + self._rng.normal(0.0, 3.0))
            y, x = 3 + 81 * np.sin(angle), 115 * np.cos(angle)
            tangent = np.rad2deg(np.arctan2(np.cos(angle), -np.sin(angle) * 1.4))
            rib = self._shape(y, x, 4.5, 11.0, 0.05, -tangent)
            self._fill(rib <= 1.0, 650.0)
            self._fill(rib <= 0.6, 230.0)

    def _bowel(self, cavity: Field) -> None:
        for _ in range(16):
            y, x = self._rng.uniform(-62, 35), self._rng.uniform(-40, 100)
            ry, rx = self._rng.uniform(9, 17, 2)
            loop = self._shape(y, x, ry, rx, 0.08, self._rng.uniform(0, 180))
            inside = cavity < 0.97
            self._fill((loop <= 1.0) & inside, 70.0)
            self._fill((loop <= 0.8) & inside, self._rng.choice([25.0, 40.0, -20.0]))
        stomach = self._shape(-42, 52, 28, 42, 0.06, -20)
        self._fill((stomach <= 1.0) & (cavity < 0.96), 80.0)
        self._fill((stomach <= 0.9) & (cavity < 0.95), 15.0)
        self._fill((stomach <= 0.9) & (cavity < 0.95) & (self._where[1] < -56), -950.0)

    def _soft_organs(self, cavity: Field) -> None:
        liver = self._shape(-14, -62, 66, 74, 0.07, 12) <= 1.0
        branches = np.abs(smooth_noise(SHAPE, (1.0, 9, 9), self._rng)) < 0.09
        inside = liver & (cavity < 0.95)
        self._fill(inside, 108.0, "liver")
        self._hu[inside & branches] = 150.0
        spleen = self._shape(18, 92, 40, 21, 0.07, -18) <= 1.0
        self._fill(spleen & (cavity < 0.95), 128.0, "spleen")

    def _kidneys(self) -> None:
        for side in (-1, 1):
            kidney = self._shape(42, side * 58, 25, 19, 0.05, side * 25)
            hilum = self._shape(38, side * 43, 8, 13, 0.08, side * 20)
            whole = (kidney <= 1.0) & (hilum > 1.0)
            self._fill(ring(kidney, 1.0, 1.25), -105.0)  # the fat a kidney lies in
            self._fill((kidney <= 1.0) & (hilum <= 1.0), -70.0)
            self._fill(whole, 205.0, "kidneys")
            self._hu[whole & (kidney < 0.68)] = 150.0

    def _vessels(self) -> None:
        aorta = self._shape(33, 9, 10.5, 10.5, 0.03)
        self._fill(aorta <= 1.0, 260.0, "aorta")
        self._fill(self._shape(30, -17, 9, 12, 0.05) <= 1.0, 135.0)

    def _spine(self) -> None:
        for side in (-1, 1):
            self._fill(self._shape(76, side * 30, 15, 19, 0.06, side * 15) <= 1.0, 60.0)
            self._fill(self._shape(58, side * 32, 12, 11, 0.06) <= 1.0, 62.0)
        body = self._shape(58, 0, 15, 20, 0.03) <= 1.0
        arch = ring(self._shape(77, 0, 13, 15, 0.02), 0.68)
        bars = self._shape(76, 0, 4, 33, 0.06) <= 1.0
        spinous = self._shape(88, 0, 12, 4, 0.05) <= 1.0
        canal = ellipsoid(self._where, (0, 77, 0), (400, 8, 10)) <= 1.0
        bone = (body | arch | bars | spinous) & ~canal
        self._fill(canal, 35.0)
        self._fill(bone, 520.0, "vertebra")
        square = np.ones((1, 3, 3), dtype=np.bool_)
        spongy = binary_erosion(bone, square, iterations=2)
        self._hu[spongy] = 240.0 + 45.0 * smooth_noise(SHAPE, (0.5, 1.5, 1.5), self._rng)[spongy]
        rim = binary_dilation(bone, square) & ~bone & ~canal
        self._hu[rim] = np.maximum(self._hu[rim], 60.0)
