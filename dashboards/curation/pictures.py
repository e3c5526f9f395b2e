"""The pictures of the curation report: which slices, with which inks, in how many bytes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from dashboards.curation.overlay import Encoded, Ink, draw, encode, thumbnail
from engine.collection.contract import SlicePixels, SliceRef
from engine.collection.curation.choose import choose
from engine.collection.curation.duplicates import Pair
from engine.collection.curation.frame import Frame
from engine.collection.curation.suspects import Suspect
from engine.collection.intensity import to_uint8
from engine.collection.reading import read_slices
from engine.errors import CorruptDataError
from engine.study import Intensity

BUDGET_BYTES = 4_000_000
"""Bytes of all sheets together before base64 adds a third; plotly.js is another 2 MB."""
MOST_DATASET_BYTES = 240_000
_SIDE = 250
_PAIR_SIDE = 170
_PAIR_BYTES = 6_000
_SUSPECT_BYTES = 18_000
_MOST_INKS = 21
_MOST_LEGEND = 24


@dataclass(frozen=True)
class Sheet:
    """Slices of one dataset."""

    dataset: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Picture:
    """A slice as the template prints it; `legend` is (structure, ink), `more` those not named."""

    title: str
    caption: str
    encoded: Encoded | None
    legend: tuple[tuple[str, Ink], ...] = ()
    more: int = 0


class Pictures:
    """Draws slices of a collection; what cannot be read has a picture without pixels.

    Args:
        collection: its folder or address.
        frame: its tables.
    """

    def __init__(self, collection: str | os.PathLike[str], frame: Frame) -> None:
        self._collection = collection
        self._frame = frame

    def sheets(self) -> list[Sheet]:
        """One per dataset with labelled slices."""
        names = self._frame.dataset.names
        share = min(BUDGET_BYTES // max(len(names), 1), MOST_DATASET_BYTES)
        most = 8 if len(names) <= 20 else 6
        found = []
        for number, name in enumerate(names):
            inks = self._inks(number)
            pictures = [
                self._overlay(one.row, one.why, inks, share // most)
                for one in choose(self._frame, number, most)
            ]
            if pictures:
                found.append(Sheet(name, tuple(pictures)))
        return found

    def pair(self, pair: Pair) -> tuple[Picture, Picture]:
        """Both slices of a pair of near duplicates."""
        return self._plain(pair.one), self._plain(pair.other)

    def suspect(self, suspect: Suspect) -> Picture:
        """The slice of a suspicious label, with what the rule picked drawn alone."""
        inks = {name: Ink.number(i) for i, name in enumerate(suspect.structures)}
        row = self._row(suspect.slice_id)
        only = None if suspect.where == self._case_id(row) else suspect.where
        return self._overlay(row, "", inks, _SUSPECT_BYTES, only=only)

    def _overlay(
        self, row: int, why: str, inks: Mapping[str, Ink] | None, most_bytes: int,
        only: str | None = None,
    ) -> Picture:  # fmt: skip
        ref, pixels = self._read(row)
        caption = self._caption(row) + (f"; {why}" if why else "")
        if pixels is None:
            return Picture(ref.slice_id, f"{caption}; cannot be read", None)
        structures = [self._structure(int(at)) for at in self._frame.objects_in(row)]
        if inks is None:
            inks = {name: Ink.number(i) for i, name in enumerate(dict.fromkeys(structures))}
        shown = sorted(
            (
                (one, name)
                for one, name in zip(ref.objects, structures, strict=True)
                if name in inks and only in (None, one.object_id)
            ),
            key=lambda item: -item[0].area_px,
        )
        image = to_uint8(pixels.image, Intensity(), ref.volume_lo, ref.volume_hi).image
        picture = draw(
            image, [(inks[name], pixels.mask(one)) for one, name in shown],
            row_mm=ref.spacing_row_mm, col_mm=ref.spacing_col_mm,
            plane=self._plane(row), side=_SIDE,
        )  # fmt: skip
        named = list(dict.fromkeys(name for _, name in shown))
        legend = tuple((name, inks[name]) for name in named[:_MOST_LEGEND])
        encoded = encode(picture, most_bytes)
        return Picture(ref.slice_id, caption, encoded, legend, max(len(named) - _MOST_LEGEND, 0))

    def _plain(self, slice_id: str) -> Picture:
        row = self._row(slice_id)
        ref, pixels = self._read(row)
        if pixels is None:
            return Picture(slice_id, "cannot be read", None)
        image = to_uint8(pixels.image, Intensity(), ref.volume_lo, ref.volume_hi).image
        small = thumbnail(image, ref.spacing_row_mm, ref.spacing_col_mm, _PAIR_SIDE)
        return Picture(slice_id, self._caption(row), encode(small, _PAIR_BYTES))

    def _read(self, row: int) -> tuple[SliceRef, SlicePixels | None]:
        (ref,) = self._frame.refs(np.array([row], np.int64))
        try:
            return ref, read_slices(self._collection, [ref])[0]
        except CorruptDataError:
            return ref, None

    def _inks(self, dataset: int) -> dict[str, Ink] | None:
        """One ink per structure of a dataset, the most frequent first; None: too many for that."""
        case = self._frame.case_of[self._frame.slice_of]
        mine = self._frame.structure.of[self._frame.dataset.of[case] == dataset]
        ranked = [int(code) for code, _ in Counter(mine.tolist()).most_common(_MOST_INKS + 1)]
        if len(ranked) > _MOST_INKS:
            return None
        return {self._frame.structure.names[code]: Ink.number(i) for i, code in enumerate(ranked)}

    def _structure(self, row: int) -> str:
        names = self._frame.structure.names
        return names[int(self._frame.structure.of[row])]

    def _plane(self, row: int) -> str:
        names = self._frame.plane.names
        return names[int(self._frame.plane.of[self._frame.case_of[row]])]

    def _case_id(self, row: int) -> str:
        return str(self._frame.slices["case_id"][row].as_py())

    def _row(self, slice_id: str) -> int:
        return int(pc.index(self._frame.slices["slice_id"], slice_id).as_py())

    def _caption(self, row: int) -> str:
        one = self._frame.slices.slice(row, 1).to_pylist()[0]
        modality = self._frame.modality
        plane = self._plane(row)
        words = [modality.names[modality.of[self._frame.case_of[row]]]]
        words += [plane] if plane != "image" else []
        words.append(f"{one['width']} × {one['height']} px")
        if one["spacing_row_mm"] and one["spacing_col_mm"]:
            words.append(f"{one['spacing_col_mm']:.3g} × {one['spacing_row_mm']:.3g} mm")
        words.append(f"values {one['lo']:.4g} to {one['hi']:.4g}")
        return ", ".join(words)
