"""What a reader is: one file format family in, one `RawImage` or named objects out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import CaseRefusedError

Kind = Literal["volume", "image"]


@dataclass(frozen=True)
class How:
    """What a recipe says that the file itself does not.

    Attributes:
        array: name of the array inside a container (npz, HDF5, MAT), e.g. `imgs`.
        axes: one letter per axis of that array: z, y, x in space, t frames, c colour.
        pick: DICOM keyword -> value (fnmatch pattern) that selects one series of a folder.
        every: of a video, every n-th frame.
    """

    array: str | None = None
    axes: str | None = None
    pick: Mapping[str, str] = field(default_factory=dict)
    every: int = 1


PLAIN = How()


@dataclass(frozen=True)
class SliceFiles:
    """Where the slices of a folder came from, in the order of the array's last spatial axis.

    Attributes:
        names: file names relative to the folder.
        sop_uids, series_uid, frame_of_reference: DICOM identity, for labels that point at it.
    """

    names: tuple[str, ...]
    sop_uids: tuple[str, ...] = ()
    series_uid: str | None = None
    frame_of_reference: str | None = None


@dataclass(frozen=True)
class RawImage:
    """A file's content before orientation, values after rescale slope and intercept.

    Attributes:
        array: volume [i, j, k], image [y, x]; besides these at most one frame axis (`time_axis`)
            and one colour axis (`channel_axis`, length 3, RGB). Native byte order.
        kind: `volume` has a place in the patient, `image` is pixels only.
        spacing_mm: per spatial axis in array order; None where unknown.
        affine: float64[4, 4], indices of the spatial axes to **LPS** millimetres; None where the
            file does not say.
        channel_axis: axis of the three colours; None for grey.
        time_axis: axis of time points, separate channels or pages; None for a single frame.
        palette: uint8[n, 3], only from `read_labels` of a palette file: `array` holds indices.
        slices: the files of a folder that is one volume (DICOM series, stack of pictures).
    """

    array: NDArray[np.generic]
    kind: Kind
    spacing_mm: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = None
    channel_axis: int | None = None
    time_axis: int | None = None
    palette: NDArray[np.uint8] | None = None
    slices: SliceFiles | None = None

    @property
    def frames(self) -> int:
        """Number of time points, channels or pages; 1 without a frame axis."""
        return 1 if self.time_axis is None else self.array.shape[self.time_axis]

    def frame(self, index: int) -> NDArray[np.generic]:
        """The array of one frame, without the frame axis."""
        if self.time_axis is None:
            return self.array
        frame: NDArray[np.generic] = np.take(self.array, index, axis=self.time_axis)
        return frame


@dataclass(frozen=True)
class ImageFile:
    """The image a label file is read for: labels of some formats only point at it."""

    path: Path
    raw: RawImage


@dataclass(frozen=True)
class NamedObject:
    """One object of a label file that names its objects.

    Attributes:
        name: segment label, region name or category, as the file says.
        number: number in the file, from 1.
        box: one slice per spatial axis of the image's array, start and stop given.
        mask: bool of the box's size, at least one pixel.
    """

    name: str
    number: int
    box: tuple[slice, ...]
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class RawObjects:
    """Named masks that may overlap, on the image's grid.

    Attributes:
        objects: those with at least one pixel.
        names: every name the file declares, also of empty objects.
        broken: names that have no mask for a reason, with the refusal; raised where one is wanted.
    """

    objects: tuple[NamedObject, ...]
    names: tuple[str, ...]
    broken: Mapping[str, CaseRefusedError] = field(default_factory=dict)


class Reader(Protocol):
    """Reads one family of formats. Stateless; any bytes give a result or a refusal."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """File name endings it reads, lower case, with the dot."""
        ...

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """The pixels of an image.

        Raises:
            CaseRefusedError: truncated, unreadable, too large or non-finite; `code` says which.
        """
        ...

    def read_labels(
        self, path: Path, how: How = PLAIN, image: ImageFile | None = None
    ) -> RawImage | RawObjects:
        """A label file's values: nothing merged, palettes kept as indices. Raises as `read`.

        Args:
            image: what the labels belong to; formats with named objects need it.
        """
        ...

    def companions(self, path: Path) -> tuple[Path, ...]:
        """Other files that are read with this one (`.mhd` -> `.raw`), there or not.

        Raises:
            CaseRefusedError: `unsafe_path` where the file points out of its own folder.
        """
        ...


class OneFile:
    """A reader whose files stand alone."""

    def companions(self, path: Path) -> tuple[Path, ...]:
        """None."""
        return ()


def refuse(
    code: str,
    what: str,
    path: Path,
    *,
    got: object = None,
    expected: object = None,
    remedy: str | None = None,
) -> CaseRefusedError:
    """A refusal that names the file."""
    return CaseRefusedError(
        what, code=code, where=str(path), got=got, expected=expected, remedy=remedy
    )


def missing(path: Path) -> CaseRefusedError:
    """The refusal of a file that is not there."""
    return refuse(
        "missing_file",
        "the file does not exist",
        path,
        got="no such file",
        expected="a file the recipe names",
        remedy="fetch it, or skip the case in the recipe with this reason",
    )


def first_bytes(path: Path) -> str:
    """How a file begins, for messages about its format."""
    with path.open("rb") as stream:
        start = stream.read(8)
    return f"{path.stat().st_size} bytes beginning with {start!r}"


def check_finite(array: NDArray[np.generic], path: Path) -> None:
    """Raises CaseRefusedError `non_finite` where a value is NaN or infinite (protocol 1.6)."""
    if not np.issubdtype(array.dtype, np.inexact):
        return
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise refuse(
            "non_finite",
            "the file holds values that are not finite",
            path,
            got=f"{int(wrong.sum())} of {array.size} values, the first at index {first}",
            expected="finite numbers everywhere",
            remedy="repair the file, or skip the case in the recipe with this reason",
        )
