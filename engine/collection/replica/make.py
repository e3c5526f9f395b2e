"""A recipe in, a miniature of its data set on disk, and the truth about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collection.recipe import LabelSource, Recipe
from engine.collection.replica.bodies import Body, body
from engine.collection.replica.files import Done, DrawnObject, Piece
from engine.collection.replica.grid import Grid
from engine.collection.replica.labels import LabelDrawing, draw_label, true_masks
from engine.collection.replica.layout import (
    Frame,
    Layout,
    frames_of,
    layout_of,
    seen_image,
    stored_values,
)
from engine.collection.replica.lookups import Row, table_text
from engine.collection.replica.targets import LabelTarget, Target, targets
from engine.collection.replica.truth import Mask, TrueCase
from engine.collection.replica.writers import LOSSY, ending_of, write
from engine.errors import UserError

_OUTLINES = (".json",)
_NAMED_ONCE = (".dcm",)
_TEXTS = (".json", ".csv")


@dataclass(frozen=True)
class Replicated:
    """What was written.

    Attributes:
        files: paths relative to the folder; a folder's ends in `/`.
        cases: what a correct ingest finds, sorted by name; those the recipe skips and those
            without an object are left out.
    """

    files: tuple[str, ...]
    cases: tuple[TrueCase, ...]


def write_replica(recipe: Recipe, out: Path) -> Replicated:
    """Write the miniature of a recipe; the same bytes whenever it is asked for.

    Args:
        out: the raw folder, made if missing.

    Raises:
        UserError: no or an invalid `replica:` block, or the block asks for what cannot be written.
    """
    return _Making(recipe, out).run()


class _Making:
    """One replica: pieces are gathered by file, labels drawn once each, all written at the end."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        self._recipe, self._out = recipe, out
        self._targets = targets(recipe)
        self._pieces: dict[str, list[Piece]] = {}
        self._drawn: dict[tuple[str, ...], LabelDrawing] = {}
        self._cases: list[TrueCase] = []
        self._sources: dict[str, list[LabelSource]] = {}
        for target in self._targets:
            for label in target.labels:
                known = self._sources.setdefault(label.path, [])
                source = target.series.labels[label.source]
                if source not in known:
                    known.append(source)
        self._last = {target.number: target.turn for target in self._targets}

    def run(self) -> Replicated:
        for target in self._targets:
            self._add(target)
        done: Done = {}
        images = {path for path, pieces in self._pieces.items() if pieces[0].role == "image"}
        for path in sorted(self._pieces, key=lambda path: (path not in images, path)):
            write(self._out, path, self._pieces[path], done)
        cases = sorted((case for case in self._cases if case.masks), key=lambda case: case.case)
        return Replicated((*sorted(self._pieces), *self._write_tables()), tuple(cases))

    def _write_tables(self) -> list[str]:
        """Whose the pictures are, and which split they are in."""
        tables: dict[str, list[Row]] = {}
        for target in self._targets:
            for path, row in target.rows.items():
                tables.setdefault(path, []).append(row)
        for path, rows in tables.items():
            (self._out / path).parent.mkdir(parents=True, exist_ok=True)
            (self._out / path).write_text(table_text(rows), encoding="utf-8")
        return sorted(tables)

    def _add(self, target: Target) -> None:
        layout = layout_of(target)
        frames = list(frames_of(target.series, layout))
        bodies = self._bodies(target, layout)
        grey = target.replica.write.grey
        values = [stored_values(layout, one.image, grey) for one in bodies]
        self._add_image(target, layout, values)
        labels = [label for label in target.labels if not self._left_out(target, label)]
        drawings = [self._label(target, label, layout, bodies) for label in labels]
        if target.case in self._recipe.skip:
            return
        for frame in frames:
            masks: dict[tuple[str, int], Mask] = {}
            for label, drawing in zip(labels, drawings, strict=True):
                source = target.series.labels[label.source]
                for key, mask in _seen(drawing, source, label, layout, frame).items():
                    masks[key] = masks[key] | mask if key in masks else mask
            image = seen_image(layout, values, frame)
            self._cases.append(_true(target, layout, frame, image, masks))

    def _bodies(self, target: Target, layout: Layout) -> list[Body]:
        """One per frame: the same place, a little later."""
        modalities = [target.series.modality] * layout.frames
        for index, channel in target.series.channels.items():
            modalities[index] = channel.modality or target.series.modality
        return [
            body(name, layout.grid.shape, self._generator(target.image), variant=index)
            for index, name in enumerate(modalities)
        ]

    def _generator(self, *words: str) -> np.random.Generator:
        text = "|".join(("samscope replica", self._recipe.dataset, *words))
        digest = hashlib.sha256(text.encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))

    def _add_image(self, target: Target, layout: Layout, values: list[NDArray[np.generic]]) -> None:
        array = np.stack(values) if layout.time else values[0]
        colour = values[0].ndim > len(layout.grid.shape)
        if layout.colour and target.replica.write.colour and not colour:
            array, colour = np.repeat(array[..., None], 3, axis=-1), True
        piece = self._piece(target, target.image, layout.grid, array)
        piece = replace(piece, time=layout.time, colour=colour, how=target.series.how)
        self._pieces.setdefault(target.image, []).append(piece)

    def _piece(
        self, target: Target, path: str, grid: Grid, values: NDArray[np.generic] | None
    ) -> Piece:
        return Piece(
            path,
            "image",
            values,
            grid,
            target.replica.write,
            target.case,
            target.subject,
            target.series.modality,
            image=target.image,
            number=target.turn,
        )

    def _left_out(self, target: Target, label: LabelTarget) -> bool:
        """Optional labels are absent from the last case, where others remain."""
        sources = target.series.labels
        last = target.turn == self._last[target.number] and target.turn > 0
        return last and sources[label.source].optional and not all(s.optional for s in sources)

    def _label(
        self, target: Target, label: LabelTarget, layout: Layout, bodies: list[Body]
    ) -> LabelDrawing:
        source, write = target.series.labels[label.source], target.replica.write
        ending = ending_of(label.path)
        shared = source.kind == "objects" and ending in _TEXTS
        key = (label.path, source.array or "", *([target.image] if shared else []))
        known = self._drawn.get(key)
        if known is not None:
            self._check_size(known, layout, label)
            return known
        per_frame = layout.time and (
            write.labels_per_frame or (target.series.frames == "slices" and not layout.grid.volume)
        )
        drawing = draw_label(
            [s for s in self._sources[label.path] if s.array == source.array],
            label.structure,
            bodies if per_frame else bodies[:1],
            layout.grid.shape,
            self._generator(*key),
            write,
            volume=layout.grid.volume,
            solid=ending in _OUTLINES and (write.polygons or target.case in label.path),
            single=ending in _NAMED_ONCE,
            lossy=ending in LOSSY,
        )
        self._drawn[key] = drawing
        piece = _label_piece(self._piece(target, label.path, layout.grid, None), source, drawing)
        self._pieces.setdefault(label.path, []).append(
            replace(
                piece, shared="{" not in source.file, grid=_label_grid(layout.grid, target, ending)
            )
        )
        return drawing

    @staticmethod
    def _check_size(drawing: LabelDrawing, layout: Layout, label: LabelTarget) -> None:
        shape = drawing.frames[0][0].mask.shape
        if shape != layout.grid.shape:
            raise UserError(
                "images of two sizes share a label file of the replica",
                where=label.path,
                got=f"{shape} and {layout.grid.shape}",
                expected="one shape",
                remedy="give both series the same replica: shape:",
            )


