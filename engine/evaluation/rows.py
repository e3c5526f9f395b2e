"""Rows of one cell while a unit is evaluated, and what a failed trial looks like."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

from engine.collection.contract import ObjectRef
from engine.errors import kind_of, text_of
from engine.models.base import SINGLE, Card
from engine.planning.plan import PlannedCell
from engine.prompts.base import Prompt
from engine.scoring.rows import SelectionRow, failed_selections
from engine.study import Strategy, Study

Row = dict[str, Any]


@dataclass
class CellRows:
    """Rows of one cell by part table (`engine.results.schema`).

    Attributes:
        seconds: time per stage.
        beat: called whenever a stage ended: a sign of life.
    """

    planned: PlannedCell
    beat: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)
    tables: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def failed(self) -> int:
        """Trials (objects, for factors) that failed."""
        return sum(row["n_trials"] for row in self.tables["failures"])

    @property
    def done(self) -> int:
        return self.planned.expected - self.failed

    def mark(self) -> dict[str, int]:
        """How many rows there are now, for `forget_after`."""
        return {name: len(rows) for name, rows in self.tables.items()}

    def forget_after(self, mark: dict[str, int]) -> None:
        """Drop the rows added since `mark`, because what added them did not finish."""
        for name, rows in self.tables.items():
            del rows[mark.get(name, 0) :]

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall time to `stage`."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - started
            self.beat()

    def add_failure(
        self, slice_id: str, object_id: str | None, stage: str, problem: Exception, trials: int
    ) -> None:
        """Say why `trials` trials failed; their rows are added apart."""
        cell = self.planned.cell
        self.tables["failures"].append(
            {
                "unit_id": cell.unit_id,
                "slice_id": slice_id,
                "object_id": object_id,
                "model": cell.model,
                "strategy": cell.strategy,
                "stage": stage,
                "error": kind_of(problem),
                "message": text_of(problem),
                "n_trials": trials,
            }
        )


@dataclass(frozen=True)
class TrialKey:
    """Which trial a row is about, within its cell."""

    object_id: str
    gt_px: int
    jitter_lo: int = 0
    jitter_hi: int = 0
    trial: int = 0
    step: int = 0


def trial_row(
    rows: CellRows,
    key: TrialKey,
    *,
    prompt: Prompt | None,
    candidates: Sequence[Row],
    selections: Sequence[SelectionRow],
    n_candidates: int,
    notes: Sequence[str] = (),
) -> Row:
    """A row of `schema.TRIALS`; its status follows from its selections, its notes begin with the
    prompt's."""
    failed = any(selection.status == "failed" for selection in selections)
    return {
        "model": rows.planned.cell.model,
        "strategy": rows.planned.cell.strategy,
        **asdict(key),
        "status": "failed" if failed else "ok",
        "notes": [*(prompt.notes if prompt is not None else ()), *notes],
        "prompt": None if prompt is None else {"points": [asdict(p) for p in prompt.points],
                                               "box": prompt.box and asdict(prompt.box)},
        "n_candidates": n_candidates,
        "candidates": list(candidates),
        "selections": [asdict(selection) for selection in selections],
    }  # fmt: skip


def failed_row(rows: CellRows, key: TrialKey, prompt: Prompt | None, names: Sequence[str]) -> Row:
    """The row of a trial that could not be scored; `names` are its selections."""
    return trial_row(
        rows,
        key,
        prompt=prompt,
        candidates=[],
        selections=failed_selections(tuple(names)),
        n_candidates=0,
    )


def fail_object(
    rows: CellRows, study: Study, strategy: Strategy, card: Card, slice_id: str,
    ref: ObjectRef, stage: str, problem: Exception,
) -> None:  # fmt: skip
    """Fail every trial of one object."""
    levels = list(study.jitter.trials_of(strategy))
    names = selection_names(strategy, card)
    for level, trial in levels:
        key = TrialKey(ref.object_id, ref.area_px, level.lo, level.hi, trial)
        rows.tables["trials"].append(failed_row(rows, key, None, names))
    rows.add_failure(slice_id, ref.object_id, stage, problem, len(levels))


def selection_names(strategy: Strategy, card: Card) -> tuple[str, ...]:
    """Selections that a trial of `strategy` has (protocol section 3)."""
    choices = ("oracle", "predicted_iou")
    return (*choices, "single") if strategy.prompted and SINGLE in card.candidates else choices
