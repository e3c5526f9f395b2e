"""What a correct ingest of a replica must find; made without any code of readers or curation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrueCase:
    """One case, oriented as protocol section 1.2 says.

    Attributes:
        case, subject, modality, plane: as the catalog must have them, frame suffix included.
        shape: (slices, rows, columns).
        image: [slice, y, x] or [slice, y, x, 3], values as drawn.
        lossy: whether the format changes the image's values a little.
        masks: (structure, instance) -> bool[slice, y, x], at least one pixel each.
        spacing_mm: (slice, row, column), None where the catalog must not know it.
        split: official split, None where the recipe names none.
    """

    case: str
    subject: str
    modality: str
    plane: str
    shape: tuple[int, int, int]
    image: NDArray[np.generic]
    lossy: bool
    masks: dict[tuple[str, int], Mask]
    spacing_mm: tuple[float | None, float | None, float | None]
    split: str | None = None

    def objects(self) -> Iterator[tuple[int, str, int, int]]:
        """(slice, structure, instance, area in px) of every object, empty slices left out."""
        for (structure, instance), mask in self.masks.items():
            for index in np.flatnonzero(mask.any(axis=(1, 2))):
                yield int(index), structure, instance, int(mask[index].sum())
