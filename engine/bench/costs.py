"""What each part of a study costs one evaluator, and what the whole of it would.

A calibration measured on some of the study's own slices, and the arithmetic from it to hours. It
can be written to a file and given to `samscope plan`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter, ValidationError

from engine.bench.amounts import Amounts
from engine.bench.machine import Machine
from engine.bench.work import Work
from engine.collection.reading import read_slices
from engine.errors import UserError
from engine.evaluate import Evaluator
from engine.evaluation.rows import CellRows
from engine.results.manifest import FACTORS_MODEL, FACTORS_STRATEGY
from engine.results.rows import part_tables
from engine.study import Study

Per = Literal["slice", "trial", "object"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Key = tuple[str, str, str]
"""(model, strategy, stage); `-` where it is of no model or of all strategies."""

REST = "rest"
"""Stage of what no other names: rendering a slice, preparing its objects, forming rows."""


@dataclass(frozen=True)
class Cost:
    """Seconds of one evaluator: median over repeats of the mean over what it is counted by."""

    model: str
    strategy: str
    stage: str
    per: Per
    seconds: Amount


@dataclass(frozen=True)
class Costs:
    """A calibration.

    Attributes:
        slices: how many were measured; `repeats`: how often each.
        bytes_per_trial: of committed part files.
    """

    study: str
    machine: Machine
    slices: int
    repeats: int
    bytes_per_trial: Amount
    costs: tuple[Cost, ...]

    def seconds(self, work: Amounts) -> float:
        """Evaluator seconds of that much work.

        Raises:
            UserError: nothing was measured of one of the models and strategies.
        """
        known = {(cost.model, cost.strategy) for cost in self.costs}
        for model, strategy in work.trials:
            if (model, strategy) not in known:
                raise UserError(
                    "the calibration holds no such model and strategy",
                    got=f"{model}, {strategy}",
                    expected=", ".join(sorted({f"{m}, {s}" for m, s in known if s != "-"})),
                    remedy="measure anew: samscope bench STUDY --collection C --out COSTS.json",
                )
        total = 0.0
        for cost in self.costs:
            key = cost.model, cost.strategy
            total += (
                cost.seconds
                * {
                    "slice": work.slices.get(key, 0),
                    "object": work.objects,
                    "trial": work.trials.get(key, 0),
                }[cost.per]
            )
        return total

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Costs:
        """What `save` wrote. Raises UserError when it is something else."""
        try:
            return _FILE.validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UserError(
                "this is no calibration",
                where=str(path),
                got=_first(error),
                expected="a file that `samscope bench --out` wrote",
            ) from error


_FILE = TypeAdapter(Costs)


def _first(error: Exception) -> str:
    """The first thing wrong, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc'])) or 'the file'}: {found['msg']}"


def measure(
    study: Study,
    evaluator: Evaluator,
    collection: str,
    some: Sequence[Work],
    repeats: int,
    machine: Machine,
) -> Costs:
    """Evaluate some slices `repeats` times, after a first time that nobody counts."""
    for work in some:
        evaluator.evaluate(work.task, [work.pixels])  # compiles, and touches every file
    rounds, made = [], []
    for _ in range(repeats):
        seconds: dict[Key, float] = {}
        made = [cell for work in some for cell in _round(seconds, evaluator, collection, work)]
        rounds.append(seconds)
    counts = _counts(made)
    trials = sum(count for (_, strategy), count in counts.items() if strategy != FACTORS_STRATEGY)
    costs = [
        _cost(study, key, [seconds.get(key, 0.0) for seconds in rounds], len(some), counts)
        for key in sorted({key for seconds in rounds for key in seconds})
    ]
    return Costs(
        study.name, machine, len(some), repeats, _bytes(made) / max(1, trials), tuple(costs)
    )


def _round(
    seconds: dict[Key, float], evaluator: Evaluator, collection: str, work: Work
) -> list[CellRows]:
    """Read and evaluate one slice, adding its seconds."""

    def add(key: Key, spent: float) -> None:
        seconds[key] = seconds.get(key, 0.0) + spent

    started = perf_counter()
    pixels = read_slices(collection, [work.ref])
    read = perf_counter()
    cells = evaluator.evaluate(work.task, pixels)
    rest = perf_counter() - read
    add(("-", "-", "read"), read - started)
    for cell in cells:
        for stage, spent in cell.seconds.items():
            model, strategy = cell.planned.cell.model, cell.planned.cell.strategy
            whole = stage == "embed" or cell.planned.cell.is_factors
            add((model, "-" if whole else strategy, stage), spent)
            rest -= spent
    add(("-", "-", REST), rest)
    return cells


def _cost(
    study: Study,
    key: Key,
    seconds: Sequence[float],
    slices: int,
    counts: Mapping[tuple[str, str], int],
) -> Cost:
    model, strategy, stage = key
    per: Per = "trial"
    if stage == "factors":
        per = "object"
    elif strategy == "-" or (stage == "decode" and not study.strategy(strategy).prompted):
        per = "slice"
    many = {
        "slice": slices,
        "object": counts.get((FACTORS_MODEL, FACTORS_STRATEGY), 0),
        "trial": counts.get((model, strategy), 0),
    }[per]
    return Cost(model, strategy, stage, per, statistics.median(seconds) / max(1, many))


def _counts(cells: Iterable[CellRows]) -> dict[tuple[str, str], int]:
    """Trials by (model, strategy); objects under ("-", "factors")."""
    counts: dict[tuple[str, str], int] = {}
    for cell in cells:
        key = (cell.planned.cell.model, cell.planned.cell.strategy)
        counts[key] = counts.get(key, 0) + len(cell.tables["trials"] or cell.tables["factors"])
    return counts


def _bytes(cells: Sequence[CellRows]) -> int:
    """Of part files that hold all these rows, one for each cell's table as in a unit."""
    tables: dict[tuple[str, str, str], list[pa.Table]] = {}
    for cell in cells:
        ids = cell.planned.cell
        for name, table in part_tables(cell.tables).items():
            tables.setdefault((ids.model, ids.strategy, name), []).append(table)
    total = 0
    for parts in tables.values():
        sink = pa.BufferOutputStream()
        pq.write_table(pa.concat_tables(parts), sink, compression="zstd")
        total += sink.getvalue().size
    return total


def stage_rows(costs: Costs) -> list[dict[str, Any]]:
    """Rows for people, milliseconds."""
    return [
        {"model": c.model, "strategy": c.strategy, "stage": c.stage, "ms": 1000 * c.seconds,
         "per": c.per}
        for c in costs.costs
    ]  # fmt: skip


def duration(seconds: float) -> str:
    """In the largest unit that leaves at least one of it."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} seconds"
