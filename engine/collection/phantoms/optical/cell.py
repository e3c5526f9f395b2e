"""Fluorescence microscopy: touching nuclei, each with a number, some inside stained cells.

A subject is one culture (a cell line and its staining), photographed in two fields of view.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Field, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.pictures import (
    Outline,
    edge,
    outline,
    picture_size,
    pixel_grid,
    tidy_instances,
)
from engine.collection.phantoms.raw_files import write_tiff

_ATTEMPTS = 300


@dataclass(frozen=True)
class _Culture:
    """A cell line and how it is stained.

    Attributes:
        radius_px, ratio: of a nucleus: long half axis, short over long.
        rough: of its outline.
        crowding: distance of neighbours in sums of radii; below 1 they touch.
        nuclei: most in one field.
        photons: of a nucleus of the usual brightness; spread: of the logarithm of brightness.
        texture, grain_px: of the chromatin; nucleoli: how much darker they are.
        cytoplasm: brightness beside the nucleus's; 0 where it is not stained.
    """

    radius_px: float
    ratio: float
    rough: float
    crowding: float
    nuclei: int
    photons: float
    spread: float
    texture: float
    grain_px: float
    nucleoli: float
    cytoplasm: float
    haze: float
    gain: float
    offset: float


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two fields of one culture."""
    culture = _culture(rng)
    return tuple(_shot(name, culture, rng) for name in ("f01", "f02"))


def _culture(rng: np.random.Generator) -> _Culture:
    stained = rng.random() < 0.5
    radius = float(np.exp(rng.uniform(np.log(13), np.log(44))))
    most = 6 if stained else 12
    room = 0.55 * 270 * 300 / (np.pi * radius**2 * (3.0 if stained else 1.0))
    return _Culture(
        radius_px=radius,
        ratio=float(rng.uniform(0.55, 0.98)),
        rough=float(rng.uniform(0.01, 0.09)),
        crowding=float(rng.uniform(0.8, 1.1)),
        nuclei=int(np.clip(rng.uniform(0.6, 1.1) * room, 3, most)),
        photons=float(np.exp(rng.uniform(np.log(12), np.log(220)))),
        spread=float(rng.uniform(0.05, 0.5)),
        texture=float(rng.uniform(0.03, 0.3)),
        grain_px=float(rng.uniform(1.2, 4.0)),
        nucleoli=float(rng.uniform(0.0, 0.6)),
        cytoplasm=float(rng.uniform(0.12, 0.45)) if stained else 0.0,
        haze=float(rng.uniform(0.05, 0.35)),
        gain=float(np.exp(rng.uniform(np.log(3), np.log(60)))),
        offset=float(rng.uniform(80, 600)),
    )


def _shot(name: str, culture: _Culture, rng: np.random.Generator) -> Shot:
    shape = picture_size(rng)
    where = pixel_grid(shape)
    photons = np.full(shape, culture.photons * rng.uniform(0.01, 0.06))
    bodies = _places(shape, culture, rng)
    instances: dict[str, NDArray[np.uint16]] = {}
    if culture.cytoplasm:
        instances["cell"] = tidy_instances(_cells(photons, where, bodies, culture, rng))
    numbers = np.zeros(shape, dtype=np.uint16)
    chromatin = smooth_noise(shape, (culture.grain_px,) * 2, rng)
    nucleoli = smooth_noise(shape, (3.5, 3.5), rng) > 1.6
    for number, body in enumerate(bodies, start=1):
        _nucleus(photons, numbers, number, body, where, (chromatin, nucleoli), culture, rng)
    instances["nucleus"] = tidy_instances(numbers)
    _debris(photons, where, culture, rng)
    image = _detector(photons, culture, rng)
    return Shot(name, "microscopy", image, {}, instances)


def _places(shape: tuple[int, int], culture: _Culture, rng: np.random.Generator) -> list[Outline]:
    """Outlines of nuclei that touch at most a little; half of them seek a neighbour."""
    found: list[Outline] = []
    wide = 1.9 if culture.cytoplasm else 1.0
    for _ in range(_ATTEMPTS):
        radius = culture.radius_px * float(np.exp(rng.normal(0.0, 0.16)))
        ratio = float(np.clip(culture.ratio * np.exp(rng.normal(0.0, 0.1)), 0.45, 1.0))
        middle = radius * (1 + ratio) / 2
        centre = rng.uniform(-0.3 * radius, np.array(shape) + 0.3 * radius)
        if found and rng.random() < 0.6:
            other = found[int(rng.integers(len(found)))]
            angle = rng.uniform(0, 2 * np.pi)
            far = 1.02 * wide * culture.crowding * (middle + sum(other.radii) / 2)
            centre = other.centre + far * np.array([np.sin(angle), np.cos(angle)])
        if np.any(centre < -0.3 * radius) or np.any(centre > np.array(shape) + 0.3 * radius):
            continue
        apart = [
            np.hypot(*(centre - other.centre)) / (middle + sum(other.radii) / 2) for other in found
        ]
        if min(apart, default=9.0) > wide * culture.crowding:
            radii = (radius * ratio, radius)
            found.append(outline(rng, centre, radii, rough=culture.rough, decay=1.0))
        if len(found) == culture.nuclei:
            break
    return found


