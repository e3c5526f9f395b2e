"""Labels that may not fit their image, by rule. They are listed, not judged: some are right."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from engine.collection.curation.frame import Frame, Index, codes, numbers
from engine.collection.curation.pixels import Looked

JUMP = 10
COVERS_SHARE = 0.5

_SIDE = re.compile(r"(?<![a-z])(left|right)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Suspect:
    """One label that a rule picked.

    Attributes:
        where: the object, or for `wrong_side` the case.
        slice_id: a slice that shows it.
        structures: what to look at.
        detail: the numbers behind it.
        weight: how far it is from the rule's limit; the largest are listed first.
    """

    rule: str
    where: str
    slice_id: str
    structures: tuple[str, ...]
    detail: str
    weight: float


@dataclass(frozen=True)
class Rule:
    """One rule and what it found.

    Attributes:
        judged: objects (for `wrong_side`: pairs of structures in a case) the rule was asked about.
        undecided: those for which it cannot say anything.
        found: how many it picked; `listed` are the first of them.
    """

    name: str
    title: str
    meaning: str
    judged: int
    undecided: int
    found: int
    listed: tuple[Suspect, ...]


def suspects(frame: Frame, looked: Looked | None, most: int) -> tuple[Rule, ...]:
    """Apply every rule; `looked` is what the pass over pixels saw, None: it was not made."""
    return (
        _wrong_side(frame, most),
        _outside(frame, looked, most),
        _area_jumps(frame, most),
        _covers_image(frame, most),
    )


def _rule(
    name: str, title: str, meaning: str, judged: int, undecided: int,
    found: list[Suspect], most: int,
) -> Rule:  # fmt: skip
    found.sort(key=lambda one: (-one.weight, one.where))
    return Rule(name, title, meaning, judged, undecided, len(found), tuple(found[:most]))


def _wrong_side(frame: Frame, most: int) -> Rule:
    """`*_left` must lie further to the patient's left (larger x) than `*_right`."""
    judged, undecided, found = 0, 0, []
    for case, pairs in _sided(frame).items():
        plane = frame.plane.names[frame.plane.of[case]]
        for left, right in pairs:
            if plane == "image":
                undecided += 1
                continue
            judged += 1
            at = [_leftness(frame, rows, plane) for rows in (left, right)]
            if at[0] < at[1]:
                found.append(_side_suspect(frame, case, left, right, at))
    return _rule(
        "wrong_side", "Left and right",
        "In a volume whose orientation is known, a structure named left lies to the right of its "
        "partner (means over the case, by pixels). Mirrored images or labels do this.",
        judged, undecided, found, most,
    )  # fmt: skip


