"""Both twins behind one interface: where the masks are decides who counts and measures them.

`engine.scoring.device`, and with it torch, is loaded only for masks that are its tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard, TypeVar

import numpy as np

from engine.masks import Masks
from engine.scoring.counts import Ints, Mask
from engine.scoring.distances import Distances, TruthBorder

T = TypeVar("T")
R = TypeVar("R")


def count_all(truths: Sequence[TruthBorder], masks: Sequence[Masks]) -> tuple[Ints, Ints]:
    """tp and pred_px, int64[n, c] each, of the masks of n trials, bool[c, y, x] each; n >= 1.

    Raises:
        SamscopeError: masks that do not fit the slice.
    """
    for truth, some in zip(truths, masks, strict=True):
        truth.region.check(some)
    if not _on_host(masks):
        from engine.scoring.device import count_together

        return count_together(truths, masks)
    counts = [t.region.count_all(some) for t, some in zip(truths, masks, strict=True)]
    return np.stack([tp for tp, _ in counts]), np.stack([pred_px for _, pred_px in counts])


def measure_all(truths: Sequence[TruthBorder], masks: Sequence[Masks]) -> list[Distances]:
    """All distances of n predictions, bool[y, x] each of its truth's slice, none empty."""
    if not _on_host(masks):
        from engine.scoring.device import measure_together

        return measure_together(truths, masks)
    return [truth.distances(mask) for truth, mask in zip(truths, masks, strict=True)]


def _on_host(masks: Sequence[Masks]) -> TypeGuard[Sequence[Mask]]:
    return all(isinstance(some, np.ndarray) for some in masks)


def together_or_alone(
    work: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]
) -> list[R | Exception]:
    """Work on all items at once; where that fails, on each alone, so that only the guilty fail."""
    if not items:
        return []
    try:
        return list(work(items))
    except Exception as problem:  # noqa: BLE001  an item must not stop its neighbours
        if len(items) == 1:
            return [problem]
    return [result for item in items for result in together_or_alone(work, [item])]
