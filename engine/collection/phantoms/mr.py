"""A head in contrast-enhanced T1 MR: brain, ventricles and a ring-enhancing lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, ellipsoid, grid, ring, smooth_noise
from engine.collection.phantoms.formation import mr

SPACING_MM = (6.0, 0.85, 0.85)
SHAPE = (3, 272, 256)

_WHITE, _GREY, _FLUID, _FAT, _BONE = 0.80, 0.58, 0.22, 1.05, 0.06


@dataclass(frozen=True)
class Head:
    """`image`: float32[z, y, x]; `masks`: structure -> bool[z, y, x], overlapping.

    Axes ascend in S, P and L. The ventricles and the lesion lie inside the brain.
    """

    image: NDArray[np.float32]
    masks: dict[str, Mask]


def head(rng: np.random.Generator) -> Head:
    """Draw one head."""
    where = grid(SHAPE, SPACING_MM)
    signal = np.full(SHAPE, 0.01)
    brain = _skull(signal, where, rng)
    _cortex(signal, brain, rng)
    ventricles = _ventricles(where, rng)
    signal[ventricles] = _FLUID
    core, rim = _lesion(signal, where, brain, rng)
    masks = {
        "brain": brain <= 1.0,
        "ventricles": ventricles & ~core & ~rim,
        "lesion_core": core,
        "lesion_rim": rim,
    }
    signal *= 1.0 + 0.02 * smooth_noise(SHAPE, (0.3, 1.5, 1.5), rng)
    return Head(mr(signal, rng), masks)


def _skull(signal: Field, where: Field, rng: np.random.Generator) -> Field:
    """Paint scalp, skull and fluid from outside in; the field of the brain."""
    wobble = 0.012 * smooth_noise(SHAPE, (1.5, 20, 20), rng)
    scalp = ellipsoid(where, (0, 0, 0), (260, 98, 77), wobble=wobble, power=2.15)
    signal[scalp <= 1.0] = 0.5
    signal[scalp <= 0.975] = _FAT
    signal[scalp <= 0.925] = _BONE
    signal[ring(scalp, 0.885, 0.905)] = 0.45  # marrow between the tables
    signal[scalp <= 0.87] = _FLUID
    dents = 0.016 * smooth_noise(SHAPE, (1.0, 5, 5), rng)
    fissure = 0.22 * np.exp(-((where[2] / 2.0) ** 2)) * (np.abs(where[1]) > 55)
    return np.asarray(scalp / 0.845 + dents + fissure)


def _cortex(signal: Field, brain: Field, rng: np.random.Generator) -> None:
    """White matter, a folded grey ribbon, and fluid in the furrows between the folds."""
    folds = smooth_noise(SHAPE, (0.8, 5.5, 5.5), rng)
    inside = brain <= 1.0
    signal[inside] = _WHITE
    ribbon = brain + 0.075 * np.abs(folds) + 0.02 * smooth_noise(SHAPE, (0.8, 2, 2), rng)
    signal[inside & ((ribbon > 0.94) | ((np.abs(folds) < 0.32) & (brain > 0.68)))] = _GREY
    furrows = (np.abs(folds) < 0.09) & (brain > 0.76)
    signal[inside & furrows] = 0.34


def _ventricles(where: Field, rng: np.random.Generator) -> Mask:
    """Frontal and occipital horns of both sides, two bananas back to back."""
    wobble = 0.06 * smooth_noise(SHAPE, (1.0, 8, 8), rng)
    horns = np.zeros(SHAPE, dtype=np.bool_)
    for side in (-1, 1):
        front = ellipsoid(where, (0, -20, side * 11), (40, 19, 6.5), turn_deg=side * 18.0)
        back = ellipsoid(where, (0, 16, side * 17), (34, 26, 6.5), turn_deg=-side * 20.0)
        horns |= np.minimum(front, back) + wobble <= 1.0
    return horns


def _lesion(
    signal: Field, where: Field, brain: Field, rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """A dark core in an enhancing rim, swelling around it; the rim's centre is not in the rim."""
    centre = (0.0, rng.uniform(8, 24), rng.choice([-1, 1]) * rng.uniform(34, 38))
    wobble = 0.09 * smooth_noise(SHAPE, (1.0, 7, 7), rng)
    field = ellipsoid(where, centre, (17, 19, 16), wobble=wobble)
    inside = brain <= 0.97
    swelling = field + 0.25 * smooth_noise(SHAPE, (1.0, 6, 6), rng) <= 1.75
    swollen = swelling & (brain <= 0.86) & (signal > 0.5)
    signal[swollen] = 0.48
    core, rim = (field <= 0.72) & inside, ring(field, 0.72) & inside
    signal[core] = 0.30 + 0.05 * smooth_noise(SHAPE, (0.5, 3, 3), rng)[core]
    signal[rim] = 1.08
    return core, rim
