"""A slice ready to be evaluated: the image a model sees and what its objects share over trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.collection.intensity import to_uint8
from engine.prompts.geometry import ObjectGeometry
from engine.scoring.distances import TruthBorder
from engine.study import Study


@dataclass(frozen=True, eq=False)
class Target:
    """One object: its mask, what prompts need of it, and the ground-truth side of every score."""

    ref: ObjectRef
    geometry: ObjectGeometry
    border: TruthBorder

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[y, x]."""
        return self.geometry.mask


@dataclass(frozen=True, eq=False)
class Scene:
    """One slice.

    Attributes:
        image: uint8[y, x] or uint8[y, x, 3], as the model sees it before resizing.
        flat: the slice is constant under the study's intensity rule.
        targets: the objects to evaluate, sorted by object_id.
    """

    ref: SliceRef
    image: NDArray[np.uint8]
    flat: bool
    targets: tuple[Target, ...]


def make_scene(study: Study, ref: SliceRef, pixels: SlicePixels) -> Scene:
    """Render a slice and prepare its objects."""
    rendered = to_uint8(pixels.image, study.intensity, ref.volume_lo, ref.volume_hi)
    targets = []
    for wanted in ref.objects:
        geometry = ObjectGeometry.from_mask(pixels.mask(wanted), where=wanted.object_id)
        border = _border(study, geometry, ref)
        targets.append(Target(wanted, geometry, border))
    return Scene(ref, rendered.image, rendered.flat, tuple(targets))


def _border(study: Study, geometry: ObjectGeometry, ref: SliceRef) -> TruthBorder:
    return TruthBorder.from_mask(
        geometry.mask,
        (ref.spacing_row_mm, ref.spacing_col_mm),
        tolerance_px=study.nsd_tolerance_px,
        tolerance_mm=study.nsd_tolerance_mm,
        where=ref.slice_id,
    )
