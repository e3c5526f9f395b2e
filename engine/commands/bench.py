"""`samscope bench`: what a study costs on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from engine.bench.amounts import Amounts
from engine.bench.beside import beside, beside_rows
from engine.bench.costs import Costs, duration, measure, stage_rows
from engine.bench.machine import Machine
from engine.bench.work import works
from engine.commands.say import count, out, say_untrained, table
from engine.evaluate import Evaluator
from engine.models.numerics import deterministic_cpu, numerics_of
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.planning.ground import plan_study, read_study
from engine.planning.plan import Plan
from engine.stores import Place


def bench_command(
    study_path: Path,
    collection: Place,
    *,
    slices: int,
    objects: int,
    repeats: int,
    against: Sequence[str],
    device: str,
    save_to: Path | None,
) -> int:
    """Measure, print, and say what the whole study would take."""
    study = read_study(study_path)
    numerics = numerics_of(device, study.precision)
    if device == "cpu":
        deterministic_cpu()
    planning = plan_study(study, collection, numerics)
    plan, place = planning.plan, str(planning.collection)
    models = {choice.name: load_model(choice, device, study.precision) for choice in study.models}
    evaluator, machine = Evaluator(study, models, numerics), Machine.here(numerics)
    some = list(works(plan, place, slices, objects))
    sizes = ", ".join(f"{w.ref.height} x {w.ref.width}" for w in some)
    out(f"{machine}\n{count(len(some), 'slice')} ({sizes}), {count(repeats, 'repeat')}")
    costs = measure(study, evaluator, place, some, repeats, machine)
    table(pa.Table.from_pylist(stage_rows(costs)), "milliseconds of one evaluator, medians")
    _say_whole(plan, costs)
    for name in sorted(models) if against else ():
        model = models[name]
        if not isinstance(model, SamModel):
            out(f"{name}: no SAM, so there is no other way to compare with")
            continue
        prompted = list(works(plan, place, slices, objects, name))
        alone = Evaluator(study, {name: model}, numerics)
        clocks = beside(alone, model, against, prompted, repeats)
        prompts = sum(work.n_prompts for work in prompted)
        rows = beside_rows(clocks, prompts)
        table(
            pa.Table.from_pylist(rows),
            f"{name}: ms per prompt of {count(prompts, 'prompt')}; ratio to samscope",
        )
    say_untrained(study)
    if save_to is not None:
        costs.save(save_to)
        out(f"calibration -> {save_to}")
    return 0


def _say_whole(plan: Plan, costs: Costs) -> None:
    slices, objects = plan.units.n_slices, plan.units.n_objects
    seconds, total = costs.seconds(Amounts.of(plan.units)), plan.units.n_trials
    out(
        f"the whole study: {count(slices, 'slice')}, {count(objects, 'object')}, "
        f"{count(total, 'trial')}: {duration(seconds)} of one evaluator, "
        f"{costs.bytes_per_trial * total / 1e6:,.1f} MB of part files; Ray's start comes on top"
    )
