"""What was left out, by reason, with examples."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pyarrow as pa

from engine.collection.reasons import REASONS

EXAMPLES = 3


@dataclass(frozen=True)
class LeftOut:
    """Exclusions of a dataset that share a reason.

    Attributes:
        refused: an error to repair; otherwise left out by rule.
        level: what a row stands for: `dataset`, `case`, `slice` or `object`.
        meaning: of the code, in words.
        count: rows.
        examples: (id, detail) of the first rows.
    """

    dataset: str
    reason: str
    refused: bool
    level: str
    meaning: str
    count: int
    examples: tuple[tuple[str, str], ...]


def left_out(exclusions: pa.Table) -> tuple[LeftOut, ...]:
    """Group the table `exclusions`; refused ones first, then by dataset and reason."""
    groups: dict[tuple[bool, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    names = ("dataset", "case_id", "slice_id", "object_id", "reason", "detail", "refused")
    columns = [exclusions[name].to_pylist() for name in names]
    counts: dict[tuple[bool, str, str, str], int] = defaultdict(int)
    for dataset, case, one, item, code, detail, refused in zip(*columns, strict=True):
        level = "object" if item else "slice" if one else "case" if case else "dataset"
        key = (not refused, dataset, code, level)
        counts[key] += 1
        if len(groups[key]) < EXAMPLES:
            groups[key].append((item or one or case or dataset, detail or ""))
    return tuple(
        LeftOut(dataset, code, not by_rule, level, meaning(code), counts[key], tuple(examples))
        for key, examples in sorted(groups.items())
        for by_rule, dataset, code, level in [key]
    )


def meaning(code: str) -> str:
    """What a reason code means; a newer samscope may have written one that is unknown here."""
    known = REASONS.get(code)
    return known.meaning if known else "a reason this version of samscope does not know"
