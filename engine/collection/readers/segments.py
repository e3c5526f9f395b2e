"""Named segments of a 3D Slicer segmentation (`.seg.nrrd`), placed on the grid of their image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.collection.geometry import TOLERANCE
from engine.collection.layers import part_of
from engine.collection.readers.base import ImageFile, NamedObject, RawImage, RawObjects, refuse


@dataclass(frozen=True)
class _Segment:
    """Voxels of frame `layer` with `value`."""

    number: int
    name: str
    layer: int
    value: int


def segments_of(
    keys: Mapping[str, str], raw: RawImage, path: Path, image: ImageFile | None
) -> RawObjects | None:
    """The segments a header declares; None where it declares none.

    Raises:
        CaseRefusedError: `geometry_mismatch` where the voxels are not those of the image,
            `unknown_label_value` for a value no segment has, `unsupported_layout`.
    """
    segments = tuple(_declared(keys, raw, path))
    if not segments:
        return None
    if raw.kind != "volume" or raw.channel_axis is not None or raw.array.dtype.kind not in "ui":
        raise refuse("unsupported_layout", "a segmentation is a volume of whole numbers", path)
    _check_values(segments, raw, path)
    offset = (0, 0, 0) if image is None else _offset(raw, image, path)
    objects = []
    for segment in segments:
        part = part_of(segment.name, raw.frame(segment.layer) == segment.value)
        if part is None:
            continue
        box = tuple(slice(s.start + o, s.stop + o) for s, o in zip(part.box, offset, strict=True))
        _check_inside(box, image, path, segment.name)
        objects.append(NamedObject(segment.name, segment.number, box, part.mask))
    return RawObjects(tuple(objects), tuple(dict.fromkeys(s.name for s in segments)))


def _declared(keys: Mapping[str, str], raw: RawImage, path: Path) -> Iterator[_Segment]:
    """Segments in the order of their numbers; old files keep one segment per layer."""
    numbers = sorted(int(m[1]) for key in keys if (m := re.fullmatch(r"Segment(\d{1,6})_ID", key)))
    old = not any(f"Segment{n}_LabelValue" in keys for n in numbers)
    for place, n in enumerate(numbers):
        layer = keys.get(f"Segment{n}_Layer", str(place) if old else "0")
        value = keys.get(f"Segment{n}_LabelValue", "1")
        name = keys.get(f"Segment{n}_Name") or keys[f"Segment{n}_ID"]
        if not (re.fullmatch(r"\d{1,6}", layer) and re.fullmatch(r"\d{1,9}", value)):
            raise refuse("unreadable_file", "a segment has no number", path, got=f"{layer} {value}")
        if int(layer) >= raw.frames or value == "0":
            raise refuse(
                "unsupported_layout",
                "a segment is none of the file's values",
                path,
                got=f"segment '{name}': layer {layer}, value {value}",
                expected=f"layers 0..{raw.frames - 1}, values from 1",
            )
        yield _Segment(n + 1, name, int(layer), int(value))


def _check_values(segments: tuple[_Segment, ...], raw: RawImage, path: Path) -> None:
    """Every value must be that of a segment, and of one only."""
    pairs = [(s.layer, s.value) for s in segments]
    if len(set(pairs)) < len(pairs):
        raise refuse("unsupported_layout", "two segments have the same value", path, got=pairs[:9])
    for layer in range(raw.frames):
        values = set(np.unique(raw.frame(layer)).tolist()) - {0}
        unknown = sorted(values - {value for at, value in pairs if at == layer})
        if unknown:
            raise refuse(
                "unknown_label_value",
                "the file holds a value that no segment has",
                path,
                got=f"{unknown[:8]} in layer {layer}",
                expected="values of the segments its header names",
            )


def _offset(raw: RawImage, image: ImageFile, path: Path) -> tuple[int, ...]:
    """Voxels from the image's first voxel to the segmentation's, which may be a crop of it."""
    other = image.raw
    shape, whole = raw.array.shape[:3], _space_shape(other)
    if raw.affine is None or other.affine is None:
        if shape != whole:
            raise _elsewhere(path, image, f"{shape} voxels and no place", whole)
        return (0, 0, 0)
    between = np.linalg.solve(other.affine, raw.affine)
    step = np.rint(np.clip(between[:3, 3], -(2**40), 2**40))
    turned = np.abs(between[:3, :3] - np.eye(3)).max(axis=1) * max(shape)
    off = np.abs(between[:3, 3] - step)
    if other.kind != "volume" or (turned > 0.1).any() or (off > 10 * TOLERANCE).any():
        raise _elsewhere(path, image, between.round(4).tolist(), "whole steps along its axes")
    return tuple(int(n) for n in step)


def _space_shape(raw: RawImage) -> tuple[int, ...]:
    others = {raw.time_axis, raw.channel_axis}
    return tuple(n for axis, n in enumerate(raw.array.shape) if axis not in others)


def _check_inside(box: tuple[slice, ...], image: ImageFile | None, path: Path, name: str) -> None:
    if image is None:
        return
    shape = _space_shape(image.raw)
    if any(s.start < 0 or s.stop > n for s, n in zip(box, shape, strict=True)):
        raise _elsewhere(path, image, f"'{name}' at {box}", f"within {shape}")


def _elsewhere(path: Path, image: ImageFile, got: object, expected: object) -> Exception:
    return refuse(
        "geometry_mismatch",
        f"the segmentation is not on the grid of {image.path.name}",
        path,
        got=got,
        expected=expected,
        remedy="pair it with the image it was drawn on; samscope resamples nothing",
    )
