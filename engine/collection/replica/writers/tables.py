"""COCO and LabelMe JSON, and tables of run lengths."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from engine.collection.replica.files import Done, DrawnObject, Piece
from engine.collection.replica.outline import outlines
from engine.collection.replica.truth import Mask


def write_json(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """COCO where the recipe has one file for all images, else LabelMe."""
    fields = _coco(pieces) if pieces[0].shared else _labelme(pieces[0])
    path.write_text(json.dumps(fields, indent=1), encoding="utf-8")


def _coco(pieces: Sequence[Piece]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for piece in pieces for name in piece.declared))
    images, annotations = [], list[dict[str, Any]]()
    for number, piece in enumerate(pieces, start=11):
        high, wide = piece.grid.shape
        images.append({"id": number, "file_name": piece.image, "height": high, "width": wide})
        for one in piece.objects:
            rows, columns = (np.flatnonzero(one.mask.any(axis=axis)) for axis in (1, 0))
            box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": names.index(one.name) + 1,
                "segmentation": _segmentation(one, piece.write.polygons),
                "area": int(one.mask.sum()),
                "bbox": [int(n) for n in box],
                "iscrowd": 0,
            })  # fmt: skip
    categories = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _segmentation(one: DrawnObject, polygons: bool) -> Any:
    if polygons:
        return [points.ravel().tolist() for points in _corners(one.mask)]
    return {"size": list(one.mask.shape), "counts": _counts(one.mask)}


def _counts(mask: Mask) -> list[int]:
    """Pixels outside, inside, outside ... down the columns."""
    down = mask.ravel(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(down, prepend=0)).tolist()
    return [int(n) for n in np.diff([0, *ends, down.size])]


def _labelme(piece: Piece) -> dict[str, Any]:
    high, wide = piece.grid.shape
    shapes = [
        {
            "label": one.name,
            "points": points.tolist(),
            "group_id": one.number,
            "shape_type": "polygon",
            "flags": {},
        }
        for one in piece.objects
        for points in _corners(one.mask)
    ]
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": PurePosixPath(piece.image).name,
        "imageData": None,
        "imageHeight": high,
        "imageWidth": wide,
    }


def write_table(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """One row per object: image, run lengths and, where the recipe has several, its class.

    Without a name for the column of codes: the table of SIIM-ACR, whose header has a space before
    `EncodedPixels` and whose starts count from the end of the run before.
    """
    named, how = any(piece.declared[1:] for piece in pieces), pieces[0].how
    siim = how.array is None
    header = ["ImageId", " EncodedPixels"] if siim else ["id", how.array or "", "class"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(header if named or siim else header[:2])
        for piece in pieces:
            stem = PurePosixPath(piece.image).stem
            for one in piece.objects:
                code = " ".join(map(str, _runs(one.mask, along_rows=how.axes == "yx", siim=siim)))
                table.writerow([stem, code, one.name] if named and not siim else [stem, code])


def _runs(mask: Mask, *, along_rows: bool, siim: bool) -> list[int]:
    """start length start length ...: from 1, or from 0 and then from the end before."""
    line = mask.ravel(order="C" if along_rows else "F").astype(np.int8)
    change = np.diff(line, prepend=0, append=0)
    starts, ends = np.flatnonzero(change > 0), np.flatnonzero(change < 0)
    first = starts - np.append(0, ends[:-1]) if siim else starts + 1
    return [int(n) for pair in zip(first, ends - starts, strict=True) for n in pair]


def _corners(mask: Mask) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Outlines whose (x, y) count from the outer corner of the first pixel."""
    return [points + 0.5 for points in outlines(mask)]
