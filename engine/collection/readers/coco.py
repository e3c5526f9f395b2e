"""COCO annotations: one JSON file with the outlines of many pictures.

Polygons are drawn exactly as the format's own tools draw them; holes and overlaps need run-length
codes, plain or compressed. A crowd (`iscrowd: 1`: several objects under one outline) is named
`NAME (crowd)`, so that a recipe says whether it counts; it is never taken for one object silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from pycocotools import mask as coco_masks

from engine.collection.readers.base import ImageFile, RawObjects, refuse
from engine.collection.readers.limits import admit
from engine.collection.readers.objects import (
    Boxed,
    Gathered,
    a_name,
    check_size,
    picture_size,
    shown,
)
from engine.collection.readers.runs import mask_of_counts
from engine.collection.readers.winding import bad_contour, is_number

CROWD = " (crowd)"
INSTANCE = "instance_id"
"""Field of an annotation that numbers its object within the picture and category."""

Entry = Mapping[str, object]


@dataclass(frozen=True)
class CocoFile:
    """A parsed file: names of categories, pictures by file name, annotations by picture."""

    path: Path
    categories: Mapping[object, str]
    images: Mapping[str, list[Entry]] = field(repr=False)
    annotations: Mapping[object, list[Entry]] = field(repr=False)

    @classmethod
    def of(cls, fields: dict[str, object], path: Path) -> CocoFile:
        """Index a parsed JSON. Raises CaseRefusedError `unreadable_file`."""
        categories: dict[object, str] = {}
        for entry in _entries(fields, "categories", path):
            key = _key(entry.get("id"), "a category", path)
            if key in categories:
                raise _wrong("two categories have one id", path, key, "an id for each")
            categories[key] = a_name(entry.get("name"), path, "a category")
        images: dict[str, list[Entry]] = {}
        keys: set[object] = set()
        for entry in _entries(fields, "images", path):
            key = _key(entry.get("id"), "an image", path)
            if key in keys:
                raise _wrong("two images have one id", path, key, "an id for each")
            keys.add(key)
            name = a_name(entry.get("file_name"), path, "the file_name of an image")
            images.setdefault((_parts(name) or [""])[-1], []).append(entry)
        annotations: dict[object, list[Entry]] = {}
        for entry in _entries(fields, "annotations", path):
            key = _key(entry.get("image_id"), "the image of an annotation", path)
            annotations.setdefault(key, []).append(entry)
        return cls(path, categories, images, annotations)

    def objects(self, image: ImageFile | None) -> RawObjects:
        """The objects of one picture, in the order of its annotations.

        Raises:
            CaseRefusedError: `foreign_reference` where the file does not list the picture,
                `shape_mismatch` where its size differs, `bad_contour`, `unreadable_file`.
        """
        size = picture_size(image, self.path)
        if image is None:
            return RawObjects((), ())  # picture_size has refused already
        entry = self.entry(image.path)
        check_size((entry.get("height"), entry.get("width")), size, self.path, "the image's entry")
        found = self.annotations.get(entry.get("id"), [])
        gathered, crowds = Gathered(self.path), list[str]()
        numbers = _numbers(found)
        for number, annotation in zip(numbers, found, strict=True):
            name = self._name(annotation)
            if annotation.get("iscrowd") in (1, True):
                name += CROWD
                crowds.append(name)
            gathered.add(name, number, self._mask(annotation, size))
        return gathered.result([*self.categories.values(), *crowds])

    def entry(self, image: Path) -> Entry:
        """The picture's entry: its file_name must be the end of the path, the longest one wins.

        Raises:
            CaseRefusedError: `foreign_reference` where no name fits, or two do equally.
        """
        parts = list(image.parts)
        fitting: list[tuple[int, Entry]] = []
        for entry in self.images.get(image.name, []):
            names = _parts(str(entry["file_name"]))
            if parts[-len(names) :] == names:
                fitting.append((len(names), entry))
        longest = max((length for length, _ in fitting), default=0)
        best = [entry for length, entry in fitting if length == longest]
        if len(best) == 1:
            return best[0]
        same = [shown(e["file_name"], 200) for e in self.images.get(image.name, [])][:3]
        raise refuse(
            "foreign_reference",
            "the file lists the image twice" if best else "the file does not list the image",
            self.path,
            got=f"file_name {', '.join(same)}" if same else f"no file_name {image.name}",
            expected=f"one file_name that {image} ends with",
            remedy="give the image folder that belongs to this file",
        )

    def _name(self, annotation: Entry) -> str:
        key = _key(annotation.get("category_id"), "the category of an annotation", self.path)
        if key not in self.categories:
            raise _wrong("an annotation has an unknown category", self.path, key, "a listed id")
        return self.categories[key]

    def _mask(self, annotation: Entry, size: tuple[int, int]) -> Boxed | None:
        what = f"the segmentation of annotation {shown(annotation.get('id'), 30)}"
        outline = annotation.get("segmentation")
        if isinstance(outline, dict):
            check_size(outline.get("size"), size, self.path, what)
            return mask_of_counts(outline.get("counts"), size, self.path)
        if not isinstance(outline, list) or not outline:
            expected = "polygons or a run-length code (boxes are no outlines)"
            raise bad_contour(self.path, what, shown(outline), expected)
        return _polygons(outline, size, self.path, what)


def _polygons(outline: list[object], size: tuple[int, int], path: Path, what: str) -> Boxed | None:
    """The union of polygons `[x, y, x, y, ...]`, by the format's own rasteriser."""
    length = 0.0
    for flat in outline:
        good = isinstance(flat, list) and all(map(is_number, flat))
        if not isinstance(flat, list) or not good or len(flat) % 2 or len(flat) < 6:
            got = f"{len(flat)} numbers" if isinstance(flat, list) and good else shown(flat)
            raise bad_contour(path, what, got, "x, y of at least 3 points, in pixels")
        points = np.array(flat, dtype=np.float64).reshape(-1, 2)
        steps = np.abs(points - np.roll(points, -1, axis=0)).max(axis=1)
        length += float(steps.sum()) + len(points)
    admit((int(length) * 5,), 32, path)  # the rasteriser walks outlines in fifths of a pixel
    joined = coco_masks.merge(coco_masks.frPyObjects(outline, *size))
    return mask_of_counts(joined["counts"].decode("ascii"), size, path)


