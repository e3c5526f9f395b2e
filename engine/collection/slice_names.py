"""Which picture of one folder belongs to which of another: by the order of names, and only where
the numbers in the names do not object.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    lies on its neighbour's slice. So the numbers in the names must differ by the same everywhere,
    or neither side may have a gap (slices 2, 4, 6 and masks 0, 1, 2).

    Raises:
        CaseRefusedError: `shape_mismatch` with the first pair that does not fit.
    """
    ours, theirs = _numbers(slices), _numbers(labels)
    width = min(len(ours[0]), len(theirs[0]))
    if width == 0 or (_is_even(ours) and _is_even(theirs)):
        return
    offsets = [
        tuple(b - a for a, b in zip(our[-width:], their[-width:], strict=True))
        for our, their in zip(ours, theirs, strict=True)
    ]
    wrong = [place for place, offset in enumerate(offsets) if offset != offsets[0]]
    if wrong:
        raise CaseRefusedError(
            "the numbers in the names of slices and labels do not fit together",
            code="shape_mismatch",
            where=path,
            got=f"slice {slices[wrong[0]]} beside label {labels[wrong[0]]}, "
            f"after slice {slices[0]} beside label {labels[0]}",
            expected="the same difference in every pair, or no gap on either side",
            remedy="complete the folders, or name labels as their slices; "
            "which slice a label belongs to cannot be guessed",
        )


def _numbers(names: Sequence[str]) -> Numbers:
    """The groups of digits that are not the same in all names, counted from the end.

    The number of a slice need not be the last: `i0001,0000b.dcm`, `i0002,0000b.dcm`.
    """
    groups = [[int(digits) for digits in re.findall(r"\d+", _stem(name))] for name in names]
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
