"""Files of one case -> oriented pixels and layered labels (protocol section 1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.case import CuratedCase, SourceFile
from engine.collection.codes import LabelMap
from engine.collection.decode import decode
from engine.collection.find import CaseSpec, LabelFile
from engine.collection.gather import sources_of, unchanged, with_companions
from engine.collection.geometry import Geometry, check_same
from engine.collection.layers import Part, layer, unite
from engine.collection.name_objects import name_objects
from engine.collection.orient import Orientation, affine_of_codes, orientation
from engine.collection.raw_folder import RawFolder, as_folder
from engine.collection.readers import RawImage, reader_for
from engine.collection.readers.base import ImageFile, RawObjects
from engine.collection.readers.pixels import merge_grey
from engine.collection.recipe import Recipe, Series
from engine.collection.regrid import in_order_of, on_axes_of, one_picture
from engine.errors import CaseRefusedError

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
    raw: RawImage | RawObjects


def read_case(recipe: Recipe, spec: CaseSpec, raw_dir: Path | RawFolder) -> list[CuratedCase]:
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
    folder = as_folder(raw_dir)
    files = with_companions(spec, folder)
    with folder.local(files) as root:
        return _read(recipe, spec, folder, root, files)


def _read(
    recipe: Recipe, spec: CaseSpec, folder: RawFolder, root: Path, files: tuple[str, ...]
) -> list[CuratedCase]:
    series, path = recipe.series[spec.series], root / spec.image
    _check_numbers(series, spec)
    _check_structures(series, spec)
    with unchanged(root, files):
        stored = reader_for(path).read(path, series.how)
        raw = _stated(stored, series)
        image = ImageFile(path, raw)
        labels = [_read_label(label, root, series, image, stored) for label in spec.labels]
        turn = _orientation(raw, series, spec)
        for label in labels:
            _check_label(raw, label, spec)
        sources = sources_of(folder, files, spec.files)
    return [
        _curated(recipe, spec, raw, labels, turn, frame, sources)
        for frame in _frames(raw, series, spec)
    ]


def _check_numbers(series: Series, spec: CaseSpec) -> None:
    """Object 1 of one file and object 1 of another are two objects; nothing says how to tell them.

    Raises:
        CaseRefusedError: several files of a case number their objects.
    """
    for index, source in enumerate(series.labels):
        paths = [label.path for label in spec.labels if label.source == index]
        named = {label.structure for label in spec.labels if label.source == index}
        if (source.kind == "instances" or source.instances) and len(paths) > len(named):
            raise CaseRefusedError(
                "several files number the objects of one image",
                code="unsupported_layout",
                where=", ".join(paths[:5]),
                got=f"{len(paths)} files",
                expected="one file with all numbers, or a structure of its own for each file",
                remedy="give the files {structure} in their template, or number them in one file",
            )


def _check_structures(series: Series, spec: CaseSpec) -> None:
    """Files of one source may be parts of a structure; two sources are two truths about it.

    Raises:
        CaseRefusedError: two sources of a case have the same structure.
    """
    first: dict[str, LabelFile] = {}
    for label in spec.labels:
        fixed = series.labels[label.source].fixed_structures
        for name in fixed if label.structure is None else (label.structure,):
            other = first.setdefault(name, label)
            if other.source != label.source:
                raise CaseRefusedError(
                    "two kinds of label files of the recipe hold the same structure",
                    code="unsupported_layout",
                    where=f"{other.path} and {label.path}",
                    got=f"'{name}' in both",
                    expected="each structure from one entry of labels",
                    remedy="rename it in one entry, or leave one entry out: they may be two truths",
                )


def _read_label(
    label: LabelFile, root: Path, series: Series, image: ImageFile, stored: RawImage
) -> _LabelData:
    """Args: stored: the image before the recipe's `flat`, spacing and orientation."""
    path = root / label.path
    raw = reader_for(path).read_labels(path, series.labels[label.source].how, image)
    if isinstance(raw, RawObjects):
        return _LabelData(label, raw)
    raw = in_order_of(stored, raw, label.path)
    if series.flat:
        where = f"{image.path.relative_to(root).as_posix()} and {label.path}"
        raw = _before_flattening(stored, raw, where)
    return _LabelData(label, on_axes_of(image.raw, _stated(raw, series)))


