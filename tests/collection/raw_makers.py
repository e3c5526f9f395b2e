"""Files and recipes made on the fly for the tests of the raw side."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from engine.collection.recipe import Recipe
from engine.configuration import validate


def nifti(
    path: Path,
    array: NDArray[np.generic],
    affine: NDArray[np.float64] | None = None,
    *,
    slope: float | None = None,
    inter: float | None = None,
    coded: bool = True,
) -> Path:
    """Write a NIfTI file; `affine` goes to RAS millimetres as the format has it."""
    image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine, dtype=array.dtype)
    if slope is not None:
        image.header.set_slope_inter(slope, inter or 0.0)
    content = bytearray(image.to_bytes())
    if not coded:
        content[252:256] = bytes(4)  # qform_code and sform_code, which nibabel always sets
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = path.name.lower().endswith(".gz")
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return path


def png(path: Path, samples: NDArray[np.generic], depth: int, colour_type: int) -> Path:
    """Write a PNG by hand: for depths and types that libraries do not offer."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    rows = samples.reshape(height, width * channels)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        packed = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in packed))
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def recipe(*series: dict[str, Any], **fields: Any) -> Recipe:
    """A recipe with made-up words around the given series."""
    raw = {
        "dataset": "made_up",
        "title": "t",
        "licence": "l",
        "source": "s",
        "series": list(series),
        **fields,
    }
    return validate(raw, Recipe, "recipe", where="test")


def series(images: str, *labels: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"images": images, "modality": "CT", "labels": list(labels), **fields}
