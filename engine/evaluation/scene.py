"""A slice ready to be evaluated: the image a model sees and what its objects share over trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import ObjectRef, SlicePixels, SliceRef
from engine.collection.intensity import to_uint8
from engine.errors import CorruptDataError
from engine.prompts.geometry import ObjectGeometry
from engine.scoring.distances import MAP_BYTES_A_PIXEL, TruthBorder
from engine.study import Study

MAP_BYTES = 256 * 1024 * 1024
"""Most bytes the distance maps of one slice's objects may take (`TruthBorder.way_from`)."""


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
        broken: objects that cannot be evaluated, and why.
    """

    ref: SliceRef
    image: NDArray[np.uint8]
    flat: bool
    targets: tuple[Target, ...]
    broken: tuple[tuple[ObjectRef, Exception], ...] = ()


def make_scene(study: Study, ref: SliceRef, pixels: SlicePixels) -> Scene:
    """Render a slice and prepare its objects."""
    rendered = to_uint8(pixels.image, study.intensity, ref.volume_lo, ref.volume_hi)
    targets: list[Target] = []
    broken: list[tuple[ObjectRef, Exception]] = []
    for wanted in ref.objects:
        try:
            targets.append(_target(study, ref, wanted, pixels))
        except Exception as problem:  # noqa: BLE001  an object must not stop the others
            broken.append((wanted, problem))
    return Scene(ref, rendered.image, rendered.flat, tuple(targets), tuple(broken))


def _target(study: Study, ref: SliceRef, wanted: ObjectRef, pixels: SlicePixels) -> Target:
    geometry = ObjectGeometry.from_mask(pixels.mask(wanted), where=wanted.object_id)
    # A part of a unit has no checksum; its objects at least must be those of the catalog.
    if len(geometry.vector) != wanted.area_px:
        raise CorruptDataError(
            "the stored mask is not the one the catalog describes",
            where=wanted.object_id,
            got=f"{len(geometry.vector)} px",
            expected=f"{wanted.area_px} px",
            remedy="the collection changed during the run: run `samscope evaluate` again",
        )
    border = TruthBorder.from_mask(
        geometry.mask,
        (ref.spacing_row_mm, ref.spacing_col_mm),
        tolerance_px=study.nsd_tolerance_px,
        tolerance_mm=study.nsd_tolerance_mm,
        keep_map=MAP_BYTES_A_PIXEL * ref.height * ref.width * len(ref.objects) <= MAP_BYTES,
        where=wanted.object_id,
    )
    return Target(wanted, geometry, border)
