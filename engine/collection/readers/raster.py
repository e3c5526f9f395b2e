"""PNG, JPEG and BMP through Pillow; 16-bit PNG through imagecodecs, because Pillow halves it."""

from __future__ import annotations

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from engine.collection.readers.base import RawImage, first_bytes, missing, refuse
from engine.collection.readers.pixels import drop_alpha, merge_grey, upright

_ORIENTATION = 274
_PNG = b"\x89PNG\r\n\x1a\n"
_PLAIN = {"L", "LA", "RGB", "RGBA", "I;16"}


class RasterReader:
    """2-D images: grey, RGB, palette, 1-bit, CMYK, 16-bit; alpha dropped, EXIF rotation applied."""

    extensions = (".png", ".jpg", ".jpeg", ".bmp")

    def read(self, path: Path) -> RawImage:
        """Grey [y, x] or RGB [y, x, 3]; three identical channels become grey. See `Reader.read`."""
        raw = self.read_labels(path)
        array = raw.array if raw.palette is None else raw.palette[raw.array]
        array = merge_grey(array)
        return RawImage(array, "image", channel_axis=2 if array.ndim == 3 else None)

    def read_labels(self, path: Path) -> RawImage:
        """As stored: colours stay colours, palette files give indices and their palette."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # large images are meant; broken EXIF is no pixel
                array, palette = _open(path)
        except FileNotFoundError as error:
            raise missing(path) from error
        except UnidentifiedImageError as error:
            raise refuse(
                "unreadable_file",
                "the file is no image",
                path,
                got=first_bytes(path),
                expected="a PNG, JPEG or BMP",
                remedy="fetch the file again, or correct its ending",
            ) from error
        except (OSError, SyntaxError, ValueError, imagecodecs.PngError) as error:
            raise _damaged(path, error) from error
        except Image.DecompressionBombError as error:
            raise refuse(
                "unreadable_file",
                "the image has more pixels than Pillow decodes",
                path,
                got=error,
                remedy="store it as a tiled TIFF, which has no such limit",
            ) from error
        array = drop_alpha(array)
        channel = 2 if array.ndim == 3 else None
        return RawImage(np.ascontiguousarray(array), "image", channel_axis=channel, palette=palette)


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
        got=error,
        remedy="fetch the file again",
    )


def _open(path: Path) -> tuple[NDArray[np.generic], NDArray[np.uint8] | None]:
    with Image.open(path) as image:
        frames = int(getattr(image, "n_frames", 1))
        if frames > 1:
            raise ValueError(f"{frames} frames in one file; only single images are read")
        orientation = int(image.getexif().get(_ORIENTATION, 1))
        depth = _png_depth(path)
        if depth == 16:
            array: NDArray[np.generic] = imagecodecs.png_decode(path.read_bytes())
            return upright(array, orientation), None
        image.load()
        array, palette = _pixels(image)
    if depth in (2, 4) and palette is None and array.ndim == 2:
        array = array // (255 // (2**depth - 1))  # Pillow stretches 2- and 4-bit grey to 0..255
    return upright(array, orientation), palette


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
    palette[: len(table)] = table
    array = np.array(image)
    return (array if array.ndim == 2 else array[..., 0]), palette


RASTER = RasterReader()
