"""What the collection hands to the pipeline: the pixels of a unit's slices and its objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ObjectRef:
    """Where an object's mask lies: `labels[layer] == value` of its slice."""

    object_id: str
    layer: int
    value: int
    area_px: int


@dataclass(frozen=True)
class SliceRef:
    """Where a slice lies and what the study evaluates on it.

    Attributes:
        slice_id: identity of the slice.
        array_path: group in the collection, e.g. `dataset/case`; holds `image` and `labels`.
        index: position along the arrays' slice axis.
        lo, hi: extremes of the slice's *case* (volume), source values; for `scope: volume`.
        spacing_row_mm, spacing_col_mm: None where unknown.
        objects: the objects to evaluate, sorted by object_id.
    """

    slice_id: str
    array_path: str
    index: int
    height: int
    width: int
    volume_lo: float
    volume_hi: float
    spacing_row_mm: float | None
    spacing_col_mm: float | None
    modality: str
    objects: tuple[ObjectRef, ...]


@dataclass(frozen=True)
class SlicePixels:
    """A slice as stored.

    Attributes:
        image: source dtype [y, x] or [y, x, c].
        labels: uint8 or uint16 [layer, y, x].
    """

    image: NDArray[np.generic]
    labels: NDArray[np.unsignedinteger]

    def mask(self, ref: ObjectRef) -> NDArray[np.bool_]:
        """bool[y, x] of one object."""
        mask: NDArray[np.bool_] = self.labels[ref.layer] == ref.value
        return mask
