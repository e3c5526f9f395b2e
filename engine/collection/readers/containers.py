"""Is a video file the container its first bytes say, and is it whole? Without decoding it."""

from __future__ import annotations

import io
from pathlib import Path

from engine.collection.readers.base import first_bytes, refuse
from engine.collection.readers.limits import opened

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_MATROSKA, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_MPEG = (b"\0\0\1\xba", b"\0\0\1\xb3")
_MOST_BOXES = 10_000


def check_container(path: Path) -> bool:
    """Whether the index of the container states the exact number of frames (MP4, MOV).

    Raises:
        CaseRefusedError: `unreadable_file` for another format, `truncated_file` where a part of
            the container is longer than the file. An MPEG stream may end anywhere.
    """
    with opened(path) as stream:
        start = stream.read(12)
        size = path.stat().st_size
        stream.seek(0)
        if start[4:8] in _BOXES:
            _check_end(path, size, _end_of_boxes(stream, size))
            return True
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            _check_end(path, size, 8 + int.from_bytes(start[4:8], "little"))
            return False
        if start[:4] == _MATROSKA:
            _check_end(path, size, _end_of_segment(stream.read(4096)))
            return False
        if start[:4] in _MPEG:
            return False
    raise refuse(
        "unreadable_file",
        "the file is no video",
        path,
        got=first_bytes(path),
        expected="MP4, MOV, AVI, Matroska or MPEG",
        remedy="fetch the file again, or correct its ending",
    )


def _check_end(path: Path, size: int, end: int) -> None:
    if end > size:
        raise refuse(
            "truncated_file",
            "the video ends early",
            path,
            got=f"{size} bytes",
            expected=f"{end} bytes",
            remedy="fetch the file again",
        )


def _end_of_boxes(stream: io.BufferedReader, size: int) -> int:
    """Where the last of the boxes that follow each other ends."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at >= size:
            break
        stream.seek(at)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # up to the end of the file
            return size
        if len(head) < 8 or length < 8:
            return size + 1 if len(head) < 8 else size
        at += length
    return at


def _end_of_segment(start: bytes) -> int:
    """Where the segment of a Matroska file ends; 0 where its length is not known."""
    at = start.find(_SEGMENT)
    if at < 0 or at + 5 > len(start):
        return 0
    first = start[at + 4]
    width = 9 - first.bit_length()
    if first == 0 or at + 4 + width > len(start):
        return 0
    value = int.from_bytes(start[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    unknown = value == (1 << 7 * width) - 1
    return 0 if unknown else at + 4 + width + value
