"""The close view of a stained section: a sheet of cells with large nuclei."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field
from engine.collection.phantoms.optical.pictures import Outline, edge, outline
from engine.collection.phantoms.optical.stained import Slide, border_gap, lies_in


def large_nuclei(slide: Slide) -> NDArray[np.uint16]:
    """Numbered nuclei in cytoplasm with cell borders; chromatin, nucleoli, a dark membrane."""
    rng, block = slide.rng, slide.block
    numbers = np.zeros(slide.shape, dtype=np.uint16)
    bodies = _bodies(slide, int(rng.integers(5, 13)))
    cytoplasm = block.pink * (0.8 + 0.12 * slide.texture(8) + 0.08 * slide.texture(1.5))
    gap = border_gap(slide.where, np.array([body.centre for body in bodies]))
    border = np.exp(-(((gap + 2.0 * slide.texture(8)) / 2.5) ** 2))
    sheet = edge(1.0 - (slide.texture(45) + rng.uniform(0.0, 2.0)), 0.1)
    slide.fill(sheet, 0.12 * block.blue, cytoplasm * (1.0 - rng.uniform(-0.5, 0.6) * border))
    grain = slide.texture(1.8) + 0.6 * slide.texture(4)
    for number, body in enumerate(bodies, start=1):
        _large_nucleus(slide, numbers, number, body, grain)
    n = int(rng.integers(0, 8))
    points = rng.uniform(0, np.array(slide.shape) - 1, (n, 2))
    slide.small_nuclei(points[~lies_in(numbers > 0, points)], 3.5, 1.0, 0.0)
    return numbers


def _bodies(slide: Slide, wanted: int) -> list[Outline]:
    """Outlines of large nuclei that hardly touch."""
    rng, block = slide.rng, slide.block
    bodies: list[Outline] = []
    for _ in range(60):
        size = max(8.5, block.nucleus_px * np.exp(rng.normal(0, 0.1 + 0.2 * block.grade)))
        ratio = np.clip(block.ratio * np.exp(rng.normal(0, 0.1)), 0.45, 1.0)
        centre = rng.uniform(0, 1, 2) * slide.shape
        rough = 0.02 + 0.06 * block.grade
        body = outline(rng, centre, (size * ratio, size), rough=rough)
        if all(np.hypot(*(centre - b.centre)) > 0.95 * (body.reach + b.reach) for b in bodies):
            bodies.append(body)
        if len(bodies) == wanted:
            break
    return bodies


def _large_nucleus(
    slide: Slide, numbers: NDArray[np.uint16], number: int, body: Outline, grain: Field
) -> None:
    rng, block, size = slide.rng, slide.block, max(body.radii)
    part = body.window(slide.shape, 1.7)
    where = slide.where[(slice(None), *part)]
    field = body.field(where)
    numbers[part][(field <= 1.0) & (numbers[part] == 0)] = number
    dark = block.blue * rng.uniform(0.4, 0.95)
    level = dark * (1.0 + block.chromatin * grain[part])
    level += 0.4 * dark * np.exp(-(((field - 0.95) * size / 1.5) ** 2))
    middle = np.array(body.centre) + rng.normal(0, 0.25, 2) * min(body.radii)
    spot = outline(rng, middle, (0.16 * size, 0.16 * size)).field(where)
    level += 0.6 * dark * edge(spot, 0.1)
    halo = np.exp(-(((field - 1.1) / 0.08) ** 2)) * (field > 1.0)
    slide.pink[part] *= 1.0 - 0.35 * halo
    slide.fill(edge(field, 0.03), np.clip(level, 0.1, None), 0.5 * block.pink, part)
