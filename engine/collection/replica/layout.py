"""How the image of a target is laid out: its grid, its frames, its colours, its dtype."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.collection.recipe import Series
from engine.collection.replica.grid import Grid, Plane
from engine.collection.replica.spec import Replica
from engine.collection.replica.targets import Target
from engine.collection.replica.writers import LOSSY, VOLUMES, ending_of
from engine.errors import UserError

_ARRAYS = (".npz", ".npy", ".h5", ".hdf5", ".mat")
_SHAPES: dict[str, tuple[int, ...]] = {
    "axial": (6, 64, 72), "coronal": (64, 6, 72), "sagittal": (64, 72, 6), "image": (96, 80),
}  # fmt: skip
_SPACINGS: dict[str, tuple[float, ...]] = {
    "axial": (4.0, 0.9, 0.8), "coronal": (0.9, 4.0, 0.8), "sagittal": (0.9, 0.8, 4.0),
}  # fmt: skip
_FLAT_MM = (0.5, 0.7)
_ORIGIN_MM = (-31.5, 12.25, -204.0)
_DICOM_CODES = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR"}
_SEEN_CODES = ("RAS", "LPS", "LAS")
"""Axes that files of one data set may mix; cases take turns."""


@dataclass(frozen=True)
class Frame:
    """A case of a file: its frame (None: all, as slices), suffix of its name, modality."""

    index: int | None
    suffix: str
    modality: str


@dataclass(frozen=True)
class Layout:
    """Of one image file.

    Attributes:
        grid: where its samples lie.
        plane: of the slices a correct ingest finds.
        frames: number of time points, channels or pages; 1: no such axis.
        colour: whether three channels may be stored.
        dtype: as stored.
        lossy: whether pixels come back changed.
    """

    grid: Grid
    plane: Plane
    frames: int
    colour: bool
    dtype: np.dtype[np.generic]
    lossy: bool

    @property
    def time(self) -> bool:
        return self.frames > 1


def layout_of(target: Target) -> Layout:
    """The layout of a target's image.

    Raises:
        UserError: a shape or spacing of the wrong number of axes.
    """
    series, replica, ending = target.series, target.replica, ending_of(target.image)
    stack = ending == "/" and replica.write.stack != "dicom"
    volume = _is_volume(series, replica, ending)
    shape, spacing = replica.shape, replica.spacing_mm
    _check(target, volume)
    if not volume:
        grid = _picture_grid(series, replica, ending)
    else:
        plane = series.plane or (
            Grid((1, 1, 1), spacing, "LPS").plane(None) if spacing else "axial"
        )
        mute = ending in _ARRAYS or stack
        spacing = None if mute else spacing or _SPACINGS[plane]
        grid = Grid(
            shape or _SHAPES[plane],
            spacing,
            *_codes(target, ending, plane, stack),
            origin_mm=_ORIGIN_MM,
            tilt_deg=replica.write.oblique_deg,
        )
        if mute and series.spacing_mm is not None:
            grid = replace(grid, spacing_mm=_stated_spacing(series, grid))
    frames = replica.frames or len(series.channels) or 1
    if not volume and shape is not None and len(shape) == 3:
        frames = shape[0]
    letters = series.axes or ("c" if ending not in _ARRAYS else "")
    dtype = np.dtype(replica.dtype or ("int16" if volume and not stack else "uint8"))
    lossy = ending in LOSSY or (stack and replica.write.stack == "jpg")
    plane_found = grid.plane(series.plane)
    return Layout(grid, plane_found, frames, not volume and "c" in letters, dtype, lossy)


def _is_volume(series: Series, replica: Replica, ending: str) -> bool:
    if series.flat:
        return False
    if ending in _ARRAYS:
        axes = series.axes
        return "z" in axes if axes else len(replica.shape or ()) == 3
    return ending == "/" or ending in VOLUMES


def _check(target: Target, volume: bool) -> None:
    shape, spacing = target.replica.shape, target.replica.spacing_mm
    if volume and any(v is not None and len(v) != 3 for v in (shape, spacing)):
        raise UserError(
            "the replica of a volume needs three numbers",
            where=f"{target.image}, replica",
            got=f"shape {shape}, spacing_mm {spacing}",
            expected="[z, y, x]",
        )


def _picture_grid(series: Series, replica: Replica, ending: str) -> Grid:
    """Pictures know their spacing only in formats of medicine."""
    shape = (replica.shape or _SHAPES["image"])[-2:]
    spacing = replica.spacing_mm
    if series.flat:
        spacing = spacing or _FLAT_MM
    elif ending != ".dcm":
        spacing = None
    return Grid(shape, None if spacing is None else spacing[-2:])


def _codes(target: Target, ending: str, plane: str, stack: bool) -> tuple[str, bool]:
    """(axis codes, whether the file states them)."""
    own, told = target.replica.write.axis_codes, target.series.orientation
    if ending in (".hdr", ".img", *_ARRAYS) or stack:
        return told or own or "LPS", False
    if ending == "/":
        return own or _DICOM_CODES[plane], True
    if ending in (".nii", ".nii.gz") and told is not None and own is None:
        return told, False
    return own or _SEEN_CODES[target.turn % len(_SEEN_CODES)], True


def _stated_spacing(series: Series, grid: Grid) -> tuple[float, ...]:
    """The recipe's (slice, row, column) of arrays stored as x, y, z, along the drawn axes."""
    stored = tuple(reversed(series.spacing_mm or (1.0, 1.0, 1.0)))
    out = [1.0, 1.0, 1.0]
    for value, drawn in zip(stored, grid.drawn_axes, strict=True):
        out[drawn] = value
    return tuple(out)


def frames_of(series: Series, layout: Layout) -> Iterator[Frame]:
    """The cases of an image file (protocol section 1.4)."""
    if series.channels:
        for index, channel in sorted(series.channels.items()):
            yield Frame(index, f"_{channel.name}", channel.modality or series.modality)
    elif not layout.time:
        yield Frame(0, "", series.modality)
    elif series.frames == "slices" and not layout.grid.volume:
        yield Frame(None, "", series.modality)
    else:
        for index in range(layout.frames):
            yield Frame(index, f"_t{index:03d}", series.modality)


def stored_values(
    layout: Layout, image: NDArray[np.generic], write_grey: bool
) -> NDArray[np.generic]:
    """What a body shows, in the dtype and colours of the file: [spatial...] or [spatial..., 3]."""
    coloured = image.ndim > len(layout.grid.shape)
    if coloured and (not layout.colour or write_grey):
        image = image.astype(np.float64).mean(axis=-1)
    return _fit(image, layout.dtype)


def _fit(image: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Whole numbers where they fit, else stretched over the dtype (at most 12 bits of it)."""
    if not np.issubdtype(dtype, np.integer):
        return image.astype(dtype)
    values, info = np.asarray(image, dtype=np.float64), np.iinfo(str(dtype))
    lo, hi = float(values.min()), float(values.max())
    if lo < info.min or hi > info.max or hi - lo < 8:
        values = (values - lo) / max(hi - lo, 1e-9) * min(info.max, 4095)
    return np.asarray(np.rint(values).astype(dtype))


def seen_image(
    layout: Layout, values: Sequence[NDArray[np.generic]], frame: Frame
) -> NDArray[np.generic]:
    """The oriented image of a case; three equal channels are one."""
    if frame.index is None:
        image = np.stack(values)
    else:
        image = layout.grid.oriented(values[frame.index], layout.plane)
    if image.ndim == 4 and (image == image[..., :1]).all():
        image = image[..., 0]
    return image
