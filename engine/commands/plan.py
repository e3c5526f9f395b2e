"""`samscope plan`: what an evaluation would run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.bench.amounts import Amounts
from engine.bench.costs import Costs, duration
from engine.commands.say import count, out, say_untrained, table
from engine.models.numerics import numerics_of
from engine.planning.admission import projected
from engine.planning.ground import plan_study, read_study
from engine.planning.plan import Plan
from engine.planning.tasks import Column, Flags, Tasks
from engine.results.manifest import FACTORS_MODEL
from engine.results.parts import PartStore
from engine.stores import Place


@dataclass(frozen=True)
class Prices:
    """How to say what is still to run in hours and money.

    Attributes:
        costs: a calibration of `samscope bench`.
        evaluators: that work side by side, each as the calibration's one.
        price: of an evaluator's hour, in any currency.
    """

    costs: Path
    evaluators: int = 1
    price: float | None = None


def plan_command(
    study_path: Path,
    collection: Place,
    run_dir: Place | None,
    device: str,
    prices: Prices | None = None,
) -> int:
    """Print units, trials and what is committed already, per model and strategy."""
    study = read_study(study_path)
    planning = plan_study(study, collection, numerics_of(_local(device), study.precision))
    plan = planning.plan
    done, known = _ledger(plan, run_dir)
    tasks = plan.units
    cells = _why(plan, done, known)
    rows: list[dict[str, Any]] = [
        {"model": column.model, "strategy": column.strategy, "why": why, "units": int(own.sum()),
         "trials": int(tasks.expected()[own, place].sum())}
        for place, column, why, own in cells
    ]  # fmt: skip
    factors = [row for row in rows if row["model"] == FACTORS_MODEL]
    out(
        f"study {study.name}: {count(len(tasks), 'unit')}, {count(tasks.n_slices, 'slice')}, "
        f"{count(tasks.n_objects, 'object')}, {count(tasks.n_trials, 'trial')}; "
        f"{count(planning.exclusions.num_rows, 'exclusion')} by the study's rules"
    )
    table(pa.Table.from_pylist([row for row in rows if row not in factors]))
    for row in factors:
        out(f"object factors: {count(row['trials'], 'object')}, {row['why']}")
    if (projection := projected(planning)) is not None:
        out(f"memory of an evaluator, at most: {projection}")
    if prices is not None:
        _say_costs(plan.pending(done), prices)
    say_untrained(study)
    return 0


def _say_costs(pending: Tasks, prices: Prices) -> None:
    """What is still to run would take."""
    costs = Costs.load(prices.costs)
    seconds = costs.seconds(Amounts.of(pending))
    megabytes = costs.bytes_per_trial * pending.n_trials / 1e6
    out(
        f"to run, by {costs.machine}, measured {costs.machine.measured}: "
        f"{duration(seconds)} of one evaluator, {megabytes:,.1f} MB of part files"
    )
    if prices.evaluators > 1:
        # No more of them can work at once than there are units.
        at_once = min(prices.evaluators, max(1, len(pending)))
        out(f"with {at_once} evaluators: {duration(seconds / at_once)}, if none of them waits")
    if prices.price is not None:
        out(
            f"cost: {seconds / 3600 * prices.price:,.2f} at {prices.price:g} per evaluator and hour"
        )


Reason = tuple[int, Column, str, Flags]


def _why(plan: Plan, done: Flags, known: Flags) -> list[Reason]:
    """(place of the column, column, reason, bool[unit]) of all cells, as they first appear."""
    reasons = {
        "committed": done,
        "to run: its identity changed": known & ~done,
        "to run: new": ~known,
    }
    found = [
        (place, column, why, cells[:, place])
        for place, column in enumerate(plan.units.columns)
        for why, cells in reasons.items()
        if cells[:, place].any()
    ]
    return sorted(found, key=lambda reason: (int(reason[3].argmax()), reason[0]))


def _ledger(plan: Plan, run_dir: Place | None) -> tuple[Flags, Flags]:
    """bool[unit, column]: committed and valid in the plan; committed under any identity."""
    done, known = plan.none_done(), plan.none_done()
    if run_dir is None or (isinstance(run_dir, Path) and not run_dir.is_dir()):
        return done, known
    for manifest in PartStore(run_dir).manifests(set_aside=False):
        place = plan.place(manifest.cell)
        if place is not None:
            known[place] = True
            done[place] |= plan.answered(manifest) is not None
    return done, known


def _local(device: str) -> str:
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
