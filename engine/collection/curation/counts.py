"""How much there is: subjects, cases, slices and objects by dataset, modality, structure, plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.collection.curation.frame import Flags, Frame, Index


@dataclass(frozen=True)
class Count:
    """One row of a table of counts.

    Attributes:
        name: what is counted, one word per column of the table's keys.
        slices: all slices for keys of a case; for a structure the slices that show it.
        labelled_slices: slices with an object of any size.
        objects: of any size; `small_objects` of them are at most 50 px and take no part.
        slices_taking_part: slices with an object above 50 px.
    """

    name: tuple[str, ...]
    subjects: int
    cases: int
    slices: int
    labelled_slices: int
    slices_taking_part: int
    objects: int
    small_objects: int

    @property
    def objects_taking_part(self) -> int:
        return self.objects - self.small_objects


@dataclass(frozen=True)
class Counts:
    """The whole collection, then the same by each key; rows by name."""

    total: Count
    by_dataset: tuple[Count, ...]
    by_modality: tuple[Count, ...]
    by_plane: tuple[Count, ...]
    by_structure: tuple[Count, ...]


def count(frame: Frame) -> Counts:
    """Count everything once."""
    whole = np.zeros(frame.cases.num_rows, np.int64)
    return Counts(
        total=_by_case(frame, ("all",), whole)[0],
        by_dataset=_by_case(frame, frame.dataset.names, frame.dataset.of),
        by_modality=_by_case(frame, frame.modality.names, frame.modality.of),
        by_plane=_by_case(frame, frame.plane.names, frame.plane.of),
        by_structure=_by_structure(frame),
    )


def _by_case(frame: Frame, names: tuple[str, ...], key: Index) -> tuple[Count, ...]:
    """Counts for a key that each case has one of; a name without a case counts zero."""
    of_slice = key[frame.case_of]
    of_object = of_slice[frame.slice_of]
    taking = np.zeros(frame.slices.num_rows, np.bool_)
    taking[frame.slice_of[frame.takes_part]] = True
    n = len(names)
    columns = (
        _distinct(key, frame.subject.of, n),
        _count(key, n),
        _count(of_slice, n),
        _count(of_slice, n, frame.labelled),
        _count(of_slice, n, taking),
        _count(of_object, n),
        _count(of_object, n, ~frame.takes_part),
    )
    return tuple(
        Count((name,), *(int(column[at]) for column in columns)) for at, name in enumerate(names)
    )


def _by_structure(frame: Frame) -> tuple[Count, ...]:
    """Counts by (structure, modality)."""
    case = frame.case_of[frame.slice_of]
    width = max(len(frame.modality.names), 1)
    found, key = np.unique(
        frame.structure.of * width + frame.modality.of[case], return_inverse=True
    )
    n, big = len(found), frame.takes_part
    slices = _distinct(key, frame.slice_of, n)
    columns = (
        _distinct(key, frame.subject.of[case], n),
        _distinct(key, case, n),
        slices,
        slices,
        _distinct(key[big], frame.slice_of[big], n),
        _count(key, n),
        _count(key, n, ~big),
    )
    names = [(frame.structure.names[f // width], frame.modality.names[f % width]) for f in found]
    return tuple(
        Count(name, *(int(column[at]) for column in columns)) for at, name in enumerate(names)
    )


def _count(key: Index, n: int, where: Flags | None = None) -> Index:
    return np.bincount(key if where is None else key[where], minlength=n).astype(np.int64)


def _distinct(key: Index, value: Index, n: int) -> Index:
    """Different values per key."""
    if not len(key):
        return np.zeros(n, np.int64)
    width = int(value.max()) + 1
    return np.bincount(np.unique(key * width + value) // width, minlength=n).astype(np.int64)
