"""`samscope plan`: what an evaluation would run, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa

from engine.commands.say import count, out, say_untrained, table
from engine.models.numerics import numerics_of
from engine.plan import PlannedCell
from engine.planning import plan_study, read_study
from engine.results.parts import Cell, PartStore
from engine.stores import Place


def plan_command(study_path: Path, collection: Place, run_dir: Path | None, device: str) -> int:
    """Print units, trials and what is committed already, per model and strategy."""
    study = read_study(study_path)
    planning = plan_study(study, collection, numerics_of(_local(device)))
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
    say_untrained(study)
    return 0


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
