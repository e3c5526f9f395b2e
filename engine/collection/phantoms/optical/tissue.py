"""Histopathology: sections stained with haematoxylin and eosin, seen at two magnifications.

Every pixel has an amount of each stain, and light is lost by Beer-Lambert's law. A subject is one
block of tissue with its stain batch: an overview (glands with lumen, tumour) and a close view
(large nuclei).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Mask
from engine.collection.phantoms.base import Family, Shot
from engine.collection.phantoms.optical.large_nuclei import large_nuclei
from engine.collection.phantoms.optical.pictures import camera, expose, tidy, tidy_instances
from engine.collection.phantoms.optical.stained import (
    Block,
    Slide,
    fat,
    glands,
    lymphocytes,
    stroma,
    tumour,
    vessel,
)
from engine.collection.phantoms.raw_files import write_image, write_tiff

_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.07, 0.99, 0.11])


def draw(rng: np.random.Generator) -> tuple[Shot, ...]:
    """An overview and a close view of one block."""
    block = _block(rng)
    return _overview(block, rng), _close(block, rng)


def _block(rng: np.random.Generator) -> Block:
    stains = np.stack([_HAEMATOXYLIN, _EOSIN]) * rng.normal(1.0, 0.12, (2, 3))
    stains += rng.uniform(0, 0.06, (2, 3))
    tumour = bool(rng.random() < 0.55)
    return Block(
        stains=stains,
        blue=float(rng.uniform(0.7, 1.5)),
        pink=float(rng.uniform(0.25, 0.75)),
        fibre_deg=float(rng.uniform(0, 180)),
        fibre_px=float(rng.uniform(5, 14)),
        cellularity=float(rng.uniform(0.0005, 0.0025)),
        gland_px=float(rng.uniform(28, 62)),
        lumen=float(rng.uniform(0.32, 0.7)),
        glands=int(rng.integers(0 if tumour else 2, 5)),
        tumour=tumour,
        grade=float(rng.uniform(0.0, 1.0)),
        nucleus_px=float(rng.uniform(11.5, 26)),
        ratio=float(rng.uniform(0.5, 0.95)),
        chromatin=float(rng.uniform(0.1, 0.5)),
    )


def _overview(block: Block, rng: np.random.Generator) -> Shot:
    slide = Slide(block, rng)
    stroma(slide, 1.0)
    masks: dict[str, Mask] = {}
    taken = np.zeros(slide.shape, dtype=np.bool_)
    if block.tumour:
        masks["tumour"] = tumour(slide)
        taken |= masks["tumour"]
    if rng.random() < 0.3:
        masks["fat"] = fat(slide, taken)
        taken |= masks["fat"]
    if rng.random() < 0.4:
        masks["vessel"] = vessel(slide, taken, 1.0)
        taken |= masks["vessel"]
    numbers, lumens = glands(slide, taken)
    if rng.random() < 0.4:
        lymphocytes(slide, taken)
    masks = {key: tidy(mask) for key, mask in masks.items()}
    instances = {"gland": tidy_instances(numbers), "gland_lumen": tidy_instances(lumens)}
    return _shot("overview", slide, masks, instances)


def _close(block: Block, rng: np.random.Generator) -> Shot:
    slide = Slide(block, rng)
    stroma(slide, 2.5)
    numbers = large_nuclei(slide)
    vein = np.zeros(slide.shape, dtype=np.bool_)
    if rng.random() < 0.35:
        vein = vessel(slide, numbers > 0, 2.2)
    return _shot("close", slide, {"vessel": tidy(vein)}, {"nucleus": tidy_instances(numbers)})


def _shot(
    name: str, slide: Slide, masks: dict[str, Mask], instances: dict[str, NDArray[np.uint16]]
) -> Shot:
    """Light through both stains, then the camera."""
    rng = slide.rng
    thick = 1.0 + 0.06 * slide.texture(40) + 0.04 * slide.texture(1.2)
    amounts = np.stack([slide.blue, slide.pink], axis=-1) * np.maximum(thick, 0.3)[..., None]
    light = 0.97 * np.exp(-np.clip(amounts, 0, None) @ slide.block.stains)
    image = expose(light, camera(rng, blur_px=1.3, noise=0.025), rng)
    found = {key: mask for key, mask in masks.items() if mask.any()}
    numbered = {key: numbers for key, numbers in instances.items() if numbers.any()}
    return Shot(name, "histopathology", image, found, numbered)


def write(folder: Path, subject: str, shots: tuple[Shot, ...]) -> None:
    """RGB TIFF pictures; PNG instance maps and region masks, a folder per structure."""
    for shot in shots:
        write_tiff(folder / "images" / f"{subject}_{shot.name}.tif", shot.image)
        for structure, numbers in shot.instances.items():
            write_image(folder / structure / f"{subject}_{shot.name}.png", numbers)
        for structure, mask in shot.masks.items():
            write_image(folder / "regions" / structure / f"{subject}_{shot.name}.png", mask)


FAMILY = Family(name="histopathology", modalities=("histopathology",), draw=draw, write=write)