def _before_flattening(image: RawImage, label: RawImage, where: str) -> RawImage:
    """Flat pictures have no place; where both files still say one, it must be the same."""
    if image.affine is None or label.affine is None:
        return label
    label = on_axes_of(image, label)
    check_same(_geometry(image), _geometry(label), where)
    return label


def _stated(raw: RawImage, series: Series) -> RawImage:
    """The file's content, with what the recipe says where the file states nothing."""
    if series.flat:
        raw = one_picture(raw)
    if raw.kind != "volume" or raw.affine is not None:
        return raw
    if series.spacing_mm is not None and raw.spacing_mm is None:
        spacing = series.spacing_mm  # (slice, row, column): arrays are stored as x, y, z
        raw = replace(raw, spacing_mm=tuple(reversed(spacing)))
    if series.orientation is None:
        return raw
    affine = affine_of_codes(series.orientation, raw.spacing_mm or (1.0, 1.0, 1.0))
    return replace(raw, affine=affine)


def _orientation(raw: RawImage, series: Series, spec: CaseSpec) -> Orientation | None:
    """How to turn a volume; None for images, which keep their pixel order."""
    if raw.kind == "image":
        return None
    if raw.affine is None:
        raise CaseRefusedError(
            "the file does not state an orientation",
            code="unknown_orientation",
            where=spec.image,
            got="no affine; NIfTI: sform and qform codes of 0",
            expected="where left and right, front and back are",
            remedy="say orientation: <axis codes> in the series if you know it from elsewhere",
        )
    return orientation(raw.affine, series.plane)


def _check_label(raw: RawImage, label: _LabelData, spec: CaseSpec) -> None:
    """Same kind, same geometry, a matching number of frames."""
    if isinstance(label.raw, RawObjects):  # drawn on the image's own grid by their reader
        return
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
    shape = _geometry(raw).shape
    parts = [
        part for label in labels for part in _parts(series, label, turn, frame, shape, len(image))
    ]
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
        split=spec.split,
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
    series: Series,
    label: _LabelData,
    turn: Orientation | None,
    frame: _Frame,
    shape: tuple[int, ...],
    slices: int,
) -> list[Part]:
    source, name = series.labels[label.file.source], label.file.structure
    if isinstance(label.raw, RawObjects):
        return name_objects(source, label.raw, turn, shape, label.file.path, name)
    array = _oriented(label.raw, turn, frame)
    parts = decode(source, LabelMap(array, label.file.path, label.raw.palette, name))
    return [_on_all(part, slices) for part in parts] if len(array) < slices else parts


def _on_all(part: Part, slices: int) -> Part:
    """A part of a label of one page, on every page of its image."""
    numbers = np.broadcast_to(part.numbers, (slices, *part.numbers.shape[1:]))
    return replace(part, box=(slice(0, slices), *part.box[1:]), numbers=numbers)


def _placement(
    raw: RawImage, series: Series, turn: Orientation | None
) -> tuple[tuple[float | None, float | None, float | None], Affine | None]:
    """((slice, row, column) spacing, affine of the oriented array)."""
    if turn is None:
        return (None, *_picture_spacing(raw, series)), None
    if raw.affine is None or raw.spacing_mm is None:
        return (None, None, None), None
    shape = _geometry(raw).shape
    return turn.spacing(raw.spacing_mm), turn.affine(raw.affine, shape)


def _picture_spacing(raw: RawImage, series: Series) -> tuple[float | None, float | None]:
    """(row, column) spacing of a picture: its file's, or the recipe's where that says none."""
    known = raw.spacing_mm or series.spacing_mm
    return (None, None) if known is None else (known[-2], known[-1])
