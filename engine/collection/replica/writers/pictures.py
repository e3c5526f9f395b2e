"""PNG, JPEG, BMP, GIF, PPM and TIFF."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from engine.collection.replica.files import Done, Piece
from engine.errors import UserError

_FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".ppm": "PPM",
    ".pgm": "PPM",
}  # fmt: skip


def write_picture(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """One picture, or frames as pages (TIFF, GIF).

    Raises:
        UserError: a label would be lossy, or the format cannot hold the pixels.
    """
    (piece,) = pieces
    array = piece.stored
    if piece.role == "label":
        array = as_colours(array) if piece.write.label_colour and not piece.colour else array
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix in (".tif", ".tiff"):
        photometric = "rgb" if array.ndim - piece.time == 3 else "minisblack"
        options: dict[str, Any] = {"photometric": photometric, "compression": "zlib"}
        tifffile.imwrite(path, array, software=False, metadata=None, **options)
        return
    content = encode(array, _FORMATS[suffix], path, piece)
    path.write_bytes(gzip.compress(content, 4, mtime=0) if name.endswith(".gz") else content)


def encode(array: NDArray[np.generic], form: str, path: Path, piece: Piece) -> bytes:
    """The bytes of a file: [y, x] or [y, x, 3], or frames of them for GIF."""
    if form == "JPEG" and piece.role == "label" and not piece.soft:
        raise UserError(
            "JPEG changes values, so labels are not written in it",
            where=str(path),
            expected="a label with a threshold or nearest: true, or a lossless format",
        )
    if array.dtype == np.uint16 and form == "PNG":
        return bytes(imagecodecs.png_encode(array))
    if array.dtype != np.uint8:
        raise UserError(
            f"{form} replicas hold 8 bits",
            where=str(path),
            got=array.dtype,
            expected="uint8 (PNG also uint16)",
        )
    options: dict[str, Any] = {}
    if form == "JPEG":
        options = {"quality": 100 if piece.role == "label" else 92, "subsampling": 0}
    images = [_picture(frame, piece) for frame in (array if piece.time else array[None])]
    if form == "GIF" and len(images) > 1:
        options = {"save_all": True, "append_images": images[1:]}
    stream = io.BytesIO()
    images[0].save(stream, form, **options)
    return stream.getvalue()


def _picture(array: NDArray[np.generic], piece: Piece) -> Image.Image:
    if not (piece.role == "label" and piece.write.palette):
        return Image.fromarray(array)
    if array.ndim == 3:
        colours, index = np.unique(array.reshape(-1, 3), axis=0, return_inverse=True)
        image = Image.fromarray(index.reshape(array.shape[:2]).astype(np.uint8), "P")
        image.putpalette(colours.astype(np.uint8).tobytes())
        return image
    image = Image.fromarray(array)
    image = image.convert("L").convert("P") if piece.kind == "mask" else _indexed(array)
    return image


def _indexed(array: NDArray[np.generic]) -> Image.Image:
    """Values as indices; the colours are only for looking at."""
    image = Image.fromarray(array, "P")
    image.putpalette([c * k % 256 for c in range(256) for k in (1, 53, 101)])
    return image


def as_colours(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Three equal channels."""
    return np.repeat(array[..., np.newaxis], 3, axis=-1)
