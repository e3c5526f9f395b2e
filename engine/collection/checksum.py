"""Checksums over stored values: independent of compression, chunks, files and byte order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.collection.contract import SlicePixels


def slice_digest(image: NDArray[np.generic], labels: NDArray[np.unsignedinteger]) -> bytes:
    """SHA-256 of one slice's values with their dtypes and shapes.

    Args:
        image: source dtype [y, x] or [y, x, c].
        labels: uint8 or uint16 [layer, y, x].
    """
    digest = hashlib.sha256()
    for name, array in (("image", image), ("labels", labels)):
        digest.update(f"{name}|{array.dtype.name}|{array.shape}\n".encode())
        little = array.dtype.newbyteorder("<")
        digest.update(np.ascontiguousarray(array, dtype=little).data)
    return digest.digest()


def combine(digests: Iterable[bytes]) -> str:
    """SHA-256 (hex) over slice digests in order: the checksum of a unit or of a case."""
    digest = hashlib.sha256()
    for one in digests:
        digest.update(one)
    return digest.hexdigest()


def data_sha256(pixels: Iterable[SlicePixels]) -> str:
    """Checksum of slices in order; equals `units.data_sha256` for all slices of a unit.

    The order of a unit's slices is that of the catalog table `slices`.
    """
    return combine(slice_digest(one.image, one.labels) for one in pixels)
