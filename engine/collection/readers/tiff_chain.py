"""The chain of pages of a TIFF, followed before it is decoded: a damaged one can run in circles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from engine.collection.readers.base import refuse
from engine.collection.readers.limits import check_holds

_MOST_PAGES = 100_000
_MOST_TAGS = 4096


@dataclass(frozen=True)
class _Layout:
    """Sizes in bytes: of an offset, of a number of tags, of a tag."""

    order: Literal["little", "big"]
    offset: int
    count: int
    tag: int


def check_chain(stream: BinaryIO, path: Path) -> None:
    """Follow the pages of a TIFF or BigTIFF; leaves `stream` at its start.

    Raises:
        CaseRefusedError: `unreadable_file` for another format or a chain that returns to a page,
            `truncated_file` for one that leaves the file, `too_large` for one without end.
    """
    size = path.stat().st_size
    head = stream.read(16)
    layout = _layout(head, path)
    start = 4 if layout.offset == 4 else 8
    at = int.from_bytes(head[start : start + layout.offset], layout.order)
    seen: set[int] = set()
    while at:
        if at in seen:
            raise _damaged(path, f"page {len(seen)} is followed by an earlier one")
        if len(seen) == _MOST_PAGES:
            raise refuse("too_large", "the TIFF has too many pages", path, got=_MOST_PAGES)
        seen.add(at)
        check_holds(at + layout.count, size, path)
        stream.seek(at)
        tags = int.from_bytes(stream.read(layout.count), layout.order)
        if tags > _MOST_TAGS:
            raise _damaged(path, f"{tags} tags in page {len(seen) - 1}")
        end = at + layout.count + tags * layout.tag
        check_holds(end, size, path)
        stream.seek(end)
        at = int.from_bytes(stream.read(layout.offset), layout.order)
    stream.seek(0)


def _layout(head: bytes, path: Path) -> _Layout:
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    version = int.from_bytes(head[2:4], order)
    if head[:2] not in (b"II", b"MM") or version not in (42, 43) or len(head) < 8:
        raise _damaged(path, f"it begins with {head[:4]!r}")
    return _Layout(order, 4, 2, 12) if version == 42 else _Layout(order, 8, 8, 20)


def _damaged(path: Path, got: str) -> Exception:
    return refuse(
        "unreadable_file",
        "the file is no TIFF, or a damaged one",
        path,
        got=got,
        expected="pages one after the other",
        remedy="fetch the file again",
    )