def _numbers(annotations: list[Entry]) -> list[int]:
    """Numbers of a picture's objects: their own where all of a category have one, else in order."""
    own = [annotation.get(INSTANCE) for annotation in annotations]
    stated = [n if type(n) is int and 0 < n < 2**16 else None for n in own]
    categories = [str(annotation.get("category_id")) for annotation in annotations]
    partly = {c for c, number in zip(categories, stated, strict=True) if number is None}
    return [
        place if number is None or category in partly else number
        for place, (category, number) in enumerate(zip(categories, stated, strict=True), 1)
    ]


def _entries(fields: dict[str, object], name: str, path: Path) -> list[Entry]:
    entries = fields[name]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _wrong(f"'{name}' is no list of entries", path, entries, "[{...}, ...]")
    return entries


def _key(value: object, what: str, path: Path) -> object:
    """An id: a whole number or a text. True is no 1, and 1.0 is none either."""
    if type(value) in (int, str):
        return value
    raise _wrong(f"{what} has no id", path, value, "a whole number or a text")


def _wrong(what: str, path: Path, got: object, expected: str) -> Exception:
    return refuse(
        "unreadable_file",
        what,
        path,
        got=shown(got),
        expected=expected,
        remedy="fetch the file again, or repair it",
    )


def _parts(file_name: str) -> list[str]:
    """Components of a file_name after its last `..`; it is compared with paths, never opened."""
    parts = PurePosixPath(file_name.replace("\\", "/")).parts
    ups = [place for place, part in enumerate(parts) if part == ".."]
    return list(parts[ups[-1] + 1 :] if ups else parts)
