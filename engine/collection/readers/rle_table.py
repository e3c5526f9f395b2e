"""Tables of run-length codes (`.csv`): one row per object, as competitions hand them out.

The columns are known by their names; the recipe's `array` may name the one with the codes, its
`axes` their order (`xy` down the columns, `yx` along the rows).

- `ImageId,EncodedPixels` is used with two codes. The usual one counts starts from 1. The
  pneumothorax table (SIIM-ACR) counts each start from the end of the run before, from 0; its
  header has a space before `EncodedPixels`, later copies have not. So without the space the codes
  decide: one start that does not rise breaks the usual code, and several runs that rise fit it.
- `rle_mask`, `rle`, `encoding`: starts from 1, down the columns. `segmentation`, `annotation`:
  starts from 1, along the rows.
- `ClassId`, `class`, `label` or `cell_type` names the object; else it has the name of its column.
  `Image_Label` is image and label with `_` between.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import PLAIN, How, ImageFile, RawImage, RawObjects, refuse
from engine.collection.readers.objects import Gathered, a_name, no_image, picture_size, shown
from engine.collection.readers.remembered import MOST_TEXT_BYTES, Remembered
from engine.collection.readers.runs import Order, mask_of_runs

_CODES: dict[str, Order] = {
    "EncodedPixels": "columns",
    "rle_mask": "columns",
    "rle": "columns",
    "encoding": "columns",
    "segmentation": "rows",
    "annotation": "rows",
}
_IMAGES = ("ImageId", "image_id", "id", "img", "image", "Image_Label")
_NAMES = ("ClassId", "class", "label", "cell_type")
_NOTHING = {"", "-1"}


@dataclass(frozen=True)
class RleTable:
    """A parsed table: per image, (row number within the image, column -> text).

    Attributes:
        columns: header as written, spaces included.
        relative: how the column `EncodedPixels` counts; None where its codes do not tell.
        rows: image id -> its rows.
    """

    path: Path
    columns: tuple[str, ...]
    image_column: int
    name_column: int | None
    relative: bool | None
    rows: Mapping[str, list[list[str]]] = field(repr=False)

    def objects(self, how: How, image: ImageFile | None) -> RawObjects:
        """The objects of one image, in the order of its rows; no row with a code: no object.

        Raises:
            CaseRefusedError: `foreign_reference` where the table does not list the image,
                `shape_mismatch` where a run leaves it, `unsupported_layout` where the code cannot
                be told, `unreadable_file`.
        """
        size = picture_size(image, self.path)
        rows = self._rows_of(image.path if image is not None else self.path)
        column = self._code_column(how)
        order = self._order(column, how)
        relative = self._relative(column)
        gathered, names = Gathered(self.path), list[str]()
        for number, row in enumerate(rows, 1):
            code = _numbers(row[column], self.path)
            name = self._name(row, column)
            names.append(name)
            if len(code):
                starts, lengths = _runs(code, relative)
                _check_inside(starts, lengths, size, self.path)
                gathered.add(name, number, mask_of_runs(starts, lengths, size, order))
        return gathered.result(names)

    def _rows_of(self, image: Path) -> list[list[str]]:
        for key in (image.name, image.stem):
            if key in self.rows:
                return self.rows[key]
        raise refuse(
            "foreign_reference",
            "the table does not list the image",
            self.path,
            got=f"{len(self.rows)} images, among them {shown(next(iter(self.rows), None), 40)}",
            expected=f"a row of {image.stem}",
            remedy="give the image folder that belongs to this table",
        )

    def _code_column(self, how: How) -> int:
        known = [how.array] if how.array is not None else list(_CODES)
        found = [i for i, name in enumerate(self.columns) if name.strip() in known]
        if len(found) == 1:
            return found[0]
        raise refuse(
            "no_array",
            "the table has several columns of codes" if found else "the table has no such column",
            self.path,
            got=f"columns {', '.join(shown(c, 30) for c in self.columns[:12])}",
            expected=", ".join(str(name) for name in known),
            remedy="name the column of codes in the recipe, array: NAME",
        )

    def _order(self, column: int, how: How) -> Order:
        if how.axes is not None:
            return "columns" if how.axes == "xy" else "rows"
        return _CODES.get(self.columns[column].strip(), "columns")

    def _relative(self, column: int) -> bool:
        """Whether starts count from the end of the run before. See this file's first lines."""
        header = self.columns[column]
        if header.strip() != "EncodedPixels":
            return False
        if header != "EncodedPixels":
            return True
        if self.relative is not None:
            return self.relative
        raise refuse(
            "unsupported_layout",
            "the table does not show from where its codes count",
            self.path,
            got="single runs only, which fit both ways of counting",
            expected="starts from 1 in rising order, or each start from the end before it",
            remedy="rename the column: rle_mask counts from 1; a space before EncodedPixels means "
            "from the end before",
        )

    def _name(self, row: list[str], column: int) -> str:
        if self.name_column is None:
            return self.columns[column].strip()
        text = row[self.name_column]
        if self.name_column == self.image_column:
            text = text.rpartition("_")[2]
        return a_name(text.strip(), self.path, "a class")


