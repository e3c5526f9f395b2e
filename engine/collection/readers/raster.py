"""PNG, JPEG, BMP, GIF, WebP and JPEG 2000 through Pillow; what Pillow halves through imagecodecs.

Pillow gives 16-bit colour PNG and JPEG 2000 in 8 bits, which imagecodecs does not.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.collection.readers.base import (
    PLAIN,
    How,
    ImageFile,
    OneFile,
    RawImage,
    first_bytes,
    refuse,
)
from engine.collection.readers.limits import admit, opened
from engine.collection.readers.pixels import drop_alpha, merge_grey, upright
from engine.errors import CaseRefusedError

_ORIENTATION = 274
_PNG = b"\x89PNG\r\n\x1a\n"
_PLAIN = {"L", "LA", "RGB", "RGBA", "I;16"}
_FORMAT_OF = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF",
    ".webp": "WEBP", ".jp2": "JPEG2000",
}  # fmt: skip
_FORMATS = tuple(sorted(set(_FORMAT_OF.values())))
_MOVING = ("GIF", "WEBP")
_ERRORS = (OSError, SyntaxError, ValueError, RuntimeError, IndexError, KeyError, TypeError,
           ArithmeticError, AttributeError, EOFError)  # fmt: skip

Found = tuple[NDArray[np.generic], NDArray[np.uint8] | None, bool]


class RasterReader(OneFile):
    """2-D images: grey, RGB, palette, 1-bit, CMYK, 16-bit; alpha dropped, EXIF rotation applied.

    An animated GIF or WebP has its frames on axis 0, as they are shown.
    """

    extensions = tuple(_FORMAT_OF)

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Grey [y, x] or RGB [y, x, 3]; three identical channels become grey. See `Reader.read`."""
        raw = self.read_labels(path)
        array = raw.array if raw.palette is None else raw.palette[raw.array]
        colours = raw.channel_axis is not None or raw.palette is not None
        array = merge_grey(array) if colours else array
        channel = array.ndim - 1 if array.ndim - (raw.time_axis is not None) == 3 else None
        return RawImage(array, "image", channel_axis=channel, time_axis=raw.time_axis)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """As stored: colours stay colours, palette files give indices and their palette.

        Frames of an animation are colours: each has a palette of its own.
        """
        try:
            with warnings.catch_warnings(), opened(path):
                warnings.simplefilter("ignore")  # large images are meant; broken EXIF is no pixel
                array, palette, moving = _open(path)
        except CaseRefusedError:
            raise
        except Image.DecompressionBombError as error:
            raise refuse(
                "too_large",
                "the image has more pixels than Pillow decodes",
                path,
                got=error,
                remedy="store it as a tiled TIFF, which has no such limit",
            ) from error
        return RawImage(
            np.ascontiguousarray(array),
            "image",
            channel_axis=array.ndim - 1 if array.ndim - moving == 3 else None,
            time_axis=0 if moving else None,
            palette=palette,
        )


def _open(path: Path) -> Found:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return _decoded(image, path)
    except UnidentifiedImageError as error:
        raise refuse(
            "unreadable_file",
            "the file is no image",
            path,
            got=first_bytes(path),
            expected=", ".join(_FORMATS),
            remedy="fetch the file again, or correct its ending",
        ) from error
    except _ERRORS as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> Exception:
    """Pillow tells a file that ends early from one that is wrong by its words only."""
    words = str(error).lower()
    early = any(
        sign in words for sign in ("truncated", "unexpected end", "not enough", "read error")
    )
    return refuse(
        "truncated_file" if early else "unreadable_file",
        "the image ends too early" if early else "the image cannot be decoded",
        path,
        got=f"{type(error).__name__}: {error}",
        remedy="fetch the file again",
    )


def _decoded(image: Image.Image, path: Path) -> Found:
    frames = int(getattr(image, "n_frames", 1))
    width, height = image.size
    admit((frames, height, width), 8 if image.format in ("PNG", "JPEG2000") else 4, path)
    if frames > 1:
        return _frames(image, frames, path), None, True
    orientation = int(image.getexif().get(_ORIENTATION, 1))
    depth = _png_depth(path)
    palette = None
    if depth == 16:
        array: NDArray[np.generic] = imagecodecs.png_decode(path.read_bytes())
    elif image.format == "JPEG2000":
        array = imagecodecs.jpeg2k_decode(path.read_bytes())
    else:
        image.load()
        array, palette = _pixels(image)
    if depth in (2, 4) and palette is None and array.ndim == 2:
        array = array // (255 // (2**depth - 1))  # Pillow stretches 2- and 4-bit grey to 0..255
    if array.shape[:2] != (height, width) or array.ndim > 3:
        raise ValueError(f"{array.shape} pixels where the header says {height} x {width}")
    return drop_alpha(upright(array, orientation)), palette, False


def _frames(image: Image.Image, count: int, path: Path) -> NDArray[np.generic]:
    """uint8[frame, y, x, 3] of an animation."""
    if image.format not in _MOVING:
        raise refuse(
            "unsupported_layout",
            "the file holds several images",
            path,
            got=f"{count} images in a {image.format}",
            expected="one image, or an animated GIF or WebP",
        )
    width, height = image.size
    frames = np.empty((count, height, width, 3), dtype=np.uint8)
    for index in range(count):
        image.seek(index)
        frames[index] = np.asarray(image.convert("RGB"))
    return frames


def _png_depth(path: Path) -> int | None:
    """Bits per sample from a PNG's header; None for other formats."""
    with path.open("rb") as stream:
        head = stream.read(25)
    return head[24] if head.startswith(_PNG) and len(head) == 25 else None


def _pixels(image: Image.Image) -> tuple[NDArray[np.generic], NDArray[np.uint8] | None]:
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), None
    if image.mode in ("P", "PA"):
        return _indices(image)
    if image.mode not in _PLAIN:
        image = image.convert("RGB")
    return np.array(image), None


def _indices(image: Image.Image) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    table = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(table)] = table[:256]
    array = np.array(image)
    return (array if array.ndim == 2 else array[..., 0]), palette


RASTER = RasterReader()
