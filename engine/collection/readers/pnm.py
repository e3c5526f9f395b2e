"""Portable maps: `.pbm`, `.pgm`, `.ppm`, `.pnm`, as text or bytes, also gzipped (`.ppm.gz`).

Decoded here, because image libraries stretch values to the full range where a file's largest
value is another: label 1 of a map with largest value 15 would read as 17.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import PLAIN, How, ImageFile, OneFile, RawImage, refuse
from engine.collection.readers.limits import (
    admit,
    bounded_memory,
    check_holds,
    gzip_start,
    opened,
    read_file,
    read_gzip,
)
from engine.collection.readers.pixels import merge_grey

_HEAD_BYTES = 65536
_SPACE = rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])+"
_BITS = re.compile(rb"P([14])" + 2 * (_SPACE + rb"(\d{1,9})") + rb"[ \t\r\n\v\f]")
_GREYS = re.compile(rb"P([2356])" + 3 * (_SPACE + rb"(\d{1,9})") + rb"[ \t\r\n\v\f]")


class PnmReader(OneFile):
    """Grey, RGB or black-and-white pictures; values as stored, black of a `.pbm` is 0."""

    extensions = tuple(f".p{kind}m{gz}" for kind in "bgpn" for gz in ("", ".gz"))

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Grey [y, x] or RGB [y, x, 3]; three identical channels become grey. See `Reader.read`."""
        array = merge_grey(self.read_labels(path).array)
        return RawImage(array, "image", channel_axis=2 if array.ndim == 3 else None)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """As stored: colours stay colours."""
        with bounded_memory(path):
            array = _decoded(path)
        return RawImage(array, "image", channel_axis=2 if array.ndim == 3 else None)


def _decoded(path: Path) -> NDArray[np.generic]:
    """uint8 or uint16 [y, x] or [y, x, 3]."""
    start = _content(path, _HEAD_BYTES)
    head = _BITS.match(start) or _GREYS.match(start)
    if head is None:
        raise refuse(
            "unreadable_file",
            "the file is no portable map",
            path,
            got=f"it begins with {start[:8]!r}",
            expected="P1 to P6, width, height and largest value",
            remedy="fetch the file again, or correct its ending",
        )
    kind, width, height, *largest = (int(word) for word in head.groups())
    top = largest[0] if largest else 1
    if not 0 < top < 65536:
        raise refuse("unreadable_file", "the largest value is no 16-bit number", path, got=top)
    shape = (height, width, 3) if kind in (3, 6) else (height, width)
    dtype = np.dtype(">u2" if top > 255 else "u1")
    size = admit(shape, dtype.itemsize, path)
    array: NDArray[np.generic]
    if kind < 4:
        array = _from_text(_content(path, None)[head.end() :], kind, shape, path)
    elif kind == 4:
        size = height * -(-width // 8)
        rows = np.frombuffer(_part(path, head.end(), size), np.uint8).reshape(height, -1)
        array = np.unpackbits(rows, axis=1)[:, :width]
    else:
        array = np.frombuffer(_part(path, head.end(), size), dtype).reshape(shape)
    most = int(array.max())
    if most > top:
        raise refuse(
            "unreadable_file",
            "a value is above the largest one the header states",
            path,
            got=most,
            expected=f"at most {top}",
        )
    native = array.astype(np.uint16 if top > 255 else np.uint8)
    return 1 - native if kind in (1, 4) else native  # 1 is black ink there


def _from_text(content: bytes, kind: int, shape: tuple[int, ...], path: Path) -> NDArray[np.int64]:
    """Numbers written out; the digits of a P1 need no spaces between them."""
    content = re.sub(rb"#[^\r\n]*", b"", content)
    words = [bytes([c]) for c in content if c in b"01"] if kind == 1 else content.split()
    count = int(np.prod(shape))
    check_holds(count, len(words), path)
    try:
        values = [min(int(word), 2**31) for word in words[:count]]
    except ValueError as error:
        raise refuse("unreadable_file", "the data are no numbers", path, got=error) from error
    if min(values) < 0:
        raise refuse("unreadable_file", "a value is negative", path, got=min(values))
    return np.array(values, dtype=np.int64).reshape(shape)


def _content(path: Path, most: int | None) -> bytes:
    """The first bytes of the picture, decompressed; all of them for None."""
    if path.name.lower().endswith(".gz"):
        return gzip_start(path, most) if most is not None else read_gzip(path)
    if most is None:
        return read_file(path)
    with opened(path) as stream:
        return stream.read(most)


def _part(path: Path, start: int, size: int) -> bytes:
    if path.name.lower().endswith(".gz"):
        content = read_gzip(path, keep=start + size)[start:]
    else:
        with opened(path) as stream:
            check_holds(start + size, path.stat().st_size, path)
            stream.seek(start)
            content = stream.read(size)
    check_holds(size, len(content), path)
    return content


PNM = PnmReader()