def _label_piece(piece: Piece, source: LabelSource, drawing: LabelDrawing) -> Piece:
    soft = source.threshold is not None or source.nearest
    piece = replace(piece, role="label", kind=source.kind, how=source.how, soft=soft)
    if source.kind == "objects":
        objects = tuple(DrawnObject(str(r.code), r.number, r.mask) for r in drawing.frames[0])
        names = tuple(dict.fromkeys(one.name for one in objects))
        return replace(piece, objects=objects, declared=names)
    frames = [drawing.values(index) for index in range(len(drawing.frames))]
    values = np.stack(frames) if len(frames) > 1 else frames[0]
    dtype = piece.write.label_dtype or str(np.min_scalar_type(int(values.max())))
    if values.min() < 0:
        dtype = piece.write.label_dtype or "int16"
    colour = source.kind == "colours"
    return replace(piece, values=values.astype(dtype), time=len(frames) > 1, colour=colour)


def _label_grid(grid: Grid, target: Target, ending: str) -> Grid:
    """A label map of a DICOM series in another format runs along other axes, as converters do."""
    if target.image.endswith("/") and ending in (".nii", ".nii.gz") and grid.stated:
        return replace(grid, codes="RAS")
    return grid


def _seen(
    drawing: LabelDrawing, source: LabelSource, label: LabelTarget, layout: Layout, frame: Frame
) -> dict[tuple[str, int], Mask]:
    """(structure, instance) -> bool[slice, y, x], oriented; objects without a pixel are none."""
    indices = range(layout.frames) if frame.index is None else [frame.index]
    parts = [true_masks(drawing, source, label.structure, index) for index in indices]
    out = {}
    for key in dict.fromkeys(key for part in parts for key in part):
        blank = np.zeros(layout.grid.shape, dtype=np.bool_)
        drawn = [part.get(key, blank) for part in parts]
        mask = (
            np.stack(drawn) if frame.index is None else layout.grid.oriented(drawn[0], layout.plane)
        )
        if mask.any():
            out[key] = np.asarray(mask, dtype=np.bool_)
    return out


def _true(
    target: Target,
    layout: Layout,
    frame: Frame,
    image: NDArray[np.generic],
    masks: dict[tuple[str, int], Mask],
) -> TrueCase:
    shape = layout.grid.oriented(np.zeros(layout.grid.shape, np.bool_), layout.plane).shape
    slices = layout.frames if frame.index is None else shape[0]
    spacing = layout.grid.oriented_spacing(layout.plane)
    told = target.series.spacing_mm
    if layout.plane == "image" and spacing == (None, None, None) and told is not None:
        spacing = None, told[-2], told[-1]
    return TrueCase(
        target.case + frame.suffix,
        target.subject,
        frame.modality,
        layout.plane,
        (slices, shape[1], shape[2]),
        image,
        layout.lossy,
        masks,
        spacing,
        target.split,
    )


__all__ = ["Replicated", "write_replica"]