def _sided(frame: Frame) -> dict[int, list[tuple[Index, Index]]]:
    """Object rows of every (left, right) pair of structures that a case has."""
    partner: dict[str, tuple[str, int]] = {}
    for name in frame.structure.names:
        sides = {one.lower() for one in _SIDE.findall(name)}
        if len(sides) == 1:
            partner[name] = (_SIDE.sub("*", name).lower(), int(sides == {"right"}))
    sided = np.array([name in partner for name in frame.structure.names], np.bool_)
    rows = np.flatnonzero(sided[frame.structure.of]) if len(sided) else np.empty(0, np.int64)
    groups: dict[tuple[int, str], tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, case in zip(rows, frame.case_of[frame.slice_of[rows]], strict=True):
        stem, side = partner[frame.structure.names[frame.structure.of[row]]]
        groups[int(case), stem][side].append(int(row))
    found: dict[int, list[tuple[Index, Index]]] = defaultdict(list)
    for (case, _), (left, right) in groups.items():
        if left and right:
            found[case].append((np.array(left), np.array(right)))
    return found


def _leftness(frame: Frame, rows: Index, plane: str) -> float:
    """Mean position towards the patient's left, pixels or slices: box centres, by area."""
    if plane == "sagittal":  # slices ascend in L
        along = frame.slices["slice"].to_numpy()[frame.slice_of[rows]].astype(np.float64)
    else:  # columns ascend in L
        along = (frame.box[rows, 0] + frame.box[rows, 2]) / 2
    return float(np.average(along, weights=frame.area[rows]))


def _side_suspect(frame: Frame, case: int, left: Index, right: Index, at: list[float]) -> Suspect:
    rows = np.concatenate([left, right])
    per_slice = np.bincount(frame.slice_of[rows], weights=frame.area[rows])
    both = np.intersect1d(frame.slice_of[left], frame.slice_of[right])
    shown = int(both[np.argmax(per_slice[both])] if len(both) else np.argmax(per_slice))
    names = tuple(frame.structure.names[frame.structure.of[group[0]]] for group in (left, right))
    detail = f"left at {at[0]:.1f}, right at {at[1]:.1f} (ascending to the patient's left)"
    return Suspect(
        "wrong_side", frame.cases["case_id"][case].as_py(),
        frame.slices["slice_id"][shown].as_py(), names, detail, at[1] - at[0],
    )  # fmt: skip


def _outside(frame: Frame, looked: Looked | None, most: int) -> Rule:
    rows = () if looked is None else looked.outside
    found = [
        _object(frame, row, "outside", f"{frame.area[row]:,} px", float(frame.area[row]))
        for row in rows
    ]
    return _rule(
        "outside", "Labels on nothing",
        "At least 95 % of the object lies in the empty surroundings: as dark as the frame of the "
        "slice and connected to it. Shifted labels do this. Undecided: no dark, even frame.",
        0 if looked is None else looked.judged, 0 if looked is None else looked.undecided,
        found, most,
    )  # fmt: skip


def _area_jumps(frame: Frame, most: int) -> Rule:
    """Neighbouring slices of an entity, first and last apart, whose areas differ more than x10."""
    entity = codes(frame.objects["entity_id"]).of
    at = frame.slices["slice"].to_numpy()[frame.slice_of].astype(np.int64)
    order = np.lexsort((at, entity))
    same = np.zeros(len(order) + 1, np.bool_)  # same[i]: i - 1 and i are neighbours of an entity
    same[1:-1] = (np.diff(entity[order]) == 0) & (np.diff(at[order]) == 1)
    first = np.flatnonzero(same[:-2] & same[1:-1] & same[2:])
    small, large = frame.area[order[first]], frame.area[order[first + 1]]
    ratio = np.maximum(small, large) / np.minimum(small, large)
    found = []
    for place in np.flatnonzero(ratio > JUMP):
        one, two = (int(order[first[place] + step]) for step in (0, 1))
        row = one if frame.area[one] > frame.area[two] else two
        detail = f"{frame.area[one]:,} px, next slice {frame.area[two]:,} px"
        found.append(_object(frame, row, "area_jump", detail, float(ratio[place])))
    return _rule(
        "area_jump", "Sudden areas",
        f"The area of a structure changes more than {JUMP} times from one slice to the next, and "
        "neither is the first or last of its run. Lost or misplaced slices of a label do this.",
        len(first), 0, found, most,
    )  # fmt: skip


def _covers_image(frame: Frame, most: int) -> Rule:
    """Objects that reach all four edges and cover more than half of the slice."""
    height = numbers(frame.slices["height"])[frame.slice_of]
    width = numbers(frame.slices["width"])[frame.slice_of]
    x0, y0, x1, y1 = frame.box.T
    edges = (x0 == 0) & (y0 == 0) & (x1 == width - 1) & (y1 == height - 1)
    share = frame.area / (height * width)
    found = [
        _object(frame, int(row), "covers_image", f"{share[row]:.1%} of the slice", share[row])
        for row in np.flatnonzero(edges & (share > COVERS_SHARE))
    ]
    return _rule(
        "covers_image", "Masks of nearly everything",
        "The object touches all four edges of the slice and covers more than half of it. Inverted "
        "masks and background taken for a structure do this.",
        frame.objects.num_rows, 0, found, most,
    )  # fmt: skip


def _object(frame: Frame, row: int, rule: str, detail: str, weight: float) -> Suspect:
    one = frame.objects.slice(row, 1).to_pylist()[0]
    return Suspect(
        rule, one["object_id"], one["slice_id"], (one["structure"],), detail, float(weight)
    )
