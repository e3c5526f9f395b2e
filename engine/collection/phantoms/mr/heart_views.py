"""Planes through a chest: which voxels a series has, and what tissue lies in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from engine.collection.phantoms.anatomy import Field, Mask, grid, smooth_noise
from engine.collection.phantoms.mr.heart_anatomy import (
    Body,
    Kind,
    heart_masks,
    in_chest,
    in_heart,
    paint_chest,
)
from engine.collection.phantoms.mr.physics import Codes, Tissue, painted


@dataclass(frozen=True, eq=False)
class View:
    """The voxels of a series in both frames of reference, the chest there, and noise fields."""

    where: Field
    heart: Field
    spacing_mm: tuple[float, float, float]
    chest: Codes
    bumps: Field
    fine: Field
    grain: Field


def short_axis(person: Body, rng: np.random.Generator) -> View:
    """Two slices between base and apex; the right ventricle is on the left of the picture."""
    points, spacing = _plane(rng, (150, 280), gap=(8, 16), turn_deg=25)
    heart = np.empty_like(points)
    heart[0] = rng.uniform(0.25, 0.62) * person.length + points[0]
    heart[1] = points[1] + rng.normal(0, 12)
    heart[2] = -points[2] + rng.normal(12, 14)
    return _view(person, in_chest(person, heart), heart, spacing, rng)


def axial(person: Body, rng: np.random.Generator) -> View:
    points, spacing = _plane(rng, (190, 350), gap=(9, 16), turn_deg=8)
    points[0] += rng.uniform(-22, 26)
    points[1] += rng.normal(-8, 10)
    points[2] += rng.normal(18, 10)
    return _view(person, points, in_heart(person, points), spacing, rng)


def _plane(
    rng: np.random.Generator,
    fov_mm: tuple[float, float],
    *,
    gap: tuple[float, float],
    turn_deg: float,
) -> tuple[Field, tuple[float, float, float]]:
    """Two slices of a field of view, a little rotated in their plane; points and spacing, mm."""
    rows, columns = (int(n) for n in rng.integers(256, 310, 2))
    step = round(float(rng.uniform(*fov_mm)) / max(rows, columns), 4)
    spacing = (round(float(rng.uniform(*gap)), 3), step, step)
    points = grid((2, rows, columns), spacing)
    angle = np.deg2rad(float(rng.normal(0, turn_deg)))
    cos, sin = np.cos(angle), np.sin(angle)
    points[1], points[2] = cos * points[1] - sin * points[2], sin * points[1] + cos * points[2]
    for axis in (1, 2):
        points[axis] += 2.2 * smooth_noise(points.shape[1:], (1.0, 35 / step, 35 / step), rng)
    return points, spacing


def _view(
    person: Body,
    where: Field,
    heart: Field,
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
) -> View:
    shape, step = where.shape[1:], spacing[1]
    bumps = smooth_noise(shape, (0.7, 15 / step, 15 / step), rng)
    fine = smooth_noise(shape, (0.2, 3.5 / step, 3.5 / step), rng)
    chest = paint_chest(person, where, bumps, fine)
    grain = smooth_noise(shape, (0.0, 1.2, 1.2), rng)
    return View(where, heart, spacing, chest, bumps, fine, grain)


def masks_at(person: Body, view: View, beat: float) -> dict[str, Mask]:
    return heart_masks(person, view.where, view.heart, beat, 0.05 * view.bumps)


def scanned(
    person: Body,
    view: View,
    masks: dict[str, Mask],
    tissues: tuple[Tissue, ...],
    sequence: Callable[[Tissue], float],
) -> Field:
    """The signal of chest and heart, float64[z, y, x]."""
    codes = view.chest.copy()
    _paint_heart(codes, person, view, masks)
    signals = [sequence(tissue) for tissue in tissues]
    return painted(codes, signals, [tissue.texture for tissue in tissues], view.grain)


def _paint_heart(codes: Codes, person: Body, view: View, masks: dict[str, Mask]) -> None:
    """Fat around thin walls around blood; the left ventricle's wall and papillary muscles."""
    every = np.logical_or.reduce(list(masks.values()))
    near = np.stack([distance_transform_edt(~part, sampling=view.spacing_mm[1]) for part in every])
    codes[near <= 4.5 + 1.5 * view.bumps] = Kind.FAT
    codes[near <= 2.2] = Kind.HEART
    codes[every] = Kind.BLOOD
    codes[_partitions(masks)] = Kind.HEART
    codes[masks["myocardium"]] = Kind.HEART
    codes[masks["scar"]] = Kind.SCAR
    inside = masks["left_ventricle"]
    _, v, u = view.heart
    for angle in person.papillary:
        side = angle + np.pi / 2
        middle = 0.62 * person.cavity * np.array([np.sin(side), np.cos(side)])
        muscle = np.hypot(v - middle[0], u - middle[1]) < 3.6 + 0.8 * view.fine
        codes[inside & muscle & (view.heart[0] > 18)] = Kind.HEART
    codes[masks["right_ventricle"] & (view.fine > 1.9)] = Kind.HEART  # trabeculae


def _partitions(masks: dict[str, Mask]) -> Mask:
    """Septa, valves and the walls of vessels: where two kinds of blood touch."""
    owner = np.zeros(next(iter(masks.values())).shape, dtype=np.uint8)
    for number, mask in enumerate(masks.values(), start=1):
        owner[mask] = number
    walls = np.zeros_like(owner, dtype=np.bool_)
    for axis in (1, 2):
        for shift in (1, -1):
            other = np.roll(owner, shift, axis)
            walls |= (owner > 0) & (other > 0) & (owner != other)
    return walls
