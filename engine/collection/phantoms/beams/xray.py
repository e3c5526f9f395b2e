"""Radiographs of chests, hands and pelves: two exposures of each patient, PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from engine.collection.phantoms.anatomy import Field, Mask, grid, smooth_noise
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.beams.projection import Film
from engine.collection.phantoms.beams.xray_bones import hand, pelvis
from engine.collection.phantoms.beams.xray_chest import chest
from engine.collection.phantoms.raw_files import write_image


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two exposures: one anatomy, another position, tube voltage and dose."""
    part = (chest, hand, pelvis)[rng.choice(3, p=(0.55, 0.2, 0.25))]
    anatomy = int(rng.integers(2**62))
    deep, inverted = rng.random() < 0.4, rng.random() < 0.1
    shape = int(rng.integers(256, 330)), int(rng.integers(256, 330))
    shots = []
    for name in ("first", "second"):
        film = Film(_view(shape, rng), np.random.Generator(np.random.PCG64(anatomy)))
        part(film)
        seen = _collimated(shape, rng)
        levels = _detect(film.absorbed, seen, rng)
        levels = np.where(seen, 1.0 - levels, 0.0) if inverted else levels
        image = _stored(levels, deep, rng)
        shots.append(Shot(name, "X-ray", image, film.masks(seen), {}))
    return tuple(shots)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """`images/<subject>_<shot>.png` and a folder of masks per structure."""
    for shot in shots:
        name = f"{subject}_{shot.name}.png"
        write_image(folder / "images" / name, shot.image)
        for structure, mask in shot.masks.items():
            write_image(folder / "masks" / structure / name, mask)


FAMILY = Family(name="xray", modalities=("X-ray",), draw=draw, write=write)


def _view(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """float64[2, y, x]: the patient's coordinates, turned, moved and magnified."""
    where = grid(shape, (2.0 / min(shape),) * 2) / rng.uniform(0.85, 1.12)
    angle = np.deg2rad(rng.normal(0.0, 5.0))
    y, x = where[0] + rng.normal(0.0, 0.05), where[1] + rng.normal(0.0, 0.05)
    turned = np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x
    return np.stack(turned)


def _collimated(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Where the beam falls: sometimes a frame around it is not exposed."""
    seen = np.ones(shape, dtype=np.bool_)
    if rng.random() < 0.25:
        top, bottom, left, right = rng.integers(0, 18, 4)
        seen[:] = False
        seen[top : shape[0] - bottom, left : shape[1] - right] = True
    return seen


def _detect(absorbed: Field, seen: Mask, rng: np.random.Generator) -> Field:
    """Blur of the focal spot, scatter, quantum noise, then a display curve; 0..1, bones bright."""
    beam = np.exp(-rng.uniform(0.9, 1.5) * np.clip(absorbed, 0.0, None))
    beam = gaussian_filter(beam, rng.uniform(0.4, 1.1))
    scatter = rng.uniform(0.02, 0.12) * uniform_filter(uniform_filter(beam, 35), 35)
    photons = np.exp(rng.uniform(np.log(1500.0), np.log(20000.0)))
    expected = photons * (beam + scatter)
    # So many photons are as good as normally distributed.
    counted = np.clip(expected + np.sqrt(expected) * rng.standard_normal(beam.shape), 1.0, None)
    heel = 0.08 * rng.normal() * np.linspace(-1, 1, beam.shape[0])[:, None]
    film = -np.log(counted / photons) + heel
    film = film + 0.02 * smooth_noise(film.shape, (60.0, 60.0), rng)
    low, high = np.percentile(film[seen], (rng.uniform(0.0, 2.0), rng.uniform(99.0, 100.0)))
    levels = np.clip((film - low) / max(high - low, 1e-6), 0.0, 1.0)
    curve = levels ** rng.uniform(0.7, 1.5)
    return np.asarray(np.where(seen, curve, 0.0))


def _stored(
    levels: Field, deep: bool, rng: np.random.Generator
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """8 bits, or 12 of 16."""
    if deep:
        return np.asarray(np.rint(rng.uniform(2500, 4095) * levels), dtype=np.uint16)
    return np.asarray(np.rint(255 * levels), dtype=np.uint8)
