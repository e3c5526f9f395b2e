"""Compressed DICOM frames: their true size before they are decoded, and lossless JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder

from engine.collection.readers.base import refuse

DECODER_DEPENDENCIES = {
    uid.JPEGExtended12Bit: ("imagecodecs",),
    uid.JPEGLossless: ("imagecodecs",),
    uid.JPEGLosslessSV1: ("imagecodecs",),
}
"""Read by pydicom, which has no decoder of its own for these."""

_PLUGIN = "samscope"
_JPEG, _J2K, _BOX = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP"
_NO_SIZE = {0xC4, 0xC8, 0xCC}  # tables among the markers of frames
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - _NO_SIZE
_BARE = {0x01, *range(0xD0, 0xD9)}
_RLE_WORST = 2
_RLE_HEADER = 64


def decoder_of(syntax: uid.UID, path: Path) -> Decoder:
    """pydicom's decoder of a transfer syntax, lossless JPEG included.

    Raises:
        CaseRefusedError: `unsupported_layout` where none is installed.
    """
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise _unsupported(syntax, path) from error
    if syntax in DECODER_DEPENDENCIES and _PLUGIN not in decoder.available_plugins:
        decoder.add_plugin(_PLUGIN, (__name__, "decode_jpeg"))
    if not decoder.is_available:
        raise _unsupported(syntax, path)
    return decoder


def _unsupported(syntax: uid.UID, path: Path) -> Exception:
    return refuse(
        "unsupported_layout",
        "the pixels are compressed in a way that is not read",
        path,
        got=f"{syntax.name} ({syntax})" if syntax else "no transfer syntax",
        expected="no compression, RLE, JPEG, lossless JPEG, JPEG-LS or JPEG 2000",
        remedy="decompress the file",
    )


def is_available(syntax: str) -> bool:
    """Asked by pydicom."""
    return syntax in DECODER_DEPENDENCIES


def decode_jpeg(source: bytes, runner: Any) -> bytes:
    """Called by pydicom for one frame; samples as stored, without change of colours."""
    colours = runner.samples_per_pixel > 1
    if colours and runner.transfer_syntax == uid.JPEGExtended12Bit:
        raise NotImplementedError("12-bit JPEG in colour")
    array = imagecodecs.jpeg8_decode(source)
    runner.set_option("bits_allocated", array.dtype.itemsize * 8)
    if colours:
        runner.set_option("planar_configuration", 0)
    return bytes(array.tobytes())


def check_frames(data: Dataset, frames: int, path: Path) -> None:
    """Compare every compressed frame with the header: a small one can claim any size.

    Raises:
        CaseRefusedError: `frame_mismatch` for another number of frames, `shape_mismatch` for
            another size.
    """
    rows, columns = int(data.Rows), int(data.Columns)
    plain = rows * columns * int(data.SamplesPerPixel) * int(data.BitsAllocated) // 8
    found = 0
    for source in generate_frames(data.PixelData, number_of_frames=frames):
        found += 1
        size = frame_size(source)
        bloated = size is None and len(source) > _RLE_WORST * plain + _RLE_HEADER
        if bloated or size not in (None, (rows, columns)):
            raise refuse(
                "shape_mismatch",
                "a compressed frame has another size than the header says",
                path,
                got=f"frame {found}: {len(source)} bytes" + (f" of {size} pixels" if size else ""),
                expected=f"{rows} x {columns} pixels",
                remedy="fetch the file again",
            )
        if found == frames:
            return
    raise refuse(
        "truncated_file",
        "the file holds fewer frames than it declares",
        path,
        got=f"{found} frames",
        expected=f"{frames}",
        remedy="fetch the file again",
    )


def frame_size(source: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream will decode to; None for others."""
    start = source.find(_J2K, 0, 2**16) if source.startswith(_BOX) else 0
    if source[start : start + 4] == _J2K:
        numbers = [int.from_bytes(source[start + at : start + at + 4]) for at in (8, 12, 16, 20)]
        return numbers[1] - numbers[3], numbers[0] - numbers[2]
    return _jpeg_size(source) if source.startswith(_JPEG) else None


def _jpeg_size(source: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(source) and source[at] == 0xFF:
        marker = source[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _FRAMES:
            read = source[at + 5 : at + 9]
            return int.from_bytes(read[:2]), int.from_bytes(read[2:])
        else:
            at += 2 + int.from_bytes(source[at + 2 : at + 4])
    return 0, 0
