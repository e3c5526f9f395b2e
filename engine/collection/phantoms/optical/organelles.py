"""Organelles of an electron micrograph, painted where there is room for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.phantoms.anatomy import Field, Mask, smooth_noise
from engine.collection.phantoms.optical.pictures import (
    Outline,
    edge,
    outline,
    picture_size,
    pixel_grid,
)

Window = tuple[slice, slice]

_ALL = (slice(None), slice(None))


@dataclass(frozen=True)
class Specimen:
    """Grey levels are 0 (dense) to 1 (empty resin).

    Attributes:
        magnification: pixels per pixel of the usual scale.
        cytoplasm, matrix, chromatin: grey of the compartments; membrane: how dark lines are.
        cristae: distance of a mitochondrion's inner folds in pixels.
    """

    magnification: float
    cells: int
    cytoplasm: float
    ribosomes: float
    matrix: float
    chromatin: float
    membrane: float
    cristae: float
    slender: float
    blur_px: float
    noise: float
    stripes: float
    contrast: float


class Section:
    """One picture in the making: grey levels and what is already occupied."""

    def __init__(self, specimen: Specimen, rng: np.random.Generator) -> None:
        self.specimen = specimen
        self.rng = rng
        self.shape = picture_size(rng)
        self.where = pixel_grid(self.shape)
        self.grey = np.full(self.shape, specimen.cytoplasm)
        self.taken = np.zeros(self.shape, dtype=np.bool_)
        self.line = max(0.8, specimen.magnification)
        self._textures: dict[float, Field] = {}

    def place(self, margin: float = -5.0) -> Field:
        return self.rng.uniform(margin, np.array(self.shape) - margin)

    def draw_line(
        self, distance_px: Field, width_px: float, dark: float = 1.0, part: Window = _ALL
    ) -> None:
        """A membrane where the distance is 0, in a part of the picture."""
        near = np.abs(distance_px) < 3 * width_px
        share = np.exp(-((distance_px[near] / width_px) ** 2))
        self.grey[part][near] *= 1.0 - dark * self.specimen.membrane * share

    def texture(self, sigma: float) -> Field:
        """Noise of that width; later calls get the same field, bright and dark exchanged or not.

        Small bodies lie at different places of it, so nobody sees that they share it.
        """
        if sigma not in self._textures:
            self._textures[sigma] = smooth_noise(self.shape, (sigma, sigma), self.rng)
        return np.asarray(self._textures[sigma] * self.rng.choice([-1.0, 1.0]))


def mitochondria(section: Section) -> NDArray[np.uint16]:
    """Numbered sausages with a double membrane and cristae, clear of each other."""
    rng, specimen = section.rng, section.specimen
    numbers = np.zeros(section.shape, dtype=np.uint16)
    wanted, found = int(rng.integers(2, 9)), 0
    wobble = 0.035 * section.texture(9)
    for _ in range(40):
        long = rng.uniform(15, 42) * specimen.magnification
        short = max(8.0, long * specimen.slender * rng.uniform(0.75, 1.25))
        ends = outline(rng, section.place(), (long, long), rough=0.0)
        part = ends.window(section.shape, 1.6)
        v, u = _along(section.where[(slice(None), *part)], ends, float(rng.normal(0, 0.22)) / long)
        field = ((np.abs(v) / short) ** 2.4 + (np.abs(u) / long) ** 2.4) ** (1 / 2.4)
        field += wobble[part]
        if np.any(section.taken[part] & (field < 1.15)) or not np.any(field <= 1.0):
            continue
        found += 1
        numbers[part][field <= 1.0] = found
        section.taken[part] |= field <= 1.12
        _mitochondrion(section, part, field, u, v, short)
        if found == wanted:
            break
    return numbers


def _along(where: Field, ends: Outline, bow: float) -> tuple[Field, Field]:
    """Coordinates across and along a bent body."""
    angle = np.deg2rad(ends.turn_deg)
    y, x = where[0] - ends.centre[0], where[1] - ends.centre[1]
    u = np.sin(angle) * y + np.cos(angle) * x
    return np.cos(angle) * y - np.sin(angle) * x + bow * u**2, u


def _mitochondrion(
    section: Section, part: Window, field: Field, u: Field, v: Field, short: float
) -> None:
    """Paint matrix, cristae across the body, and both membranes."""
    rng, specimen = section.rng, section.specimen
    level = specimen.matrix + rng.normal(0.0, 0.04) + 0.04 * section.texture(0.9)[part]
    phase = 2 * np.pi * u / (specimen.cristae * section.line) + 1.5 * section.texture(8)[part]
    reach = np.abs(v) / short < rng.uniform(0.45, 0.85)
    folds = np.where(reach, np.clip(np.cos(phase) - 0.3, 0, 1), 0.0)
    level += rng.choice([-0.8, 0.8]) * 0.28 * folds
    inside = field <= 1.0
    section.grey[part][inside] = level[inside]
    section.draw_line((field - 0.98) * short, 1.1 * section.line, part=part)
    inner = (field - 0.98) * short + 3.0 * section.line
    section.draw_line(inner, 0.8 * section.line, 0.7, part)


def myelin(section: Section) -> Mask:
    """The dark laminated sheath of an axon: a ring that does not contain its centre."""
    rng = section.rng
    size = rng.uniform(22, 60)
    centre = section.place(0.5 * size)
    body = outline(rng, centre, (size * rng.uniform(0.65, 1.0), size), rough=0.05)
    field, inner = body.field(section.where), rng.uniform(0.6, 0.85)
    mask = (field > inner) & (field <= 1.0) & ~section.taken
    axon = (field <= inner) & ~section.taken
    section.grey[axon] = section.specimen.cytoplasm + 0.1 + 0.02 * section.texture(2)[axon]
    layers = np.cos(2 * np.pi * (field - inner) * min(body.radii) / (2.6 * section.line))
    level = 0.2 + 0.08 * layers + 0.03 * section.texture(3)
    section.grey[mask] = level[mask]
    section.taken |= field <= 1.05
    return np.asarray(mask)


def lysosomes(section: Section) -> Mask:
    """Dense round bodies, one or two."""
    rng = section.rng
    mask = np.zeros(section.shape, dtype=np.bool_)
    for _ in range(12):
        radii = rng.uniform(7, 19) * rng.uniform(0.8, 1.2, 2)
        body = outline(rng, section.place(), radii, rough=0.06)
        part = body.window(section.shape)
        field = body.field(section.where[(slice(None), *part)])
        if np.any(section.taken[part] & (field < 1.1)):
            continue
        level = rng.uniform(0.12, 0.35) + 0.06 * section.texture(2)[part]
        section.grey[part] += edge(field, 0.05) * (level - section.grey[part])
        section.draw_line((field - 1.0) * min(radii), section.line, part=part)
        section.taken[part] |= field <= 1.1
        mask[part] |= field <= 1.0
        if rng.random() < 0.5:
            break
    return mask


def vesicles(section: Section) -> Mask:
    """A cloud of small clear bubbles with a membrane."""
    rng = section.rng
    mask = np.zeros(section.shape, dtype=np.bool_)
    middle, spread = section.place(40.0), rng.uniform(18, 40)
    for _ in range(int(rng.integers(6, 22))):
        radius = rng.uniform(5.0, 8.0)
        centre = middle + spread * rng.standard_normal(2)
        bubble = outline(rng, centre, (radius, radius), rough=0.03)
        part = bubble.window(section.shape, 1.8)
        field = bubble.field(section.where[(slice(None), *part)])
        if field.size == 0 or np.any(section.taken[part] & (field < 1.1)):
            continue
        grey = section.grey[part]
        grey += edge(field, 0.08) * (section.specimen.cytoplasm + 0.16 - grey)
        line = np.exp(-(((field - 0.95) * radius / section.line) ** 2))
        grey *= 1.0 - section.specimen.membrane * line
        section.taken[part] |= field <= 1.15
        mask[part] |= field <= 1.0
    return mask


def droplets(section: Section) -> None:
    """Smooth lipid droplets without a label."""
    rng = section.rng
    for _ in range(int(rng.integers(0, 4))):
        field = outline(rng, section.place(), rng.uniform(6, 16, 2), rough=0.02)
        inside = field.field(section.where)
        if not np.any(section.taken & (inside < 1.1)):
            section.grey += edge(inside, 0.05) * (rng.choice([0.15, 0.9]) - section.grey)
            section.taken |= inside <= 1.1
