"""Near duplicates: slices of different cases that show the same picture.

Found by hash, verified by a second measure: the correlation of 32 x 32 thumbnails after their
blurred self is taken away. Without that step two abdomens agree in what is body and what is air;
with it they must agree in detail. Both limits are measured, see `docs/design/curation_report.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.collection.curation.frame import Frame, Index
from engine.collection.curation.neighbours import close_pairs, expand
from engine.collection.curation.pixels import THUMBNAIL, Looked

MOST_BITS = 4
LEAST_CORRELATION = 0.9
MOST_COMPARED = 200_000_000
"""Comparisons of hashes, and pairs verified, at most: minutes. The report says when it is hit."""

RELATIONS = ("other_dataset", "other_subject", "same_subject")
_BLUR = 1.5
_VERIFY = 20_000


@dataclass(frozen=True)
class Pair:
    """Two cases that share a picture, by their most similar slices.

    Attributes:
        one, other: slice ids, `one` of the case with the smaller id.
        bits: hash bits that differ. correlation: of the thumbnails' detail.
        slices: pairs of slices of these two cases that were found.
    """

    relation: str
    one: str
    other: str
    bits: int
    correlation: float
    slices: int


@dataclass(frozen=True)
class Between:
    """All that two datasets share (or one with itself): pairs of cases and of slices."""

    relation: str
    dataset: str
    other: str
    case_pairs: int
    slice_pairs: int
    cases: int
    other_cases: int


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        compared_slices: with a hash; `flat_slices` were left out.
        candidates: slice pairs of different cases within `MOST_BITS`, before verification.
        between: counts of everything verified.
        pairs: the first of each relation, most similar first.
        complete: False where there was too much to compare.
    """

    compared_slices: int
    flat_slices: int
    candidates: int
    between: tuple[Between, ...]
    pairs: tuple[Pair, ...]
    complete: bool


def find(frame: Frame, looked: Looked, most_listed: int) -> Duplicates:
    """Compare all hashed slices; at most `most_listed` pairs of each relation are listed."""
    rows = np.flatnonzero(~looked.flat)
    a, b, bits, correlation, candidates, complete = _verified(frame, looked, rows)
    cases = _CasePairs(frame, looked.rows[a], looked.rows[b], bits, correlation)
    return Duplicates(
        len(rows), int(looked.flat.sum()), candidates,
        tuple(cases.between()), tuple(cases.pairs(most_listed)), complete,
    )  # fmt: skip


def _verified(
    frame: Frame, looked: Looked, rows: Index
) -> tuple[Index, Index, Index, NDArray[np.float64], int, bool]:
    """Places in `looked` of slice pairs of different cases that pass both measures."""
    values, group, sizes = np.unique(looked.hashes[rows], return_inverse=True, return_counts=True)
    members = rows[np.argsort(group, kind="stable")]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    a, b, bits, complete = close_pairs(values, MOST_BITS, MOST_COMPARED)
    own = np.flatnonzero(sizes > 1)
    a, b = np.concatenate([own, a]), np.concatenate([own, b])
    bits = np.concatenate([np.zeros(len(own), np.int64), bits])
    case = frame.case_of[looked.rows]
    kept: list[tuple[Index, Index, Index, NDArray[np.float64]]] = []
    candidates = seen = 0
    for pair, one, other in expand(a, b, members, starts):
        seen += len(pair)
        apart = case[one] != case[other]
        one, other, far = one[apart], other[apart], bits[pair[apart]]
        candidates += len(one)
        correlation = correlate(looked.thumbnails, one, other)
        same = correlation >= LEAST_CORRELATION
        kept.append((one[same], other[same], far[same], correlation[same]))
        if seen > MOST_COMPARED:
            complete = False
            break
    none = np.empty(0, np.int64)
    kept = kept or [(none, none, none, np.empty(0))]
    one, other, far, correlation = (np.concatenate(column) for column in zip(*kept, strict=True))
    return one, other, far, correlation, candidates, complete


def correlate(thumbnails: NDArray[np.uint8], one: Index, other: Index) -> NDArray[np.float64]:
    """Correlation of the detail of pairs of thumbnails, -1..1; 0 where one has no detail."""
    out = np.zeros(len(one))
    for start in range(0, len(one), _VERIFY):
        part = slice(start, start + _VERIFY)
        used, place = np.unique(np.concatenate([one[part], other[part]]), return_inverse=True)
        detail = _detail(thumbnails[used])
        half = len(place) // 2
        out[part] = np.einsum("ij,ij->i", detail[place[:half]], detail[place[half:]])
    return out


def _detail(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32[n, 1024]: minus the blurred thumbnail, mean 0, length 1."""
    values = thumbnails.astype(np.float32)
    values -= ndimage.gaussian_filter(values, (0, _BLUR, _BLUR))
    flat = values.reshape(len(values), THUMBNAIL * THUMBNAIL)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    detail: NDArray[np.float32] = np.where(length > 1e-3, flat / np.maximum(length, 1e-3), 0)
    return detail


class _CasePairs:
    """Slice pairs gathered by pair of cases.

    Args:
        one, other: rows of the slice table.
    """

    def __init__(
        self,
        frame: Frame,
        one: Index,
        other: Index,
        bits: Index,
        correlation: NDArray[np.float64],
    ) -> None:
        swap = frame.case_of[one] > frame.case_of[other]  # cases are sorted by id
        one, other = np.where(swap, other, one), np.where(swap, one, other)
        self._ids = frame.slices["slice_id"]
        self._names = frame.dataset.names
        key = frame.case_of[one] * max(frame.cases.num_rows, 1) + frame.case_of[other]
        order = np.lexsort((other, one, bits, -correlation, key))
        _, first, self._slices = np.unique(key[order], return_index=True, return_counts=True)
        best = order[first]
        self._one, self._other = one[best], other[best]
        self._bits, self._correlation = bits[best], correlation[best]
        self._case_one, self._case_other = frame.case_of[self._one], frame.case_of[self._other]
        dataset, subject = frame.dataset.of, frame.subject.of
        self._dataset = (dataset[self._case_one], dataset[self._case_other])
        self._relation = np.where(
            self._dataset[0] != self._dataset[1], 0,
            np.where(subject[self._case_one] != subject[self._case_other], 1, 2),
        )  # fmt: skip

    def pairs(self, most: int) -> Iterator[Pair]:
        """The most similar of each relation."""
        ranked = np.lexsort((self._other, self._one, self._bits, -self._correlation))
        for relation, name in enumerate(RELATIONS):
            for at in ranked[self._relation[ranked] == relation][:most]:
                yield Pair(
                    name, self._ids[int(self._one[at])].as_py(),
                    self._ids[int(self._other[at])].as_py(), int(self._bits[at]),
                    round(float(self._correlation[at]), 4), int(self._slices[at]),
                )  # fmt: skip

    def between(self) -> Iterator[Between]:
        """Counts by relation and pair of datasets."""
        width = max(len(self._names), 1)
        lo, hi = np.minimum(*self._dataset), np.maximum(*self._dataset)
        key = (self._relation * width + lo) * width + hi
        for one in np.unique(key):
            rows = np.flatnonzero(key == one)
            both = np.concatenate([self._case_one[rows], self._case_other[rows]])
            home = np.concatenate([self._dataset[0][rows], self._dataset[1][rows]])
            a, b = int(one) // width % width, int(one) % width
            yield Between(
                RELATIONS[int(one) // width // width], self._names[a], self._names[b],
                len(rows), int(self._slices[rows].sum()),
                len(np.unique(both[home == a])), len(np.unique(both[home == b])),
            )  # fmt: skip
