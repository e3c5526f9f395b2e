"""Electron micrographs: cells with nucleus, mitochondria, vesicles, lysosomes and myelin.

A subject is one specimen (its fixation and staining), imaged at two places.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.collection.phantoms.anatomy import Mask
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.organelles import (
    Section,
    Specimen,
    droplets,
    lysosomes,
    mitochondria,
    myelin,
    vesicles,
)
from engine.collection.phantoms.optical.pictures import edge, outline, tidy, tidy_instances
from engine.collection.phantoms.raw_files import write_image, write_tiff


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """Two places of one specimen."""
    specimen = Specimen(
        magnification=float(np.exp(rng.uniform(np.log(0.75), np.log(1.6)))),
        cells=int(rng.integers(2, 9)),
        cytoplasm=float(rng.uniform(0.5, 0.78)),
        ribosomes=float(rng.uniform(0.02, 0.12)),
        matrix=float(rng.uniform(0.3, 0.6)),
        chromatin=float(rng.uniform(0.05, 0.3)),
        membrane=float(rng.uniform(0.4, 0.85)),
        cristae=float(rng.uniform(4.5, 8.0)),
        slender=float(rng.uniform(0.25, 0.8)),
        blur_px=float(rng.uniform(0.5, 1.4)),
        noise=float(rng.uniform(0.02, 0.1)),
        stripes=float(rng.uniform(0.0, 0.03)),
        contrast=float(rng.uniform(0.6, 1.1)),
    )
    return tuple(_shot(name, specimen, rng) for name in ("grid1", "grid2"))


def _shot(name: str, specimen: Specimen, rng: np.random.Generator) -> Shot:
    section = Section(specimen, rng)
    _cells(section)
    masks: dict[str, Mask] = {}
    if rng.random() < 0.6:
        masks |= _nucleus(section)
    if rng.random() < 0.35:
        masks["myelin"] = myelin(section)
    numbers = mitochondria(section)
    if rng.random() < 0.5:
        masks["lysosome"] = lysosomes(section)
    if rng.random() < 0.35:
        masks["vesicles"] = vesicles(section)
    droplets(section)
    clean = {key: tidy(mask) for key, mask in masks.items()}
    clean = {key: mask for key, mask in clean.items() if mask.any()}
    image = _detector(section)
    instances = {"mitochondrion": tidy_instances(numbers)} if numbers.any() else {}
    return Shot(name, "electron microscopy", image, clean, instances)


def _cells(section: Section) -> None:
    """Neighbouring cells: each pixel belongs to the nearest seed, membranes run between."""
    rng = section.rng
    warp = 14.0 * np.stack([section.texture(20), section.texture(20)])
    seeds = rng.uniform(-20, np.array(section.shape) + 20, (section.specimen.cells, 2))
    first, second = np.full(section.shape, np.inf), np.full(section.shape, np.inf)
    shade = np.zeros(section.shape)
    for y, x in seeds:
        away = np.hypot(section.where[0] + warp[0] - y, section.where[1] + warp[1] - x)
        closer = away < first
        second = np.where(closer, first, np.minimum(second, away))
        first = np.minimum(first, away)
        shade[closer] = rng.normal(0.0, 0.05)
    section.grey += shade + 0.03 * section.texture(12)
    section.grey -= section.specimen.ribosomes * np.clip(section.texture(0.9), -0.5, 2.5)
    reticulum = section.texture(8) + 0.3 * section.texture(3)
    section.draw_line((np.abs(reticulum) - 0.25) * 14, section.line, 0.45)
    gap = second - first
    section.grey += 0.15 * np.exp(-((gap / 2.2) ** 2))
    section.draw_line(gap - 4.0 * section.line, 1.6 * section.line)


def _nucleus(section: Section) -> dict[str, Mask]:
    """Envelope of two membranes, clumped chromatin, a nucleolus; often cut by the border."""
    rng, specimen = section.rng, section.specimen
    size = rng.uniform(38, 95) * specimen.magnification**0.5
    centre = section.place(-0.2 * size if rng.random() < 0.5 else 0.6 * size)
    shape = outline(rng, centre, (size * rng.uniform(0.6, 1.0), size), rough=0.07, decay=1.0)
    field = shape.field(section.where)
    inside = field <= 1.0
    ground = specimen.cytoplasm + rng.uniform(-0.08, 0.1)
    clumps = section.texture(5) + 0.4 * section.texture(2) + np.exp(-(((field - 0.95) / 0.07) ** 2))
    level = ground + 0.03 * section.texture(1.2)
    level -= specimen.chromatin / (1.0 + np.exp(np.clip(-(clumps - 0.9) / 0.15, -40, 40)))
    section.grey[inside] = level[inside]
    distance = (field - 1.0) * min(shape.radii)
    section.draw_line(distance, 1.2 * section.line)
    section.draw_line(distance + 4.0 * section.line, section.line, 0.8)
    section.taken |= field <= 1.06
    masks = {"nucleus": np.asarray(inside)}
    if rng.random() < 0.65:
        shift = rng.normal(0.0, 0.25, 2) * min(shape.radii)
        radii = size * rng.uniform(0.16, 0.3) * rng.uniform(0.8, 1.2, 2)
        core = outline(rng, centre + shift, radii, rough=0.09, decay=0.8).field(section.where)
        core = np.maximum(core, field / 0.95)
        dark = specimen.cytoplasm - specimen.chromatin - rng.uniform(0.08, 0.2)
        level = dark + 0.05 * section.texture(1.5)
        section.grey += edge(core, 0.06) * (level - section.grey)
        masks["nucleolus"] = np.asarray(core <= 1.0)
    return masks


def _detector(section: Section) -> NDArray[np.uint8]:
    """uint8[y, x]: beam blur, shot noise, knife stripes, uneven section, contrast."""
    rng, specimen = section.rng, section.specimen
    grey = gaussian_filter(section.grey, specimen.blur_px)
    grey += specimen.noise * rng.standard_normal(section.shape)
    turn = rng.uniform(0, np.pi)
    across = np.cos(turn) * section.where[0] + np.sin(turn) * section.where[1]
    waves = np.sin(across / rng.uniform(4, 14)) + np.sin(across / rng.uniform(15, 40))
    grey += specimen.stripes * waves + 0.03 * section.texture(70)
    grey = 0.5 + specimen.contrast * (grey - 0.5) + rng.uniform(-0.08, 0.08)
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8)
    return levels


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """8-bit TIFF micrographs; an instance map of mitochondria and a PNG per other structure."""
    for shot in shots:
        name = f"{subject}_{shot.name}"
        write_tiff(folder / "images" / f"{name}.tif", shot.image)
        for numbers in shot.instances.values():
            write_tiff(folder / "mitochondria" / f"{name}.tif", numbers)
        for structure, mask in shot.masks.items():
            write_image(folder / "masks" / structure / f"{name}.png", mask)


FAMILY = Family(name="electron", modalities=("electron microscopy",), draw=draw, write=write)
