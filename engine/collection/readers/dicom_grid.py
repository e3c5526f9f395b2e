"""The grid of an image, as DICOM labels see it: which slice a place is in, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.geometry import TOLERANCE
from engine.collection.readers.base import ImageFile, refuse
from engine.collection.readers.dicom_geometry import ROUNDING_MM

_OFF_SLICE = 0.05
_REMEDY = "pair the label with the image it was drawn on; samscope resamples nothing"


@dataclass(frozen=True)
class Grid:
    """Size, place and identity of the image that labels are read for.

    Attributes:
        shape: (columns, rows, slices), or (rows, columns) of a picture.
        affine: float64[4, 4], (column, row, slice) to LPS mm; None for a picture.
        sop_uids: of the slices, in their order; empty for images of other formats.
        series_uid, frame_of_reference: None where the image is not DICOM or does not say.
        name: of the image, for messages.
        times: how many; labels belong to all of them, and `sop_uids` are of the first.
    """

    shape: tuple[int, ...]
    affine: NDArray[np.float64] | None
    sop_uids: tuple[str, ...]
    series_uid: str | None
    frame_of_reference: str | None
    name: str
    times: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (self.shape[1], self.shape[0]) if len(self.shape) == 3 else self.shape  # type: ignore[return-value]

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Along columns, rows and slices."""
        return np.asarray(np.linalg.norm(self._steps, axis=0))

    @property
    def _steps(self) -> NDArray[np.float64]:
        """float64[3, 3]: one column, row and slice in LPS mm."""
        return np.eye(3) if self.affine is None else self.affine[:3, :3]

    def indices(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """LPS mm, float64[n, 3], to (column, row, slice), float64[n, 3]."""
        origin = np.zeros(3) if self.affine is None else self.affine[:3, 3]
        return np.asarray(np.linalg.solve(self._steps, (points_mm - origin).T).T)

    def slices_of(self, sop_uid: str) -> set[int]:
        """Every slice that an object of the image's series holds."""
        return {k for k, uid in enumerate(self.sop_uids) if uid == sop_uid}

    def check_sources(self, sources: list[str], path: Path, what: str) -> None:
        """Raises `foreign_reference` where something points at other objects than the slices."""
        if sources and self.sop_uids and self.times == 1 and not set(sources) & set(self.sop_uids):
            raise foreign(path, f"{what} points at no slice of the image", sources[:4], self.name)

    def off_slice(self) -> float:
        """How far off its plane something may lie, in slices."""
        return max(_OFF_SLICE, min(0.25, ROUNDING_MM / float(self.spacing_mm[2])))

    def flat(self, size: tuple[int, int], path: Path) -> int:
        """The only slice, for a frame that does not say where it lies."""
        if self.affine is not None or size != self.size:
            raise refuse(
                "geometry_mismatch",
                "a frame of the segmentation cannot be placed on the image",
                path,
                got=f"{size[0]} x {size[1]}, without position",
                expected=f"{self.size[0]} x {self.size[1]}"
                + (", and a position" if self.affine is not None else ""),
                remedy=_REMEDY,
            )
        return 0

    def slice_at(
        self,
        position: object,
        axes: Sequence[float],
        spacing_mm: tuple[float, float],
        size: tuple[int, int],
        path: Path,
    ) -> int:
        """The slice that a frame covers exactly.

        Args:
            position: centre of the frame's first pixel, LPS mm.
            axes: directions along a row, then along a column.
            spacing_mm: (column, row).

        Raises:
            CaseRefusedError: `geometry_mismatch` where it is no slice of the image.
        """
        at = self.indices(np.array([[float(v) for v in position]]))[0]  # type: ignore[attr-defined]
        own = self._steps / self.spacing_mm
        turned = np.abs(np.reshape(axes, (2, 3)) - own[:, :2].T).max()
        scaled = np.abs(np.asarray(spacing_mm) / self.spacing_mm[:2] - 1).max()
        k = round(float(at[2]))
        within = np.maximum(TOLERANCE, ROUNDING_MM / self.spacing_mm[:2])
        if (
            size != self.size
            or turned > TOLERANCE
            or scaled > TOLERANCE
            or (np.abs(at[:2]) > within).any()
            or abs(float(at[2]) - k) > self.off_slice()
            or not 0 <= k < self.shape[2]
        ):
            raise refuse(
                "geometry_mismatch",
                "a frame of the segmentation is no slice of the image",
                path,
                got=f"{size[0]} x {size[1]} at column, row, slice {at.round(4).tolist()}, "
                f"spacing {spacing_mm} mm, axes {np.round(axes, 4).tolist()}",
                expected=f"{self.size[0]} x {self.size[1]} at 0, 0, one of 0..{self.shape[2] - 1}, "
                f"spacing {self.spacing_mm[:2].tolist()} mm, axes {own[:, :2].T.ravel().tolist()}",
                remedy=_REMEDY,
            )
        return k


def grid_of(image: ImageFile | None, path: Path) -> Grid:
    """What a label file is placed on. Raises `unsupported_layout` where there is no image."""
    if image is None:
        raise refuse(
            "unsupported_layout",
            "the label file says nothing without its image",
            path,
            expected="kind: objects in the recipe",
        )
    raw = image.raw
    others = {raw.time_axis, raw.channel_axis}
    shape = tuple(n for axis, n in enumerate(raw.array.shape) if axis not in others)
    if len(shape) != 3 if raw.affine is not None else raw.kind != "image":
        raise refuse(
            "unknown_orientation",
            "the image does not say where it lies, and the label file needs to know",
            path,
            got=f"{image.path.name} without an affine",
            expected="an image with a place in the patient",
        )
    files = raw.slices
    return Grid(
        shape,
        raw.affine,
        files.sop_uids if files else (),
        files.series_uid if files else None,
        files.frame_of_reference if files else None,
        image.path.name,
        raw.frames,
    )


def check_refers(grid: Grid, path: Path, series: list[str], places: list[str]) -> None:
    """Raises `foreign_reference` unless a label file points at this image.

    Args:
        series: every series it says it was drawn on.
        places: frames of reference of its contents; empty texts say nothing.
    """
    if grid.series_uid and series and grid.series_uid not in series:
        raise foreign(path, "the label file was drawn on another series", series, grid.series_uid)
    for place in filter(None, places):
        if grid.frame_of_reference and place != grid.frame_of_reference:
            raise foreign(
                path,
                "the label file has another frame of reference",
                place,
                grid.frame_of_reference,
            )


def foreign(path: Path, what: str, got: object, expected: object) -> Exception:
    """The refusal of labels that belong to another image."""
    return refuse("foreign_reference", what, path, got=got, expected=expected, remedy=_REMEDY)
