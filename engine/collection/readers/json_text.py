"""JSON files of labels: parsed within bounds, told apart by content, read by COCO or LabelMe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.collection.readers import limits
from engine.collection.readers.base import PLAIN, How, ImageFile, RawImage, RawObjects, refuse
from engine.collection.readers.coco import CocoFile
from engine.collection.readers.labelme import LabelMeFile
from engine.collection.readers.objects import no_image, shown
from engine.collection.readers.remembered import Remembered

LabelFile = CocoFile | LabelMeFile

_KINDS: tuple[tuple[frozenset[str], Callable[[dict[str, object], Path], LabelFile]], ...] = (
    (frozenset({"images", "annotations", "categories"}), CocoFile.of),
    (frozenset({"shapes", "imagePath"}), LabelMeFile.of),
)
"""Fields that tell one kind of label file from the others."""


def parse_json(content: bytes, path: Path) -> object:
    """The value of a JSON text.

    Raises:
        CaseRefusedError: `unreadable_file`, `truncated_file`, or `too_large` where its objects
            would not fit into memory.
    """
    if _as_objects(content) > limits.MOST_BYTES:
        raise refuse(
            "too_large",
            "the JSON would not fit into memory as objects",
            path,
            got=f"{len(content):,} bytes of text, about {_as_objects(content):,} as objects",
            expected=f"at most {limits.MOST_BYTES:,}",
            remedy="split it, for example by train and test",
        )
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        early = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        raise refuse(
            "truncated_file" if early else "unreadable_file",
            "the JSON ends too early" if early else "the file is not JSON",
            path,
            got=f"{error.msg} at line {error.lineno}, column {error.colno}",
            remedy="fetch the file again",
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, endless numbers, endless nesting
        words = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise refuse(
            "unreadable_file",
            "the file is not JSON that can be read",
            path,
            got=shown(words),
            remedy="fetch the file again",
        ) from error


def _as_objects(content: bytes) -> int:
    """Bytes that a JSON text takes as objects, by its signs: brackets, commas, quotes, colons."""
    count = content.count
    containers, items = count(b"[") + count(b"{"), count(b",")
    return 1 + 88 * containers + 40 * items + 40 * count(b'"') + 100 * count(b":") + len(content)


def _parse(content: bytes, path: Path) -> LabelFile:
    fields = parse_json(content, path)
    if isinstance(fields, dict):
        for signs, reader in _KINDS:
            if signs <= fields.keys():
                return reader(fields, path)
    found = ", ".join(shown(k, 20) for k in list(fields)[:8]) if isinstance(fields, dict) else None
    raise refuse(
        "unreadable_file",
        "the JSON is neither COCO nor LabelMe",
        path,
        got=f"fields {found}" if found else shown(fields),
        expected="images, annotations and categories (COCO), or shapes and imagePath (LabelMe)",
    )


read_label_file = Remembered(_parse)
"""(path) -> `CocoFile` or `LabelMeFile`; the last ones are kept."""


@dataclass(frozen=True)
class JsonReader:
    """COCO and LabelMe annotations of pictures."""

    extensions: tuple[str, ...] = (".json",)

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """Refuses: a JSON file is no image."""
        return no_image(path, "a JSON file")

    def read_labels(
        self, path: Path, how: How = PLAIN, image: ImageFile | None = None
    ) -> RawObjects:
        """The objects of one image. See `CocoFile.objects` and `LabelMeFile.objects`."""
        return read_label_file(path).objects(image)

    def companions(self, path: Path) -> tuple[Path, ...]:
        """None: pictures inside are never opened by the paths in the file."""
        return ()


JSON = JsonReader()

__all__ = ["JSON", "JsonReader", "parse_json", "read_label_file"]