def _numbers(text: str, path: Path) -> NDArray[np.int64]:
    """start length start length ... as written; nothing for an empty mask."""
    if text.strip() in _NOTHING:
        return np.zeros(0, dtype=np.int64)
    words = text.split()
    if len(words) % 2 or not all(map(_is_count, words)):
        raise refuse(
            "unreadable_file",
            "a run-length code cannot be read",
            path,
            got=shown(text, 60),
            expected="start length start length ..., or -1 for an empty mask",
            remedy="fetch the file again",
        )
    return np.array(words, dtype=np.int64)


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 13


def _runs(code: NDArray[np.int64], relative: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(starts from 0, lengths)."""
    starts, lengths = code[::2], code[1::2]
    if not relative:
        return starts - 1, lengths
    return np.cumsum(starts) + np.cumsum(lengths) - lengths, lengths


def _check_inside(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], size: tuple[int, int], path: Path
) -> None:
    ends = starts + lengths
    if starts.min() < 0 or ends.max() > size[0] * size[1]:
        raise refuse(
            "shape_mismatch",
            "a run leaves the image",
            path,
            got=f"pixels {int(starts.min())} to {int(ends.max())}",
            expected=f"0 to {size[0] * size[1]} ({size[0]} x {size[1]})",
            remedy="give the image at the size it was labelled at; nothing is resized",
        )


def _parse(content: bytes, path: Path) -> RleTable:
    csv.field_size_limit(MOST_TEXT_BYTES)  # the default refuses codes of large images
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        return _indexed(next(lines, []), lines, path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise refuse(
            "unreadable_file",
            "the file is no table",
            path,
            got=shown(str(error)),
            expected="comma-separated text in UTF-8",
            remedy="fetch the file again",
        ) from error


def _indexed(header: list[str], lines: Iterable[list[str]], path: Path) -> RleTable:
    names = [name.strip() for name in header]
    image = next((names.index(name) for name in _IMAGES if name in names), None)
    if image is None:
        raise refuse(
            "no_array",
            "the table has no column of image names",
            path,
            got=f"columns {', '.join(shown(name, 30) for name in header[:12]) or 'none'}",
            expected=", ".join(_IMAGES),
            remedy="rename the column",
        )
    joined = names[image] == "Image_Label"
    rows: dict[str, list[list[str]]] = {}
    for number, row in enumerate(lines, 2):
        if len(row) != len(header):
            raise refuse(
                "truncated_file",
                "a row of the table is not whole",
                path,
                got=f"{len(row)} columns in row {number}",
                expected=f"{len(header)}",
                remedy="fetch the file again",
            )
        key = row[image].strip()
        rows.setdefault(key.rpartition("_")[0] if joined else key, []).append(row)
    name = image if joined else next((names.index(n) for n in _NAMES if n in names), None)
    codes = header.index("EncodedPixels") if "EncodedPixels" in header else None
    relative = (
        None if codes is None else _counts_from_before(r[codes] for g in rows.values() for r in g)
    )
    return RleTable(path, tuple(header), image, name, relative, rows)


def _counts_from_before(codes: Iterable[str]) -> bool | None:
    """How a table counts: True where some start does not rise; None where all are single runs."""
    several = False
    for text in codes:
        words = text.split()
        if len(words) % 2 or not all(map(_is_count, words)):
            continue  # an empty mask, or a row that refuses its own case later
        code = np.array(words, dtype=np.int64)
        starts, ends = code[::2], code[::2] + code[1::2]
        if len(code) and (starts[0] < 1 or (starts[1:] < ends[:-1]).any()):
            return True
        several = several or len(code) > 2
    return False if several else None


read_table = Remembered(_parse)
"""(path) -> `RleTable`; the last ones are kept."""


@dataclass(frozen=True)
class RleTableReader:
    """Tables of run-length codes of pictures."""

    extensions: tuple[str, ...] = (".csv",)

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Refuses: a table is no image."""
        return no_image(path, "a table")

    def read_labels(
        self, path: Path, how: How = PLAIN, image: ImageFile | None = None
    ) -> RawObjects:
        """The objects of one image. See `RleTable.objects`."""
        return read_table(path).objects(how, image)

    def companions(self, path: Path) -> tuple[Path, ...]:
        """None."""
        return ()


RLE_TABLE = RleTableReader()
