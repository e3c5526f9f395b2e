"""What every stained section is made of: two stains, fibres, cells on a shaken lattice, veins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise
from engine.collection.phantoms.optical.pictures import (
    Outline,
    dots,
    edge,
    outline,
    picture_size,
    pixel_grid,
)

Window = tuple[slice, slice]

_ALL = (slice(None), slice(None))


@dataclass(frozen=True, eq=False)
class Block:
    """Tissue and stain of one block.

    Attributes:
        stains: float64[2, 3], optical density per channel of haematoxylin and eosin.
        blue, pink: amount of either stain; cellularity: density of stromal nuclei.
        gland_px: radius of a gland; lumen: share of the radius that is open.
        tumour: whether the overview has a tumour; grade: how large and dark its nuclei are.
        nucleus_px: radius of a nucleus in the close view; ratio: short over long.
    """

    stains: Field
    blue: float
    pink: float
    fibre_deg: float
    fibre_px: float
    cellularity: float
    gland_px: float
    lumen: float
    glands: int
    tumour: bool
    grade: float
    nucleus_px: float
    ratio: float
    chromatin: float


class Slide:
    """One picture in the making: amounts of both stains."""

    def __init__(self, block: Block, rng: np.random.Generator) -> None:
        self.block = block
        self.rng = rng
        self.shape = picture_size(rng)
        self.where = pixel_grid(self.shape)
        self.blue = np.full(self.shape, 0.05)
        self.pink = np.zeros(self.shape)

    def texture(self, sigma: float) -> Field:
        return smooth_noise(self.shape, (sigma, sigma), self.rng)

    def fill(
        self, share: Field, blue: Field | float, pink: Field | float, part: Window = _ALL
    ) -> None:
        """Move both stains towards new amounts, in a part of the picture."""
        self.blue[part] += share * (blue - self.blue[part])
        self.pink[part] += share * (pink - self.pink[part])

    def small_nuclei(
        self, centres: Field, radius: float, length: float, lean_deg: Field | float
    ) -> None:
        """Dark dots or short strokes of haematoxylin."""
        if not len(centres):
            return
        n, along = len(centres), np.linspace(-0.5, 0.5, max(2, int(length / radius) + 1))
        angle = np.deg2rad(np.broadcast_to(lean_deg, n))
        step = length * np.column_stack([np.sin(angle), np.cos(angle)])
        points = (centres + along[:, None, None] * step).reshape(-1, 2)
        radii = np.tile(radius * np.exp(self.rng.normal(0, 0.15, n)), len(along))
        self.fill(0.9 * dots(self.shape, points, radii), 1.1 * self.block.blue, 0.35)


def stroma(slide: Slide, zoom: float) -> None:
    """Wavy collagen fibres with gaps and spindle-shaped nuclei along them."""
    block, rng = slide.block, slide.rng
    angle = np.deg2rad(block.fibre_deg)
    across = np.cos(angle) * slide.where[0] + np.sin(angle) * slide.where[1]
    phase = 2 * np.pi * across / (block.fibre_px * zoom) + 3.5 * slide.texture(18 * zoom)
    fibres = np.cos(phase) + 0.6 * np.cos(2.3 * phase + 2.0 * slide.texture(7))
    slide.pink = block.pink * (0.75 + 0.16 * fibres + 0.1 * slide.texture(2))
    gaps = edge(1.0 - (fibres + slide.texture(6) + 2.6) / 2.0, 0.15)
    slide.fill(0.8 * (1.0 - gaps), 0.02, 0.05)
    n = rng.poisson(block.cellularity * slide.blue.size / zoom**2)
    lean = 180.0 - block.fibre_deg + rng.normal(0, 20, n)
    slide.small_nuclei(rng.uniform(0, slide.shape, (n, 2)), 1.5 * zoom, 5.0 * zoom, lean)


def tumour(slide: Slide) -> Mask:
    """A crowded sheet of dark, uneven nuclei with a ragged front."""
    block, rng = slide.block, slide.rng
    size = rng.uniform(38, 95)
    centre = rng.uniform(0.1, 0.9, 2) * slide.shape
    radii = size * np.array([rng.uniform(0.6, 1.0), 1.0])
    front = outline(rng, centre, radii, rough=rng.uniform(0.05, 0.14), decay=0.8)
    field = front.field(slide.where) + 0.05 * slide.texture(5)
    inside = field <= 1.0
    slide.fill(0.92 * edge(field, 0.03), 0.28 * block.blue, 0.6 * block.pink)
    spacing = 6.5 + 3.0 * block.grade
    centres = lattice(slide, spacing)
    keep = lies_in(field < 0.97, centres)
    radius = 2.0 + 1.1 * block.grade
    slide.small_nuclei(centres[keep], radius, 1.5, rng.uniform(0, 180, int(keep.sum())))
    return np.asarray(inside)


def lattice(slide: Slide, spacing: float) -> Field:
    """float64[n, 2]: points of a shaken lattice inside the picture."""
    rows, columns = (np.arange(spacing / 2, n - 1, spacing) for n in slide.shape)
    lattice = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    lattice += slide.rng.uniform(-0.4, 0.4, lattice.shape) * spacing
    return np.asarray(np.clip(lattice, 0, np.array(slide.shape) - 1.0))


def fat(slide: Slide, taken: Mask) -> Mask:
    """Empty cells with thin walls in a patch of fatty tissue."""
    rng = slide.rng
    patch = outline(rng, rng.uniform(0, 1, 2) * slide.shape, rng.uniform(28, 70, 2), rough=0.08)
    part = patch.window(slide.shape)
    where = slide.where[(slice(None), *part)]
    field = patch.field(where)
    seeds = lattice(slide, rng.uniform(15, 24))
    near = np.hypot(*(seeds - patch.centre).T) < 1.3 * patch.reach
    gap = border_gap(where, seeds[near])
    walls = np.exp(-((gap / 2.0) ** 2))
    share = np.where(taken[part], 0.0, edge(field, 0.02))
    slide.fill(share, 0.03 + 0.2 * walls, 0.02 + 0.5 * slide.block.pink * walls, part)
    mask = np.zeros(slide.shape, dtype=np.bool_)
    mask[part] = (field <= 1.0) & ~taken[part]
    return mask


def border_gap(where: Field, seeds: Field) -> Field:
    """How much farther the second nearest seed is than the nearest: 0 on cell borders."""
    first, second = np.full(where.shape[1:], 1e6), np.full(where.shape[1:], 4e6)
    for seed in seeds:
        away = (where[0] - seed[0]) ** 2 + (where[1] - seed[1]) ** 2
        second = np.minimum(second, np.maximum(first, away))
        first = np.minimum(first, away)
    return np.asarray(np.sqrt(second) - np.sqrt(first))


def vessel(slide: Slide, taken: Mask, zoom: float) -> Mask:
    """A vein: thin wall, pale lumen, red blood cells in it."""
    rng = slide.rng
    mask = np.zeros(slide.shape, dtype=np.bool_)
    radii = rng.uniform(11, 26) * zoom * np.array([rng.uniform(0.45, 1.0), 1.0])
    body = outline(rng, rng.uniform(0.05, 0.95, 2) * slide.shape, radii, rough=0.07)
    part = body.window(slide.shape)
    field = body.field(slide.where[(slice(None), *part)])
    if np.any((field <= 1.05) & taken[part]):
        return mask
    slide.fill(np.exp(-(((field - 1.0) / 0.07) ** 2)), 0.25 * slide.block.blue, 0.9, part)
    slide.fill(edge(field, 0.03), 0.03, 0.05, part)
    mask[part] = field <= 1.0
    cells = lattice(slide, 4.2 * zoom)
    cells = cells[lies_in(mask, cells) & (rng.random(len(cells)) < rng.uniform(0.2, 0.9))]
    discs = dots(slide.shape, cells, np.full(len(cells), 1.9 * zoom))
    slide.fill(np.where(mask, discs, 0.0), 0.08, 1.5 * slide.block.pink)
    return mask


def lies_in(mask: Mask, points: Field) -> NDArray[np.bool_]:
    """bool[n]: which points (y, x) lie in the mask."""
    return np.asarray(mask[tuple(points.astype(np.intp).T)], dtype=np.bool_)


def glands(slide: Slide, taken: Mask) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Rings of epithelium with nuclei at their base around an open lumen, numbered alike."""
    rng, block = slide.rng, slide.block
    glands = np.zeros(slide.shape, dtype=np.uint16)
    lumens = np.zeros(slide.shape, dtype=np.uint16)
    for _ in range(25):
        if glands.max() >= block.glands:
            break
        size = block.gland_px * np.exp(rng.normal(0, 0.2))
        centre = rng.uniform(-0.1, 1.1, 2) * slide.shape
        radii = size * np.array([rng.uniform(0.55, 1.0), 1.0])
        body = outline(rng, centre, radii, rough=rng.uniform(0.03, 0.1), decay=1.1)
        field = body.field(slide.where)
        inside = field <= 1.0
        if inside.sum() < 500 or np.any(inside & (taken | (glands > 0))):
            continue
        number = int(glands.max()) + 1
        glands[inside] = number
        lumen = _epithelium(slide, body, field)
        lumens[lumen] = number
    return glands, lumens


