"""Random views of a training image: a part of it, mirrored, with other grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.training.config import Variation
from engine.training.samples import Sample

_LEAST_SIDE_PX = 32


def varied(sample: Sample, how: Variation, min_px: int, rng: np.random.Generator) -> Sample:
    """A random view; objects left with at most `min_px` pixels are dropped, never all of them."""
    image, masks = sample.image, sample.masks
    if how.crop and rng.random() < how.crop:
        rows, columns = _window(image.shape[:2], how.smallest, rng)
        cut = masks[:, rows, columns]
        if (cut.sum(axis=(1, 2)) > min_px).any():
            image, masks = image[rows, columns], cut
    if how.mirror:
        image, masks = _mirrored(image, masks, rng)
    if how.intensity:
        image = _levels(how.intensity, rng)[image]
    kept = np.flatnonzero(masks.sum(axis=(1, 2)) > min_px)
    if len(kept) == 0:
        kept = np.arange(len(masks))
    ids = tuple(sample.object_ids[i] for i in kept)
    return Sample(np.ascontiguousarray(image), np.ascontiguousarray(masks[kept]), ids)


def _window(
    size: tuple[int, ...], smallest: float, rng: np.random.Generator
) -> tuple[slice, slice]:
    parts = []
    share = rng.uniform(smallest, 1.0)
    for length in size:
        extent = min(length, max(_LEAST_SIDE_PX, round(length * share * rng.uniform(0.85, 1.0))))
        start = int(rng.integers(0, length - extent + 1))
        parts.append(slice(start, start + extent))
    return parts[0], parts[1]


def _mirrored(
    image: NDArray[np.uint8], masks: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    down, across, transpose = rng.random(3) < 0.5
    if down:
        image, masks = image[::-1], masks[:, ::-1]
    if across:
        image, masks = image[:, ::-1], masks[:, :, ::-1]
    if transpose:
        image, masks = image.swapaxes(0, 1), masks.swapaxes(1, 2)
    return image, masks


def _levels(strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8[256]: a new level for every level; gamma, then contrast and brightness."""
    gamma = np.exp(strength * rng.uniform(-0.8, 0.8))
    contrast = 1 + strength * rng.uniform(-0.5, 0.3)
    shift = strength * rng.uniform(-0.25, 0.25)
    level = (np.arange(256) / 255) ** gamma
    level = 0.5 + contrast * (level - 0.5) + shift
    table: NDArray[np.uint8] = np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8)
    return table
