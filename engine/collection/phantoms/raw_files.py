"""Raw files as scanners, cameras and microscopes leave them, without a time stamp in any."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

# End of an axis -> (array axis of [z, y, x], direction along it).
_TOWARDS = {"S": (0, 1), "I": (0, -1), "P": (1, 1), "A": (1, -1), "L": (2, 1), "R": (2, -1)}
# Where z, y and x point in the coordinates of a NIfTI header, which ascend in R, A and S.
_RAS_OF = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])


def write_nifti(
    path: Path,
    array: NDArray[np.generic],
    spacing_mm: tuple[float, ...],
    codes: str,
) -> None:
    """Store an axial volume with its axes in another order, centred on the origin.

    Args:
        array: [z, y, x], ascending in S, P and L, or [t, z, y, x].
        spacing_mm: (z, y, x).
        codes: the end each stored axis points to, e.g. `RAS`; time comes last in the file.
    """
    axes, signs = zip(*(_TOWARDS[code] for code in codes), strict=True)
    spatial = array[None] if array.ndim == 3 else array
    stored = spatial.transpose(*(axis + 1 for axis in axes), 0)
    stored = stored[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[:3, column] = sign * spacing_mm[axis] * _RAS_OF[axis]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(stored.shape[:3]) - 1) / 2
    image: Any = nib.Nifti1Image(  # type: ignore[no-untyped-call]
        stored[..., 0] if array.ndim == 3 else stored, affine
    )
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))


def write_image(path: Path, array: NDArray[np.generic]) -> None:
    """A PNG or JPEG by its suffix: uint8[y, x], uint8[y, x, 3] RGB, bool or uint16[y, x]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    options: dict[str, Any] = {"quality": 92} if path.suffix in (".jpg", ".jpeg") else {}
    Image.fromarray(array).save(path, **options)


def write_tiff(path: Path, array: NDArray[np.generic]) -> None:
    """A deflated TIFF of any dtype, one page or [page, y, x]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, compression="zlib", software=False, metadata=None)