def _epithelium(slide: Slide, body: Outline, field: Field) -> Mask:
    """Paint one gland; returns its lumen."""
    rng, block = slide.rng, slide.block
    open_ = block.lumen * rng.uniform(0.8, 1.2)
    slide.fill(0.6 * np.exp(-(((field - 1.06) / 0.05) ** 2)), 0.02, 0.12)
    slide.fill(edge(field, 0.015), 0.25 * block.blue, block.pink * (0.75 + 0.1 * slide.texture(3)))
    around = 2 * np.pi * np.mean(body.radii)
    angles = np.arange(0, 2 * np.pi, 2 * np.pi * 5.2 / around)
    for level in (0.9, 0.74)[: 1 + int(rng.random() < 0.5)]:
        points = _on_curve(body, angles + rng.normal(0, 0.02, len(angles)), level)
        offset = points - body.centre
        lean = np.rad2deg(np.arctan2(offset[:, 0], offset[:, 1]))
        slide.small_nuclei(points, 1.9, 3.5, lean)
    inner = field / open_ + 0.1 * slide.texture(4)
    debris = np.clip(0.1 * slide.texture(5), 0, 1) * rng.uniform(0, 3)
    slide.fill(edge(inner, 0.04), 0.03, debris)
    return np.asarray(inner <= 1.0)


def _on_curve(body: Outline, angles: Field, level: float) -> Field:
    """float64[n, 2]: points (y, x) where the field of the outline is `level`."""
    at = np.rint(angles / (2 * np.pi) * len(body.profile)).astype(np.intp) % len(body.profile)
    v = level * body.profile[at] * body.radii[0] * np.sin(angles)
    u = level * body.profile[at] * body.radii[1] * np.cos(angles)
    turn = np.deg2rad(body.turn_deg)
    y, x = np.cos(turn) * v + np.sin(turn) * u, -np.sin(turn) * v + np.cos(turn) * u
    return np.asarray(np.column_stack([y, x]) + np.asarray(body.centre))


def lymphocytes(slide: Slide, taken: Mask) -> None:
    """A cluster of small round nuclei without a label."""
    rng = slide.rng
    centre, spread = rng.uniform(0.1, 0.9, 2) * slide.shape, rng.uniform(8, 25)
    points = centre + spread * rng.standard_normal((int(rng.integers(15, 60)), 2))
    points = np.clip(points, 0, np.array(slide.shape) - 1.0)
    free = ~lies_in(taken, points)
    slide.small_nuclei(points[free], 2.0, 0.5, 0.0)
