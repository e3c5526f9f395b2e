"""A case after curation: oriented pixels, layered labels and what each label value is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SourceFile:
    """A raw file a case was made from.

    Attributes:
        path: relative to the raw folder, with `/`.
        version: mark of a remote store that spares reading it again; None on a local disk.
        companion: read because another file points at it (`.mhd` -> `.raw`), not found by itself.
    """

    path: str
    sha256: str
    version: str | None = None
    companion: bool = False


@dataclass(frozen=True)
class Label:
    """What `labels[layer] == value` means. `instance` is 0 unless the dataset labels instances."""

    layer: int
    value: int
    structure: str
    instance: int = 0


@dataclass(frozen=True)
class CuratedCase:
    """One case, ready to be stored (protocol section 1).

    Attributes:
        dataset, case, subject: names as the recipe gives them, not encoded.
        plane: `axial`, `coronal`, `sagittal`, or `image` for 2-D images.
        image: source dtype after rescaling, [slice, y, x] or [slice, y, x, 3] (RGB).
        labels: uint8 or uint16 [layer, slice, y, x]; 0 is background.
        meaning: one entry per (layer, value) present.
        spacing_mm: (slice, row, column); None where unknown, as the slice entry of a 2-D image is.
        affine: 4x4, oriented array indices (slice, y, x) to LPS millimetres; None where unknown.
        sources: raw files with checksums, image first.
        split: official split (`train`, `test`, ...); None where the dataset has none.
    """

    dataset: str
    case: str
    subject: str
    modality: str
    plane: str
    image: NDArray[np.generic]
    labels: NDArray[np.unsignedinteger]
    meaning: tuple[Label, ...]
    spacing_mm: tuple[float | None, float | None, float | None]
    affine: NDArray[np.float64] | None
    sources: tuple[SourceFile, ...]
    split: str | None = None
