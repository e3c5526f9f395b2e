"""Which picture of one folder belongs to which of another: by the order of names, and only where
the numbers in the names do not object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import PurePosixPath

from engine.errors import CaseRefusedError

Numbers = Sequence[tuple[int, ...]]


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Key that sorts digits by their number."""
    return tuple(
        (0, int(part)) if part.isdecimal() else (1, part)
        for part in re.split(r"(\d+)", name)
        if part
    )


def natural_order(names: Sequence[str], path: str) -> list[int]:
    """Places of names in their natural order: img2 before img10.

    Raises:
        CaseRefusedError: `shape_mismatch` where two names differ in leading zeros only.
    """
    order = sorted(range(len(names)), key=lambda place: natural(names[place]))
    for one, two in pairwise([names[place] for place in order]):
        if one != two and natural(one) == natural(two):  # frames of one file share their name
            raise CaseRefusedError(
                "two names of slices have the same place in their order",
                code="shape_mismatch",
                where=path,
                got=f"{one} and {two}",
                expected="names that differ in more than leading zeros",
                remedy="leave in the folder what belongs to one volume",
            )
    return order


def check_pairs(slices: Sequence[str], labels: Sequence[str], path: str) -> None:
    """Whether the n-th label may be that of the n-th slice; both in natural order.

    With a file missing on each side, at another place, the counts agree and every mask between
    lies on its neighbour's slice. So: where a name is on both sides, all names must be equal, but
    for folders that count for themselves, one from 0 and one from 1;
    else a number that is the same in every pair and another in each is the slice's; else the
    numbers must differ by the same everywhere, or neither side may have a gap (2, 4 and 0, 1).

    Raises:
        CaseRefusedError: `shape_mismatch` with the first pair that does not fit.
    """
    wrong = _misfit([_stem(name) for name in slices], [_stem(name) for name in labels])
    if wrong is not None:
        raise CaseRefusedError(
            "the names of slices and labels do not fit together",
            code="shape_mismatch",
            where=path,
            got=f"slice {slices[wrong]} beside label {labels[wrong]}",
            expected="equal names, or numbers with the same difference in every pair, "
            "or no gap on either side",
            remedy="complete the folders, or name labels as their slices; "
            "which slice a label belongs to cannot be guessed",
        )


def _misfit(ours: Sequence[str], theirs: Sequence[str]) -> int | None:
    """Place of the first pair that does not fit; None: all do."""
    if not set(ours).isdisjoint(theirs):
        if _counts(ours) and _counts(theirs):
            return None
        return _first(one != two for one, two in zip(ours, theirs, strict=True))
    for names in (ours, theirs):
        bare = [not re.search(r"\d", name) for name in names]
        if any(bare) and not all(bare):
            return bare.index(True)
    left, right = _numbers(ours), _numbers(theirs)
    width = min(len(left[0]), len(right[0]))
    if width == 0 or _share_a_number(left, right) or (_is_even(left) and _is_even(right)):
        return None
    offsets = [
        tuple(b - a for a, b in zip(one[-width:], two[-width:], strict=True))
        for one, two in zip(left, right, strict=True)
    ]
    return _first(offset != offsets[0] for offset in offsets)


def _counts(names: Sequence[str]) -> bool:
    """Whether the last numbers are 0, 1, 2 ... or 1, 2, 3 ...: a folder that counts for itself."""
    last = [number[-1:] for number in _numbers(names)]
    return any(last == [(start + n,) for n in range(len(names))] for start in (0, 1))


def _first(flags: Iterable[bool]) -> int | None:
    return next((place for place, flag in enumerate(flags) if flag), None)


def _share_a_number(left: Numbers, right: Numbers) -> bool:
    """Whether a number of the names, another in each, is the same in every pair."""
    columns = [column for column in zip(*left, strict=True) if len(set(column)) == len(column)]
    return any(column in columns for column in zip(*right, strict=True))


def _numbers(names: Sequence[str]) -> Numbers:
    """The groups of digits that are not the same in all names, counted from the end.

    The number of a slice need not be the last: `i0001,0000b.dcm`, `i0002,0000b.dcm`.
    """
    groups = [[int(digits) for digits in re.findall(r"\d+", name)] for name in names]
    depth = min(len(group) for group in groups)
    tails = [group[len(group) - depth :] for group in groups]
    varying = [k for k in range(depth) if len({tail[k] for tail in tails}) > 1]
    return [tuple(tail[k] for k in varying) for tail in tails]


def _stem(name: str) -> str:
    """The name without its ending; the last number of an UID is none."""
    path = PurePosixPath(name)
    return path.name if path.suffix[1:].isdecimal() else path.stem


def _is_even(numbers: Numbers) -> bool:
    """Whether the last number grows by the same from name to name."""
    return len({two[-1] - one[-1] for one, two in pairwise(numbers)}) == 1
