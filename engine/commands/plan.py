"""`samscope plan`: what an evaluation would run, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.bench.costs import Costs, duration
from engine.commands.say import count, out, say_untrained, table
from engine.models.numerics import numerics_of
from engine.plan import PlannedCell, UnitTask
from engine.planning import plan_study, read_study
from engine.results.parts import Cell, PartStore
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
    run_dir: Path | None,
    device: str,
    prices: Prices | None = None,
) -> int:
    """Print units, trials and what is committed already, per model and strategy."""
    study = read_study(study_path)
    planning = plan_study(study, collection, numerics_of(_local(device), study.precision))
    plan = planning.plan
    done, elsewhere = _ledger(run_dir)
    cells: Counter[tuple[str, str, str]] = Counter()
    trials: Counter[tuple[str, str, str]] = Counter()
    factors: Counter[str] = Counter()
    for planned in plan.cells():
        if planned.cell.is_factors:
            factors[_why(planned, done, elsewhere)] += planned.expected
            continue
        key = (planned.cell.model, planned.cell.strategy, _why(planned, done, elsewhere))
        cells[key] += 1
        trials[key] += planned.expected
    rows = [
        {"model": m, "strategy": s, "why": why, "units": cells[m, s, why],
         "trials": trials[m, s, why]}
        for m, s, why in cells
    ]  # fmt: skip
    slices = sum(len(unit) for unit in plan.units)
    objects = sum(len(ref.objects) for unit in plan.units for ref in unit.slices)
    out(
        f"study {study.name}: {count(len(plan.units), 'unit')}, {count(slices, 'slice')}, "
        f"{count(objects, 'object')}, {count(sum(plan.expected().values()), 'trial')}; "
        f"{count(planning.exclusions.num_rows, 'exclusion')} by the study's rules"
    )
    table(pa.Table.from_pylist(rows))
    for why, number in factors.items():
        out(f"object factors: {count(number, 'object')}, {why}")
    if prices is not None:
        _say_costs(plan.pending(lambda planned: (planned.cell, planned.identity) in done), prices)
    say_untrained(study)
    return 0


def _say_costs(pending: Sequence[UnitTask], prices: Prices) -> None:
    """What is still to run would take."""
    costs = Costs.load(prices.costs)
    trials: Counter[tuple[str, str]] = Counter()
    objects = 0
    for planned in (planned for unit in pending for planned in unit.cells):
        if planned.cell.is_factors:
            objects += planned.expected
        else:
            trials[planned.cell.model, planned.cell.strategy] += planned.expected
    seconds = costs.seconds(sum(len(unit) for unit in pending), objects, trials)
    megabytes = costs.bytes_per_trial * sum(trials.values()) / 1e6
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


def _ledger(run_dir: Path | None) -> tuple[set[tuple[Cell, str]], set[Cell]]:
    """Committed (cell, identity) pairs, and the cells among them."""
    if run_dir is None or not run_dir.is_dir():
        return set(), set()
    done = {(m.cell, m.identity) for m in PartStore(run_dir).manifests(set_aside=False)}
    return done, {cell for cell, _ in done}


def _why(planned: PlannedCell, done: set[tuple[Cell, str]], elsewhere: set[Cell]) -> str:
    if (planned.cell, planned.identity) in done:
        return "committed"
    return "to run: its identity changed" if planned.cell in elsewhere else "to run: new"


def _local(device: str) -> str:
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
