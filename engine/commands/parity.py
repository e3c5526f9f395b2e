"""`samscope parity`: what the fast path changes, measured on a sample of a study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from rich.progress import track

from engine.analysis.bootstrap import interval
from engine.collection.contract import SliceRef
from engine.collection.reading import read_slices
from engine.commands.say import count, out, say_untrained, table
from engine.errors import UserError
from engine.models.numerics import numerics_of
from engine.models.plain import PlainSam
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.parity import TrialParity, compare
from engine.planning import Planning, plan_study, read_study
from engine.scene import make_scene
from engine.stores import Place


@dataclass
class _Group:
    """Trials of one model and modality, with the subject of each."""

    slices: int = 0
    trials: list[TrialParity] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)


def parity_command(
    study_path: Path,
    collection: Place,
    *,
    slices: int,
    objects: int,
    bound: float | None,
    device: str,
) -> int:
    """Print differences per model and modality; 1 where a bound is broken."""
    study = read_study(study_path)
    numerics = numerics_of(device)
    planning = plan_study(study, collection, numerics)
    models = [load_model(choice, device) for choice in study.models]
    compared = [model for model in models if isinstance(model, SamModel)]
    if not compared:
        raise UserError(
            "no model of this study has a plain way to compare with",
            where=str(study_path),
            got=", ".join(model.card.name for model in models),
            expected="a model of kind sam",
        )
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    refs = _evenly(planning, slices, objects)
    subjects = _subjects(planning)
    for model in compared:
        plain = PlainSam(model)
        for ref in track(refs, description=model.card.name, transient=True):
            (pixels,) = read_slices(str(planning.collection), [ref])
            trials = list(compare(study, model, plain, numerics, make_scene(study, ref, pixels)))
            if not trials:
                continue
            group = groups[model.card.name, ref.modality]
            group.slices += 1
            group.trials += trials
            group.subjects += [subjects[ref.slice_id]] * len(trials)
    out(
        f"study {study.name}: {count(len(refs), 'slice')}, {numerics.device} {numerics.dtype} "
        "against segment_anything's predictor in float32; all masks of every trial"
    )
    for name in sorted({name for name, _ in groups}):
        rows = [_row(m, group, study.seed) for (n, m), group in sorted(groups.items()) if n == name]
        table(pa.Table.from_pylist(rows), name)
    out("flipped: pixels, picks: selections that differ; in brackets, more than rounding explains")
    out("dice: fast minus plain by predicted IoU, 95 % interval over subjects; most: of any mask")
    say_untrained(study)
    broken = [key for key, group in sorted(groups.items()) if _breaks(group.trials, bound)]
    for name, modality in broken:
        out(f"broken: {name}, {modality}")
    return 1 if broken else 0


def _breaks(trials: Sequence[TrialParity], bound: float | None) -> bool:
    """Not explained by rounding, or a Dice that moved by more than the study allows."""
    if bound is not None:
        return max(trial.largest for trial in trials) > bound
    return any(trial.beyond or trial.excess or trial.unexplained for trial in trials)


def _evenly(planning: Planning, slices: int, objects: int) -> list[SliceRef]:
    """Slices evenly over the plan, with the first objects of each."""
    every = [ref for unit in planning.plan.units for ref in unit.slices if ref.objects]
    n = min(slices, len(every))
    chosen = [every[(2 * i + 1) * len(every) // (2 * n)] for i in range(n)]
    return [replace(ref, objects=ref.objects[:objects]) for ref in chosen]


def _subjects(planning: Planning) -> dict[str, str]:
    """subject_id by slice_id."""
    cases = planning.catalog.table("cases").select(["case_id", "subject_id"]).to_pylist()
    of_case = {row["case_id"]: row["subject_id"] for row in cases}
    found = planning.catalog.table("slices").select(["slice_id", "case_id"]).to_pylist()
    return {row["slice_id"]: of_case[row["case_id"]] for row in found}


def _row(modality: str, group: _Group, seed: int) -> dict[str, object]:
    trials = group.trials
    moved = interval([trial.dice_difference for trial in trials], group.subjects, seed=seed)
    around = "" if moved.lo is None else f" {_short(moved.lo)}..{_short(moved.hi)}"
    return {
        "modality": modality,
        "slices": group.slices,
        "trials": len(trials),
        "Mpx": sum(trial.pixels for trial in trials) // 10**6,
        "flipped": f"{_total(trials, 'flipped')} ({_total(trials, 'beyond')})",
        "picks": f"{_total(trials, 'other_picks')} ({_total(trials, 'unexplained')})",
        "dice": _short(moved.mean) + around,
        "most": _short(max(trial.largest for trial in trials)),
    }


def _short(value: float | None) -> str:
    return f"{value:.0e}" if value else "0"


def _total(trials: Sequence[TrialParity], name: str) -> int:
    return sum(int(getattr(trial, name)) for trial in trials)
