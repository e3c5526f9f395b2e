"""One region per thing a label file names: taken from the phantom, or drawn where it has none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, label

from engine.collection.phantoms.anatomy import ellipsoid, grid, smooth_noise
from engine.collection.replica.truth import Mask
from engine.errors import UserError

_LEAST_PX = 6
_TRIES = 12


def draw_regions(
    names: Sequence[str],
    pool: Mapping[str, Mask],
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    apart: bool,
    solid: bool = False,
) -> list[Mask]:
    """One non-empty region per name, in their order.

    Args:
        names: what the regions are; a phantom mask of the same words is taken, else one with
            some of them, else any of the others for about half of the rest.
        pool: masks of the body.
        shape: of the regions.
        apart: regions may not overlap: what comes later gets what is left.
        solid: each slice of a region is one piece without a hole (for outlines).
    """
    free, out = np.ones(shape, dtype=np.bool_), list[Mask]()
    left = {
        name: mask for name, mask in pool.items() if _words(name) not in set(map(_words, names))
    }
    share = max(_LEAST_PX, free.size // (3 * len(names) + 3))
    for name in names:
        region = _from_pool(name, pool, left, rng, share)
        region = np.zeros(shape, np.bool_) if region is None else region.copy()
        region = region & free if apart else region
        region = _pieces(region, solid, free if apart else None)
        if int(region.sum()) < _LEAST_PX:
            region = _drawn(free, share, rng, solid)
        out.append(region)
        if apart:
            free &= ~region
    return out


def _from_pool(
    name: str, pool: Mapping[str, Mask], left: dict[str, Mask], rng: np.random.Generator, share: int
) -> Mask | None:
    for known, mask in pool.items():
        if _words(known) == _words(name):
            return mask
    for known in left:
        if _words(known) <= _words(name) or _words(name) <= _words(known):
            return left.pop(known)
    if left and rng.random() < 0.5:
        other = next(iter(left))
        mask = left.pop(other)
        if int(mask.sum()) <= 3 * share:
            return mask
    return None


def _words(name: str) -> frozenset[str]:
    """Words without order and plural: `left_kidneys` is `kidney_left`."""
    return frozenset(word.rstrip("s") for word in re.findall(r"[a-z0-9]+", name.lower()))


def _drawn(free: Mask, share: int, rng: np.random.Generator, solid: bool) -> Mask:
    """A deformed ellipse around a free place, within what is free; never empty.

    Raises:
        UserError: nothing is free.
    """
    places = np.argwhere(free)
    if not len(places):
        raise UserError(
            "the replica is too small for all structures of a label file",
            got=f"shape {free.shape}",
            remedy="give replica: a larger shape:",
        )
    best = np.zeros_like(free)
    for attempt in range(_TRIES):
        centre = places[int(rng.integers(len(places)))]
        region = _ellipse(centre, free.shape, share / 2**attempt, rng) & free
        region = _pieces(region, solid, free)
        if int(region.sum()) > int(best.sum()):
            best = region
        if int(best.sum()) >= _LEAST_PX:
            return best
    if not best.any():
        best[tuple(places[int(rng.integers(len(places)))])] = True
    return best


def _ellipse(
    centre: NDArray[np.intp], shape: tuple[int, ...], size: float, rng: np.random.Generator
) -> Mask:
    """About `size` voxels: longer one way than the other, turned, its outline irregular."""
    where = grid(shape, [1.0] * len(shape))
    middle = [float(c) - (n - 1) / 2 for c, n in zip(centre, shape, strict=True)]
    flat = 1.0 if len(shape) == 2 else float(rng.uniform(0.8, max(0.9, 0.35 * shape[0])))
    area = max(size / (2 * flat if len(shape) == 3 else 1), 4.0) * float(rng.uniform(0.6, 1.4))
    ratio = float(rng.uniform(1.2, 2.2))
    radii = [np.sqrt(area / np.pi * ratio), np.sqrt(area / np.pi / ratio)]
    turn = float(rng.uniform(0, 180))
    wobble = 0.12 * smooth_noise(shape, [2.5] * len(shape), rng)
    if len(shape) == 3:
        radii = [flat, *radii]
    return np.asarray(ellipsoid(where, middle, radii, turn_deg=turn, wobble=wobble) <= 1)


def _pieces(region: Mask, solid: bool, free: Mask | None) -> Mask:
    """The region itself, or in every slice its largest piece (4-connected), holes filled.

    A slice in which a hole holds something that is not free is left out.
    """
    if not solid or not region.any():
        return region
    if region.ndim == 3:
        frees = [None] * len(region) if free is None else list(free)
        return np.stack([_pieces(plane, True, f) for plane, f in zip(region, frees, strict=True)])
    parts, n = label(region)
    largest = int(np.bincount(parts.ravel(), minlength=n + 1)[1:].argmax()) + 1
    filled = np.asarray(binary_fill_holes(parts == largest), dtype=np.bool_)
    return filled if free is None or free[filled].all() else np.zeros_like(filled)
