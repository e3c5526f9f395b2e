"""Nuclei in fluorescence microscopy: every nucleus has a number of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid, grid, ring, smooth_noise
from engine.collection.phantoms.formation import fluorescence

SHAPE = (288, 320)
_GAP_PX = 3.0
_ATTEMPTS = 400


@dataclass(frozen=True)
class Culture:
    """`image`: uint16[y, x]; `instances`: uint16[y, x], 0 is background, nuclei count from 1."""

    image: NDArray[np.uint16]
    instances: NDArray[np.uint16]


def culture(rng: np.random.Generator, nuclei: int = 10) -> Culture:
    """Draw up to `nuclei` nuclei; neighbours may touch, a pixel belongs to one of them only."""
    where = grid(SHAPE, (1.0, 1.0))
    photons = np.full(SHAPE, 2.0)
    instances = np.zeros(SHAPE, dtype=np.uint16)
    for number, (centre, radii) in enumerate(_places(nuclei, rng), start=1):
        wobble = 0.05 * smooth_noise(SHAPE, (9, 9), rng)
        turn_deg = rng.uniform(0, 180)
        field = ellipsoid(where, centre, radii, wobble=wobble, turn_deg=turn_deg)
        mask = (field <= 1.0) & (instances == 0)
        instances[mask] = number
        photons[mask] = _chromatin(field, rng)[mask]
    return Culture(fluorescence(photons, rng), instances)


def _places(nuclei: int, rng: np.random.Generator) -> list[tuple[Field, Field]]:
    """Centres and radii (y, x) of ellipses whose larger circles hardly overlap."""
    found: list[tuple[Field, Field]] = []
    half = np.array(SHAPE) / 2
    for _ in range(_ATTEMPTS):
        radii = rng.uniform(15, 30) * np.array([rng.uniform(0.62, 0.95), 1.0])
        centre = rng.uniform(-half, half)
        reach = float(radii.max()) - _GAP_PX
        near = any(
            np.hypot(*(centre - other)) < reach + float(size.max()) - _GAP_PX
            for other, size in found
        )
        if not near and np.all(np.abs(centre) < half - 0.35 * reach):
            found.append((centre, radii))
        if len(found) == nuclei:
            break
    return found


def _chromatin(field: Field, rng: np.random.Generator) -> Field:
    """Photons of one nucleus: its own brightness, texture, darker nucleoli, a bright rim."""
    brightness = rng.uniform(18, 70)
    texture = 1.0 + 0.16 * smooth_noise(SHAPE, (2.5, 2.5), rng)
    nucleoli: Mask = smooth_noise(SHAPE, (4, 4), rng) > 1.7
    texture[nucleoli & (field < 0.75)] *= 0.6
    texture[ring(field, 0.85)] *= 1.12
    return np.asarray(brightness * np.maximum(texture, 0.1))
