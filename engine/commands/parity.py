"""`samscope parity`: what the fast path changes, measured on a sample of a study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from rich.progress import track

from engine.analysis.bootstrap import interval
from engine.collection.contract import SliceRef
from engine.collection.reading import read_slices
from engine.commands.say import out, say_untrained, table
from engine.errors import UserError
from engine.models.base import Model
from engine.models.numerics import numerics_of
from engine.models.plain import PlainSam
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.parity import TrialParity, compare
from engine.planning import Planning, plan_study, read_study
from engine.prompts.sampling import even_indices
from engine.scene import make_scene
from engine.stores import Place
from engine.study import Study


@dataclass
class _Group:
    """Slices of one model and modality: their trials, and the subject of each trial."""

    slices: int = 0
    trials: list[TrialParity] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)

    def add(self, trials: Iterable[TrialParity], subject: str) -> None:
        """Those of one slice."""
        before = len(self.trials)
        self.trials += trials
        self.subjects += [subject] * (len(self.trials) - before)
        self.slices += 1


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
    study, numerics = read_study(study_path), numerics_of(device)
    planning = plan_study(study, collection, numerics)
    models = {choice.name: load_model(choice, device) for choice in study.models}
    compared, left_out = _parts(study, models)
    for what in left_out:
        out(f"not compared: {what}")
    if not compared:
        raise UserError(
            "nothing of this study has a plain way to compare with",
            where=str(study_path),
            got="; ".join(left_out),
            expected="a model of kind sam with a prompted strategy",
        )
    refs, subjects = _sample(planning, slices, objects), _subjects(planning)
    broken = []
    for model in compared:
        groups: dict[str, _Group] = defaultdict(_Group)
        plain = PlainSam(model)
        for ref in track(refs, description=model.card.name, transient=True):
            (pixels,) = read_slices(str(planning.collection), [ref])
            scene = make_scene(study, ref, pixels)
            groups[ref.modality].add(
                compare(study, model, plain, numerics, scene), subjects[ref.slice_id]
            )
        rows = [_row(modality, group, study.seed) for modality, group in sorted(groups.items())]
        table(pa.Table.from_pylist(rows), f"{model.card.name}, {numerics.device} {numerics.dtype}")
        broken += [
            f"{model.card.name}, {modality}"
            for modality, group in sorted(groups.items())
            if _breaks(group.trials, bound)
        ]
    out("flipped: pixels, picks: selections that differ; in brackets, more than rounding explains")
    out("dice: fast minus plain by predicted IoU, 95 % interval over subjects; most: of any mask")
    if bound is not None:
        out(f"judged by most <= {bound:g} alone")
    say_untrained(study)
    for what in broken:
        out(f"broken: {what}")
    return 1 if broken else 0


def _parts(study: Study, models: Mapping[str, Model]) -> tuple[list[SamModel], list[str]]:
    """Models to compare, and in words what has no plain way."""
    compared, left_out = [], []
    for choice in study.models:
        model = models[choice.name]
        prompted = [strategy.prompted for strategy in study.strategies_of(choice)]
        if not isinstance(model, SamModel):
            left_out.append(f"{choice.name}, which is no SAM")
            continue
        if any(prompted):
            compared.append(model)
        if not all(prompted):
            left_out.append(f"Everything of {choice.name}")
    return compared, left_out


def _breaks(trials: Sequence[TrialParity], bound: float | None) -> bool:
    """Not explained by rounding, or a Dice that moved by more than is allowed."""
    if bound is not None:
        return max(trial.largest for trial in trials) > bound
    return any(trial.beyond or trial.unexplained for trial in trials)


def _sample(planning: Planning, slices: int, objects: int) -> list[SliceRef]:
    """`slices` of each modality, evenly over the plan, with the first `objects` of each."""
    of: dict[str, list[SliceRef]] = defaultdict(list)
    for unit in planning.plan.units:
        for ref in unit.slices:
            of[ref.modality].append(replace(ref, objects=ref.objects[:objects]))
    return [
        refs[place]
        for _, refs in sorted(of.items())
        for place in even_indices(len(refs), min(slices, len(refs)))
    ]


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
    """One digit, as 2e-7."""
    return f"{value:.0e}".replace("e-0", "e-") if value else "0"


def _total(trials: Sequence[TrialParity], name: str) -> int:
    return sum(int(getattr(trial, name)) for trial in trials)
