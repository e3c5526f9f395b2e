"""Which slices are drawn: a rule, so that nobody chose the good ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.collection.curation.frame import Frame, Index
from engine.collection.even import even_in_groups


@dataclass(frozen=True)
class Chosen:
    """A slice to draw and why: `largest object` or `middle`."""

    row: int
    why: str


def choose(frame: Frame, dataset: int, most: int) -> list[Chosen]:
    """At most `most` labelled slices of a dataset, its cases spread evenly by id.

    Of each case the slice with the largest object (the first of equals) and the middle one of
    its labelled slices. A case of one slice gives one: then there are more cases.
    """
    slices = np.flatnonzero(frame.labelled & (frame.dataset.of[frame.case_of] == dataset))
    cases, sizes = np.unique(frame.case_of[slices], return_counts=True)
    each = 2 if 2 * int((sizes > 1).sum()) > len(sizes) else 1
    group = np.zeros(len(cases), np.int64)
    found: list[Chosen] = []
    for case in cases[even_in_groups(group, max(most // each, 1))]:
        found += _of_case(frame, slices[frame.case_of[slices] == case], each)
    return found[:most]


def _of_case(frame: Frame, slices: Index, each: int) -> list[Chosen]:
    largest = [int(frame.area[frame.objects_in(int(row))].max()) for row in slices]
    first = int(slices[int(np.argmax(largest))])
    middle = int(slices[len(slices) // 2])
    found = [Chosen(first, "largest object")]
    if each > 1 and middle != first:
        found.append(Chosen(middle, "middle"))
    return found
