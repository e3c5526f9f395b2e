"""Parity of a study's models on a small sample of it, per modality, and a bound that judges it.

What `samscope parity` prints, and what a study with a `parity_bound` is asked before it runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from engine.analysis.bootstrap import interval
from engine.collection.contract import SliceRef
from engine.collection.reading import read_slices
from engine.errors import SamscopeError, UserError
from engine.evaluation.scene import make_scene
from engine.models.network import SamConfig
from engine.models.numerics import Numerics
from engine.models.plain import PlainSam
from engine.models.registry import load_model, read_config
from engine.models.sam import SamModel
from engine.parity.compare import TrialParity, compare
from engine.planning.ground import Planning
from engine.prompts.sampling import even_indices
from engine.stores import Place
from engine.study import ModelChoice, Study

Watch = Callable[[Sequence[SliceRef]], Iterable[SliceRef]]
"""Hands slices on one by one, and may show how far it is."""


@dataclass(frozen=True)
class ParitySample:
    """Some slices of each modality, and what it takes to answer their trials.

    Attributes:
        slices: with the objects to compare.
        subjects: subject_id of each slice.
    """

    study: Study
    numerics: Numerics
    collection: Place
    slices: tuple[SliceRef, ...]
    subjects: tuple[str, ...]

    @classmethod
    def of(cls, planning: Planning, slices: int, objects: int) -> ParitySample:
        """`slices` of each modality, evenly over the plan, with the first `objects` of each."""
        by_modality: dict[str, list[SliceRef]] = defaultdict(list)
        for unit in planning.plan.units:
            for ref in unit.slices:
                by_modality[ref.modality].append(replace(ref, objects=ref.objects[:objects]))
        refs = tuple(
            some[place]
            for _, some in sorted(by_modality.items())
            for place in even_indices(len(some), min(slices, len(some)))
        )
        cases = planning.catalog.table("cases").select(["case_id", "subject_id"]).to_pylist()
        subject = {row["case_id"]: row["subject_id"] for row in cases}
        found = planning.catalog.table("slices").select(["slice_id", "case_id"]).to_pylist()
        case = {row["slice_id"]: row["case_id"] for row in found}
        subjects = tuple(subject[case[ref.slice_id]] for ref in refs)
        plan = planning.plan
        return cls(plan.study, plan.numerics, planning.collection, refs, subjects)


@dataclass(frozen=True)
class ModalityParity:
    """Fast against plain on the sampled slices of one model and modality.

    Attributes:
        pixels: compared, over all candidates of all trials.
        flipped, beyond, other_picks, unexplained: sums, see `TrialParity`.
        mean_difference: of Dice by predicted IoU, fast minus plain.
        lo, hi: its 95 % interval over subjects; None with fewer than two.
        largest: largest |Dice difference| of any mask.
    """

    model: str
    modality: str
    slices: int
    trials: int
    pixels: int
    flipped: int
    beyond: int
    other_picks: int
    unexplained: int
    mean_difference: float
    lo: float | None
    hi: float | None
    largest: float

    @property
    def explained(self) -> bool:
        """Rounding in float32 explains every pixel and every pick."""
        return not (self.beyond or self.unexplained)

    def within(self, bound: float) -> bool:
        """The mean difference is at most a study's `parity_bound`."""
        return abs(self.mean_difference) <= bound


def comparable(study: Study) -> tuple[list[ModelChoice], list[str]]:
    """Models with a plain way to compare with, and in words what has none.

    Raises:
        UserError: nothing has.
    """
    compared, left_out = [], []
    for choice in study.models:
        prompted = [strategy.prompted for strategy in study.strategies_of(choice)]
        if not isinstance(read_config(choice.model), SamConfig):
            left_out.append(f"{choice.name}, which is no SAM")
            continue
        if any(prompted):
            compared.append(choice)
        if not all(prompted):
            left_out.append(f"Everything of {choice.name}")
    if not compared:
        raise UserError(
            "nothing of this study has a plain way to compare with",
            where=f"study {study.name}",
            got="; ".join(left_out),
            expected="a model of kind sam with a prompted strategy",
        )
    return compared, left_out


def measure_parity(
    sample: ParitySample, choice: ModelChoice, device: str, watch: Watch = iter
) -> list[ModalityParity]:
    """One model on the sample, by modality.

    Raises:
        SamscopeError: a trial that the model could not answer, or a model that is no SAM.
    """
    model = load_model(choice, device, sample.study.precision)
    if not isinstance(model, SamModel):
        raise SamscopeError("this model has no plain way to compare with", got=choice.name)
    plain = PlainSam(model)
    groups: dict[str, _Group] = defaultdict(_Group)
    subjects = dict(zip((ref.slice_id for ref in sample.slices), sample.subjects, strict=True))
    for ref in watch(sample.slices):
        trials = _trials(sample, model, plain, ref)
        groups[ref.modality].add(trials, subjects[ref.slice_id])
    return [
        group.parity(choice.name, modality, sample.study.seed)
        for modality, group in sorted(groups.items())
        if group.trials
    ]


def _trials(
    sample: ParitySample, model: SamModel, plain: PlainSam, ref: SliceRef
) -> Iterator[TrialParity]:
    (pixels,) = read_slices(str(sample.collection), [ref])
    scene = make_scene(sample.study, ref, pixels)
    return compare(sample.study, model, plain, sample.numerics, scene)


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

    def parity(self, model: str, modality: str, seed: int) -> ModalityParity:
        """What they come to."""
        trials = self.trials
        differences = [trial.dice_difference for trial in trials]
        moved = interval(differences, self.subjects, seed=seed)
        return ModalityParity(
            model=model,
            modality=modality,
            slices=self.slices,
            trials=len(trials),
            pixels=sum(trial.pixels for trial in trials),
            flipped=sum(trial.flipped for trial in trials),
            beyond=sum(trial.beyond for trial in trials),
            other_picks=sum(trial.other_picks for trial in trials),
            unexplained=sum(trial.unexplained for trial in trials),
            mean_difference=sum(differences) / len(differences),
            lo=moved.lo,
            hi=moved.hi,
            largest=max(trial.largest for trial in trials),
        )