def _nucleus(
    photons: Field,
    numbers: NDArray[np.uint16],
    number: int,
    body: Outline,
    where: Field,
    texture: tuple[Field, NDArray[np.bool_]],
    culture: _Culture,
    rng: np.random.Generator,
) -> None:
    """Paint one nucleus; a dividing one is small, bright and ragged."""
    part = body.window(numbers.shape)
    field = body.field(where[(slice(None), *part)])
    chromatin, nucleoli = texture[0][part], texture[1][part]
    light = culture.photons * float(np.exp(culture.spread * rng.standard_normal()))
    if rng.random() < 0.07:
        field, light = field * 1.3 + 0.2 * chromatin, light * 2.2
    level = 1.0 + culture.texture * chromatin
    level = np.where(nucleoli & (field < 0.8), level * (1.0 - culture.nucleoli), level)
    level *= 0.75 + 0.35 * np.sqrt(np.clip(1.0 - (0.8 * field) ** 2, 0.0, 1.0))  # thickness
    mask = (field <= 1.0) & (numbers[part] == 0)
    numbers[part][mask] = number
    share = np.where(mask, 1.0, 0.0)
    photons[part] += share * light * np.maximum(level, 0.1)


def _cells(
    photons: Field,
    where: Field,
    bodies: list[Outline],
    culture: _Culture,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """Cell bodies around the nuclei, at most one cell per pixel: the nearest in its radii."""
    shape = (photons.shape[0], photons.shape[1])
    nearest = np.full(shape, np.inf)
    numbers = np.zeros(shape, dtype=np.uint16)
    grain = 1.0 + 0.25 * smooth_noise(shape, (2, 2), rng) + 0.2 * smooth_noise(shape, (9, 9), rng)
    for number, body in enumerate(bodies, start=1):
        size = np.array(body.radii) * rng.uniform(1.7, 2.4, 2) + 3
        centre = np.array(body.centre) + rng.normal(0, 0.15, 2) * size
        cell = outline(rng, centre, size, rough=0.14, decay=1.0, turn_deg=body.turn_deg)
        field = np.minimum(cell.field(where), body.field(where) + 0.1)
        closer = (field <= 1.0) & (field < nearest)
        numbers[closer] = number
        nearest = np.minimum(nearest, field)
    level = culture.cytoplasm * (1.15 - 0.5 * np.minimum(nearest, 1.0) ** 2)
    for number in range(1, len(bodies) + 1):
        own = numbers == number
        light = culture.photons * float(np.exp(0.2 * rng.standard_normal()))
        photons[own] += light * (level * np.maximum(grain, 0.2))[own]
    return numbers


def _debris(photons: Field, where: Field, culture: _Culture, rng: np.random.Generator) -> None:
    """Bright fragments and blurred nuclei above the focal plane, without a label."""
    shape = (photons.shape[0], photons.shape[1])
    for _ in range(int(rng.integers(0, 5))):
        speck = outline(rng, rng.uniform(0, shape), rng.uniform(1.5, 4.0, 2), rough=0.15)
        photons += culture.photons * rng.uniform(0.5, 2.0) * edge(speck.field(where), 0.1)
    if rng.random() < 0.35:
        size = culture.radius_px * rng.uniform(1.0, 1.6, 2)
        ghost = outline(rng, rng.uniform(0, shape), size).field(where)
        photons += 0.2 * culture.photons * edge(ghost, 0.18)


def _detector(photons: Field, culture: _Culture, rng: np.random.Generator) -> NDArray[np.uint16]:
    """uint16[y, x]: diffraction, haze from above and below, uneven lamp, shot and read noise."""
    shape = (photons.shape[0], photons.shape[1])
    sharp = gaussian_filter(photons, rng.uniform(0.7, 2.2))
    haze = culture.haze * gaussian_filter(photons[::4, ::4], 4.0)
    haze = np.repeat(np.repeat(haze, 4, axis=0), 4, axis=1)[: shape[0], : shape[1]]
    lamp = 1.0 + rng.uniform(0.0, 0.12) * smooth_noise(shape, (90, 90), rng)
    counts = rng.poisson(np.maximum((sharp + gaussian_filter(haze, 3.0)) * lamp, 0.0) + 1.0)
    read = rng.uniform(0.3, 2.0) * culture.gain
    values = culture.offset + culture.gain * counts + read * rng.standard_normal(shape)
    hot = rng.random(shape) < rng.choice([0.0, 2e-5])
    values[hot] += 0.3 * values.max()
    levels: NDArray[np.uint16] = np.clip(np.rint(values), 0, 65535).astype(np.uint16)
    return levels


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """16-bit TIFF micrographs and instance maps, one map per stained structure."""
    for shot in shots:
        write_tiff(folder / "images" / f"{subject}_{shot.name}.tif", shot.image)
        for structure, numbers in shot.instances.items():
            write_tiff(folder / structure / f"{subject}_{shot.name}.tif", numbers)


FAMILY = Family(name="fluorescence", modalities=("microscopy",), draw=draw, write=write)
