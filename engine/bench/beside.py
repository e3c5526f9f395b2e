"""Prompted trials of one model by samscope, beside other ways, in turn in one process."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.bench.ways import Clock, floor_way, plain_way, samscope_way
from engine.bench.work import Work
from engine.evaluate import Evaluator
from engine.models.plain import PlainSam
from engine.models.sam import SamModel

STAGES = ("embed", "decode", "score", "all")
Way = Callable[[Clock, Work], None]


def beside(
    evaluator: Evaluator, model: SamModel, ways: Sequence[str], some: Sequence[Work], repeats: int
) -> dict[str, list[Clock]]:
    """Clocks of `samscope` and of the ways named (`plain`, `floor`), one for each repeat.

    Machines are noisy: each repeat takes every slice by every way before the next slice, so that
    ratios within a repeat hold where times do not.
    """
    sam = PlainSam(model)
    known: Mapping[str, Way] = {
        "samscope": lambda clock, work: samscope_way(clock, evaluator, work),
        "plain": lambda clock, work: plain_way(clock, sam, work),
        "floor": lambda clock, work: floor_way(clock, model, work),
    }
    names = ("samscope", *ways)
    clocks: dict[str, list[Clock]] = {name: [] for name in names}
    samscope_way(Clock(), evaluator, some[0])  # compiles
    for _ in range(repeats):
        for name in names:
            clocks[name].append(Clock())
        for work in some:
            for name in names:
                known[name](clocks[name][-1], work)
    return clocks


def beside_rows(clocks: Mapping[str, Sequence[Clock]], prompts: int) -> list[dict[str, Any]]:
    """Per stage: median milliseconds per prompt of each way, and its ratio to samscope's.

    A ratio is the median over repeats; None where a way has no such stage.
    """
    rows = []
    for stage in STAGES:
        row: dict[str, Any] = {"stage": stage}
        for name, some in clocks.items():
            row[name] = 1000 * statistics.median(_of(some, stage)) / prompts
        for name in clocks:
            if name != "samscope":
                row[f"{name} ratio"] = _ratio(clocks[name], clocks["samscope"], stage)
        rows.append(row)
    return rows


def _of(clocks: Sequence[Clock], stage: str) -> list[float]:
    return [clock.seconds.get(stage, 0.0) for clock in clocks]


def _ratio(over: Sequence[Clock], under: Sequence[Clock], stage: str) -> float | None:
    pairs = [(a, b) for a, b in zip(_of(over, stage), _of(under, stage), strict=True) if a and b]
    return statistics.median(a / b for a, b in pairs) if pairs else None
