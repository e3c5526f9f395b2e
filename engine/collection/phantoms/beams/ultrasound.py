"""Sonograms: two frames of each patient, 8-bit PNG and a mask per structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.collection.phantoms.anatomy import Field, grid
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.beams.probe import Probe, Tissues, fan, linear, sonogram
from engine.collection.phantoms.beams.sonography import breast, fetal_head, gallbladder, heart, neck
from engine.collection.phantoms.raw_files import write_image

_SCENES = (fetal_head, neck, heart, breast, gallbladder)
_MIRRORED = (neck, breast, gallbladder)


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two frames: one anatomy, the probe held differently, another gain."""
    scene = _SCENES[rng.choice(len(_SCENES), p=(0.2, 0.2, 0.2, 0.2, 0.2))]
    anatomy = int(rng.integers(2**62))
    shape = int(rng.integers(256, 320)), int(rng.integers(256, 336))
    mirrored = scene in _MIRRORED and rng.random() < 0.5
    shots = []
    for name in ("frame1", "frame2"):
        where = _held(shape, rng, mirrored)
        tissues = Tissues(where, np.random.Generator(np.random.PCG64(anatomy)))
        scene(tissues)
        probe = _probe(scene.__name__, shape, rng)
        image = sonogram(tissues, probe, rng)
        shots.append(Shot(name, "ultrasound", image, tissues.masks(probe.seen), {}))
    return tuple(shots)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """A folder per subject: `frames/<shot>.png` and `masks/<shot>-<structure>.png`."""
    for shot in shots:
        write_image(folder / subject / "frames" / f"{shot.name}.png", shot.image)
        for structure, mask in shot.masks.items():
            write_image(folder / subject / "masks" / f"{shot.name}-{structure}.png", mask)


FAMILY = Family(name="ultrasound", modalities=("ultrasound",), draw=draw, write=write)


def _held(shape: tuple[int, int], rng: np.random.Generator, mirrored: bool) -> Field:
    """float64[2, y, x]: the patient's coordinates, turned, moved and magnified a little."""
    where = grid(shape, (2.0 / min(shape),) * 2) / rng.uniform(0.88, 1.12)
    angle = np.deg2rad(rng.normal(0.0, 4.0))
    y, x = where[0] + rng.normal(0.0, 0.04), where[1] + rng.normal(0.0, 0.06)
    turned = np.stack(
        [np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x]
    )
    return np.asarray(turned * np.array([1.0, -1.0 if mirrored else 1.0])[:, None, None])


def _probe(scene: str, shape: tuple[int, int], rng: np.random.Generator) -> Probe:
    if scene in ("neck", "breast"):
        return linear(shape, rng)
    return fan(shape, rng, (34.0, 46.0) if scene == "heart" else (25.0, 33.0))
