"""What a reader is: one file format family in, one `RawImage` out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import CaseRefusedError

Kind = Literal["volume", "image"]


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
    """

    array: NDArray[np.generic]
    kind: Kind
    spacing_mm: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = None
    channel_axis: int | None = None
    time_axis: int | None = None
    palette: NDArray[np.uint8] | None = None

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


class Reader(Protocol):
    """Reads one family of formats. Stateless."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """File name endings it reads, lower case, with the dot."""
        ...

    def read(self, path: Path) -> RawImage:
        """The pixels of an image.

        Raises:
            CaseRefusedError: truncated, unreadable or non-finite; `code` says which.
        """
        ...

    def read_labels(self, path: Path) -> RawImage:
        """A label file's values: nothing merged, palettes kept as indices. Raises as `read`."""
        ...


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
