"""What every format with named objects needs: the picture's size, and objects within a bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import ImageFile, NamedObject, RawImage, RawObjects, refuse
from engine.collection.readers.limits import admit

Box = tuple[slice, slice]
Boxed = tuple[Box, NDArray[np.bool_]]


def picture_size(image: ImageFile | None, path: Path) -> tuple[int, int]:
    """(height, width) of the picture that flat outlines are drawn on.

    Raises:
        CaseRefusedError: `unsupported_layout` for volumes, `frame_mismatch` for several frames.
    """
    if image is None or image.raw.kind != "image":
        raise refuse(
            "unsupported_layout",
            "outlines on a picture are read for a picture",
            path,
            got="no image" if image is None else f"a volume, {image.path.name}",
            expected="a 2-D image",
        )
    raw = image.raw
    if raw.frames != 1:
        raise refuse(
            "frame_mismatch",
            "the label file does not say which frame it is of",
            path,
            got=f"{raw.frames} frames in {image.path.name}",
            expected="one",
        )
    height, width = (
        n for axis, n in enumerate(raw.array.shape) if axis not in (raw.time_axis, raw.channel_axis)
    )
    return height, width


def check_size(stated: object, size: tuple[int, int], path: Path, what: str) -> None:
    """Raises `shape_mismatch` unless `stated`, (height, width) of a file, is the picture's."""
    if not _is_pair(stated):
        raise refuse(
            "unreadable_file",
            f"{what} has no height and width",
            path,
            got=shown(stated),
            expected=f"height {size[0]} and width {size[1]}, as the image has",
            remedy="add them: without them nothing says that the outlines fit this image",
        )
    if tuple(stated) != size:  # type: ignore[arg-type]  # a pair of numbers, as just checked
        raise refuse(
            "shape_mismatch",
            f"{what} and the image have different sizes",
            path,
            got=f"height x width {shown(stated)}",
            expected=f"{size[0]} x {size[1]}, as the image has",
            remedy="fetch the image the outlines were drawn on; nothing is resized",
        )


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
    )


def shown(value: object, limit: int = 80) -> str:
    """A value of a file for a message, never long and always printable."""
    text = ascii(value) if isinstance(value, int | float | str | None) else _kind(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(v, 20) for v in value[:4]) + (", ...]" if value[4:] else "]")
    return f"a {type(value).__name__}"


def a_name(value: object, path: Path, what: str) -> str:
    """`value` as a name. Raises `unreadable_file` for what is no text or cannot be stored."""
    if isinstance(value, str) and value:
        try:
            value.encode("utf-8")
            return value
        except UnicodeEncodeError:
            pass  # half of a surrogate pair: JSON can spell it, UTF-8 cannot
    raise refuse(
        "unreadable_file", f"{what} is no name", path, got=shown(value), expected="some text"
    )


def crop(mask: NDArray[np.bool_], row: int = 0, column: int = 0) -> Boxed | None:
    """The smallest box with all of a mask, whose first pixel lies at (row, column)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    box = (slice(row + y0, row + y1), slice(column + x0, column + x1))
    return box, np.ascontiguousarray(mask[y0:y1, x0:x1])


@dataclass
class Gathered:
    """Collects the objects of one file, and refuses before their masks outgrow memory."""

    path: Path
    objects: list[NamedObject] = field(default_factory=list)
    pixels: int = 0

    def add(self, name: str, number: int, boxed: Boxed | None) -> None:
        """Take an object; one without pixels is left to `names`."""
        if boxed is not None:
            box, mask = boxed
            self.pixels += mask.size
            admit((self.pixels,), 1, self.path)
            self.objects.append(NamedObject(name, number, box, mask))

    def result(self, names: list[str]) -> RawObjects:
        """What was gathered; `names` each once, in their order."""
        return RawObjects(tuple(self.objects), tuple(dict.fromkeys(names)))


def no_image(path: Path, kind: str) -> RawImage:
    """Label files are asked for pixels by a wrong recipe only. Raises `unreadable_file`."""
    raise refuse(
        "unreadable_file",
        f"{kind} holds labels and no image",
        path,
        expected="an image file",
        remedy="name it under labels, with kind: objects",
    )
