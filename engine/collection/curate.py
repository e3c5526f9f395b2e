"""Files of one case -> oriented pixels and layered labels (protocol section 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.case import CuratedCase, SourceFile
from engine.collection.codes import LabelMap
from engine.collection.decode import decode
from engine.collection.find import CaseSpec, LabelFile
from engine.collection.geometry import Geometry, check_same
from engine.collection.layers import Part, layer, unite
from engine.collection.orient import Orientation, affine_of_codes, orientation
from engine.collection.readers import RawImage, reader_for
from engine.collection.readers.pixels import merge_grey
from engine.collection.recipe import Recipe, Series
from engine.errors import CaseRefusedError
from engine.identity import file_sha256

Affine = NDArray[np.float64]


@dataclass(frozen=True)
class _Frame:
    """One case of a file: which frame, its suffix and modality. `index` None: all as slices."""

    index: int | None
    suffix: str
    modality: str


@dataclass(frozen=True)
class _LabelData:
    file: LabelFile
    raw: RawImage


def read_case(recipe: Recipe, spec: CaseSpec, raw_dir: Path) -> list[CuratedCase]:
    """Read, check, orient and decode one found case: one `CuratedCase` per frame of its file.

    A case without any labelled pixel has an empty `meaning`; leaving it out is the reader's
    choice (code `empty_case`).

    Raises:
        CaseRefusedError: `code` is a key of `engine.collection.reasons.REASONS`.
        UserError: a file name with an ending no reader knows.
    """
    if spec.excluded is not None:
        raise CaseRefusedError(
            spec.excluded.detail,
            code=spec.excluded.code,
            where=f"{spec.dataset}, case {spec.case}",
        )
    series = recipe.series[spec.series]
    raw = _stated(reader_for(raw_dir / spec.image).read(raw_dir / spec.image), series)
    labels = [_read_label(label, raw_dir, series) for label in spec.labels]
    turn = _orientation(raw, series, spec)
    for label in labels:
        _check_label(raw, label, spec)
    sources = tuple(SourceFile(path, file_sha256(raw_dir / path)) for path in spec.files)
    return [
        _curated(recipe, spec, raw, labels, turn, frame, sources)
        for frame in _frames(raw, series, spec)
    ]


def _read_label(label: LabelFile, raw_dir: Path, series: Series) -> _LabelData:
    path = raw_dir / label.path
    return _LabelData(label, _stated(reader_for(path).read_labels(path), series))


def _stated(raw: RawImage, series: Series) -> RawImage:
    """The file's content with the recipe's orientation where the file states none."""
    if raw.kind != "volume" or raw.affine is not None or series.orientation is None:
        return raw
    affine = affine_of_codes(series.orientation, raw.spacing_mm or (1.0, 1.0, 1.0))
    return RawImage(
        raw.array, raw.kind, raw.spacing_mm, affine, raw.channel_axis, raw.time_axis, raw.palette
    )


def _orientation(raw: RawImage, series: Series, spec: CaseSpec) -> Orientation | None:
    """How to turn a volume; None for images, which keep their pixel order."""
    if raw.kind == "image":
        return None
    if raw.affine is None:
        raise CaseRefusedError(
            "the file does not state an orientation",
            code="unknown_orientation",
            where=spec.image,
            got="sform and qform codes of 0",
            expected="an affine",
            remedy="say orientation: <axis codes> in the series if you know it from elsewhere",
        )
    return orientation(raw.affine, series.plane)


def _check_label(raw: RawImage, label: _LabelData, spec: CaseSpec) -> None:
    """Same kind, same geometry, a matching number of frames."""
    where = f"{spec.image} and {label.file.path}"
    if label.raw.kind != raw.kind:
        raise CaseRefusedError(
            "image and label are of different kinds",
            code="geometry_mismatch",
            where=where,
            got=f"label is a {label.raw.kind}",
            expected=f"a {raw.kind}",
        )
    check_same(_geometry(raw), _geometry(label.raw), where)
    if label.raw.frames not in (1, raw.frames):
        raise CaseRefusedError(
            "image and label have different numbers of frames",
            code="frame_mismatch",
            where=where,
            got=f"{label.raw.frames} frames in the label",
            expected=f"1 (the same for all) or {raw.frames}",
        )


def _geometry(raw: RawImage) -> Geometry:
    others = {raw.time_axis, raw.channel_axis}
    shape = tuple(n for axis, n in enumerate(raw.array.shape) if axis not in others)
    return Geometry(shape, raw.spacing_mm, raw.affine)


def _frames(raw: RawImage, series: Series, spec: CaseSpec) -> Iterator[_Frame]:
    """The cases of a file (protocol 1.4): channels by name, time points as `_t003`."""
    if series.channels:
        if sorted(series.channels) != list(range(raw.frames)):
            raise CaseRefusedError(
                "the recipe's channels are not the file's",
                code="frame_mismatch",
                where=spec.image,
                got=f"{raw.frames} frames",
                expected=f"channels {', '.join(map(str, sorted(series.channels)))}",
            )
        for index, channel in sorted(series.channels.items()):
            yield _Frame(index, f"_{channel.name}", channel.modality or series.modality)
    elif raw.time_axis is None:
        yield _Frame(0, "", series.modality)
    elif series.frames == "slices" and raw.kind == "image":
        yield _Frame(None, "", series.modality)
    else:
        for index in range(raw.frames):
            yield _Frame(index, f"_t{index:03d}", series.modality)


def _curated(
    recipe: Recipe,
    spec: CaseSpec,
    raw: RawImage,
    labels: list[_LabelData],
    turn: Orientation | None,
    frame: _Frame,
    sources: tuple[SourceFile, ...],
) -> CuratedCase:
    series = recipe.series[spec.series]
    image = _oriented(raw, turn, frame)
    if raw.channel_axis is not None:
        image = merge_grey(image)
    parts = [part for label in labels for part in _parts(series, label, turn, frame)]
    stack, meaning = layer(unite(parts), image.shape[:3])
    space, affine = _placement(raw, series, turn)
    return CuratedCase(
        dataset=recipe.dataset,
        case=spec.case + frame.suffix,
        subject=spec.subject,
        modality=frame.modality,
        plane=turn.plane if turn is not None else "image",
        image=image,
        labels=stack,
        meaning=meaning,
        spacing_mm=space,
        affine=affine,
        sources=sources,
    )


def _oriented(raw: RawImage, turn: Orientation | None, frame: _Frame) -> NDArray[np.generic]:
    """[slice, y, x] or [slice, y, x, 3] of one frame; an image is one slice."""
    if frame.index is None and raw.time_axis is not None:
        return np.ascontiguousarray(raw.array)
    array = raw.frame(frame.index or 0)
    if turn is not None:
        return turn.apply(array)
    return np.ascontiguousarray(array[np.newaxis])


def _parts(
    series: Series, label: _LabelData, turn: Orientation | None, frame: _Frame
) -> list[Part]:
    array = _oriented(label.raw, turn, frame)
    name = label.file.structure
    return decode(
        series.labels[label.file.source],
        LabelMap(array, label.file.path, label.raw.palette, name),
    )


def _placement(
    raw: RawImage, series: Series, turn: Orientation | None
) -> tuple[tuple[float | None, float | None, float | None], Affine | None]:
    """((slice, row, column) spacing, affine of the oriented array)."""
    if turn is None:
        row, column = series.spacing_mm or (None, None)
        return (None, row, column), None
    if raw.affine is None or raw.spacing_mm is None:
        return (None, None, None), None
    shape = _geometry(raw).shape
    return turn.spacing(raw.spacing_mm), turn.affine(raw.affine, shape)
