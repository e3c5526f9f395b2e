"""What defines the numbers (`Study`) and what must not (`Runtime`).

A study is a validated, frozen description; it travels into identities and the results database.
A runtime holds workers, paths and devices; nothing in it may change a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, StrictBool, field_validator, model_validator

from engine.configuration import Frozen
from engine.errors import UserError, nearest

T = TypeVar("T")

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""What studies, models and strategies may be called; a lone `-` is a name of the ledger."""

StrategyKind = Literal["everything", "points", "box", "box_points"]

Precision = Literal["auto", "float32", "bfloat16"]
"""Dtype of a model's products; auto: float32 on a CPU, bfloat16 on CUDA."""


class EverythingParams(Frozen):
    """Settings of the Everything strategy; defaults are SAM's own (protocol section 2, S1)."""

    points_per_side: int = Field(32, ge=1, le=512)
    pred_iou_thresh: float = Field(0.88, allow_inf_nan=False)
    stability_score_thresh: float = Field(0.95, allow_inf_nan=False)
    stability_score_offset: float = Field(1.0, ge=0, allow_inf_nan=False)
    box_nms_thresh: float = Field(0.7, ge=0, le=1)


class PointsParams(Frozen):
    """Number of positive and negative points."""

    positive: int = Field(1, ge=1, le=512)
    negative: int = Field(0, ge=0, le=512)


class BoxParams(Frozen):
    """The tight box has no settings."""


class BoxPointsParams(PointsParams):
    """A tight box and points."""


_PARAMS: dict[str, type[Frozen]] = {
    "everything": EverythingParams,
    "points": PointsParams,
    "box": BoxParams,
    "box_points": BoxPointsParams,
}

PAPER_STRATEGIES: dict[str, dict[str, Any]] = {
    "everything": {"kind": "everything", "params": {}},
    "point_1": {"kind": "points", "params": {"positive": 1}},
    "point_5": {"kind": "points", "params": {"positive": 5}},
    "point_5_neg_5": {"kind": "points", "params": {"positive": 5, "negative": 5}},
    "box": {"kind": "box", "params": {}},
    "box_point_1": {"kind": "box_points", "params": {"positive": 1}},
}


class Strategy(Frozen):
    """One prompt strategy: `name` is its key in every table, `params` depend on `kind`.

    The paper's six may be given by name alone (`- box`).
    """

    name: str = Field(min_length=1, max_length=64, pattern=NAME)
    kind: StrategyKind
    params: EverythingParams | BoxPointsParams | PointsParams | BoxParams

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in PAPER_STRATEGIES:
                raise UserError(
                    f"'{value}' is none of the paper's strategies",
                    got=value,
                    expected=f"one of {', '.join(PAPER_STRATEGIES)}; or name, kind and params",
                    remedy=nearest(value, PAPER_STRATEGIES),
                )
            value = {"name": value, **PAPER_STRATEGIES[value]}
        if isinstance(value, Mapping) and value.get("kind") in _PARAMS:
            params = value.get("params", {})
            if isinstance(params, Mapping):
                params = _PARAMS[value["kind"]].model_validate(dict(params))
            value = {**value, "params": params}
        return value

    @model_validator(mode="after")
    def _params_fit_kind(self) -> Strategy:
        expected = _PARAMS[self.kind]
        if type(self.params) is not expected:
            raise ValueError(f"params of kind '{self.kind}' must be {expected.__name__}")
        return self

    @property
    def prompted(self) -> bool:
        """True unless the strategy segments everything without a prompt."""
        return self.kind != "everything"


class JitterLevel(Frozen):
    """A range of displacements, pixels on the original grid; (0, 0) is none."""

    lo: int = Field(ge=0, le=10_000)
    hi: int = Field(ge=0, le=10_000)

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        if isinstance(value, Mapping | JitterLevel):
            return value
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise UserError(
                "a jitter level is a pair [lo, hi]",
                got=value,
                expected="two whole numbers of pixels in brackets",
                remedy="write a list of pairs: levels: [[0, 0], [0, 10]]",
            )
        return {"lo": value[0], "hi": value[1]}

    @model_validator(mode="after")
    def _ordered(self) -> JitterLevel:
        if self.lo > self.hi:
            raise UserError(
                f"jitter level [{self.lo}, {self.hi}]: lo must not exceed hi",
                expected="the smaller number of pixels first",
                remedy=f"write [{self.hi}, {self.lo}]",
            )
        return self

    @property
    def none(self) -> bool:
        return self.lo == 0 and self.hi == 0


class Jitter(Frozen):
    """Randomness of prompts (protocol section 2): levels, trials per non-zero level, options."""

    levels: tuple[JitterLevel, ...] = (
        JitterLevel(lo=0, hi=0),
        JitterLevel(lo=0, hi=10),
        JitterLevel(lo=10, hi=20),
        JitterLevel(lo=20, hi=30),
    )
    trials: int = Field(3, ge=1, le=1000)
    moves: Literal["first", "all"] = "first"
    box: Literal["edges", "translate"] = "edges"

    @field_validator("levels")
    @classmethod
    def _distinct(cls, levels: tuple[JitterLevel, ...]) -> tuple[JitterLevel, ...]:
        if not levels or len(set(levels)) != len(levels):
            raise UserError(
                "jitter levels must be at least one, each once",
                expected="different pairs [lo, hi]",
                remedy="take out the level that is there twice" if levels else "write [[0, 0]]",
            )
        if not levels[0].none:
            raise UserError(
                "the first jitter level must be [0, 0]: the others are compared with it",
                got=f"[{levels[0].lo}, {levels[0].hi}] first",
                expected="[0, 0] before the other levels",
                remedy=f"write levels: {[[0, 0], *([one.lo, one.hi] for one in levels)]}",
            )
        return levels

    def trials_of(self, strategy: Strategy) -> Iterator[tuple[JitterLevel, int]]:
        """(level, trial) pairs of one object, in order; Everything is never jittered."""
        for level in self.levels:
            if level.none:
                yield level, 0
            elif strategy.prompted:
                for trial in range(self.trials):
                    yield level, trial


class Intensity(Frozen):
    """How stored values become the uint8 image a model sees (protocol section 1.6).

    At most one of `window` and `percentiles`; without either: min and max of the scope.
    """

    scope: Literal["slice", "volume"] = "slice"
    window: tuple[float, float] | None = Field(None, description="[center, width]")
    percentiles: tuple[float, float] | None = Field(None, description="[lo, hi] in percent")

    @model_validator(mode="after")
    def _sane(self) -> Intensity:
        if self.window is not None and self.percentiles is not None:
            raise UserError(
                "intensity takes window or percentiles, not both",
                expected="at most one of them",
                remedy="leave one of them out",
            )
        if self.window is not None and self.window[1] <= 0:
            raise UserError(
                f"intensity window width must be positive, got {self.window[1]}",
                expected="[center, width]",
                remedy="write the centre first: window: [40, 400]",
            )
        if self.percentiles is not None:
            lo, hi = self.percentiles
            if not 0 <= lo < hi <= 100:
                raise UserError(
                    f"intensity percentiles need 0 <= lo < hi <= 100, got {lo}, {hi}",
                    expected="[lo, hi] in percent",
                    remedy="write percentiles: [0.5, 99.5]",
                )
        return self


class ModelChoice(Frozen):
    """A model of the registry (or a YAML file describing one), its weights and what to run on it.

    Attributes:
        name: key in every table.
        model: registry name or path to a model YAML; defaults to `name`.
        checkpoint: weights file; None: those that come with samscope, where the model has any.
        init_seed: draw untrained weights from this seed; None: only where there are no others,
            from 0.
        strategies: names of the study's strategies to run; None: all of them.
    """

    name: str = Field(min_length=1, max_length=64, pattern=NAME)
    model: str = ""
    checkpoint: str | None = None
    init_seed: int | None = Field(None, ge=0)
    strategies: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, Mapping) and not value.get("model"):
            value = {**value, "model": value.get("name", "")}
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> ModelChoice:
        if self.checkpoint is not None and self.init_seed is not None:
            raise UserError(
                "a model has weights from a checkpoint or from init_seed, not both",
                expected="at most one of them",
                remedy="leave init_seed out",
            )
        return self

    def with_absolute_paths(self) -> ModelChoice:
        """The same choice, its files named from the root."""
        changes = {}
        if self.checkpoint is not None:
            changes["checkpoint"] = str(Path(self.checkpoint).expanduser().resolve())
        if Path(self.model).suffix in (".yaml", ".yml"):
            changes["model"] = str(Path(self.model).expanduser().resolve())
        return self.model_copy(update=changes)


class Sample(Frozen):
    """A stated sample of the collection; part of the study's identity through its slices.

    Attributes:
        slices_per_case: at most this many slices of each case, spread evenly over the slices that
            have eligible objects (indices (2i+1)*n // (2m), as prompts are sampled).
        objects_per_slice: at most this many objects of each slice, spread evenly over its objects
            sorted by object_id.
        cases_per_dataset: at most this many cases of each dataset, spread evenly, sorted by id.
    """

    slices_per_case: int | None = Field(None, ge=1)
    objects_per_slice: int | None = Field(None, ge=1)
    cases_per_dataset: int | None = Field(None, ge=1)
    rule: Literal["even over slices with objects"] = "even over slices with objects"


class Study(Frozen):
    """What defines the numbers: models x strategies x jitter levels x trials over a collection.

    Attributes:
        datasets, modalities, subjects: only these of the collection; None: all. Subjects by id,
            `{dataset}/{subject}`.
        precision: dtype of the models' products; it enters identities through the numerics.
        parity_bound: most that the mean Dice by predicted IoU may differ from the plain way's, in
            any modality of a sample taken before the run; None: not asked. It changes no number.
        mixed_numerics: whether workers of several kinds (GPUs or CPUs that differ, other kernels)
            may share the study, each evaluating in its own numerics, which are recorded; False: a
            worker unlike the plan's is refused.
    """

    name: str = Field(min_length=1, max_length=64, pattern=NAME)
    seed: int = Field(0, ge=0, lt=2**63)
    models: tuple[ModelChoice, ...] = Field(min_length=1)
    strategies: tuple[Strategy, ...] = Field(min_length=1)
    jitter: Jitter = Jitter()
    intensity: Intensity = Intensity()
    min_object_px: Annotated[int, Field(ge=0)] = 50
    datasets: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    sample: Sample = Sample()
    nsd_tolerance_px: float = Field(2.0, gt=0, le=1e6)
    nsd_tolerance_mm: float = Field(2.0, gt=0, le=1e9)
    precision: Precision = "auto"
    parity_bound: float | None = Field(None, gt=0, le=1)
    mixed_numerics: StrictBool = False

    @model_validator(mode="after")
    def _one_kind_is_measured(self) -> Study:
        if self.mixed_numerics and self.parity_bound is not None:
            raise UserError(
                "parity_bound is measured on workers of one kind: it cannot be held with "
                "mixed_numerics",
                expected="at most one of them",
                remedy="leave one of them out",
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        for kind, names in (
            ("model", [m.name for m in self.models]),
            ("strategy", [s.name for s in self.strategies]),
        ):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise UserError(
                    f"{kind} '{twice[0]}' is declared twice",
                    got=", ".join(names),
                    expected="a name of its own for each: it is the key in every table",
                    remedy="rename one of the two, or take it out",
                )
        known = {s.name for s in self.strategies}
        for model in self.models:
            for name in model.strategies or ():
                if name not in known:
                    raise UserError(
                        f"model '{model.name}' names strategy '{name}', "
                        "which the study does not declare",
                        got=name,
                        expected=f"one of the study's strategies: {', '.join(sorted(known))}",
                        remedy=f"{nearest(name, known)}; or add it to the study's strategies",
                    )
        return self

    def strategies_of(self, model: ModelChoice) -> tuple[Strategy, ...]:
        """The strategies to run on `model`, in the study's order."""
        if model.strategies is None:
            return self.strategies
        return tuple(s for s in self.strategies if s.name in model.strategies)

    def model(self, name: str) -> ModelChoice:
        """The model of that name. Raises UserError when the study has none."""
        return _named(name, {model.name: model for model in self.models}, "model")

    def strategy(self, name: str) -> Strategy:
        """The strategy of that name. Raises UserError when the study has none."""
        return _named(name, {strategy.name: strategy for strategy in self.strategies}, "strategy")

    def with_absolute_paths(self) -> Study:
        """Checkpoints and model files by absolute paths: workers live in other folders."""
        return self.model_copy(
            update={"models": tuple(model.with_absolute_paths() for model in self.models)}
        )

    def admits(self, dtype: str) -> bool:
        """Whether products in this dtype may answer for the study."""
        return self.precision in ("auto", dtype)


class Runtime(Frozen):
    """Knobs that must not change a number: workers, devices, patience."""

    actors: int | None = Field(None, ge=1, description="None: one per GPU, else one per CPU")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    address: str | None = None
    attempts: int = Field(2, ge=1, le=10)
    retry_failed: bool = False
    patience_s: float = Field(
        3600.0, gt=0, le=1e7, description="a worker without a sign of life for so long is ended"
    )
    recycle_units: int | None = Field(
        None, ge=1, description="a worker starts anew after so many units; None: when it has grown"
    )
    lease_s: float = Field(
        60.0, ge=2, description="a run in an object store is anyone's after so long a silence"
    )
    progress: bool = True


def _named(name: str, known: Mapping[str, T], kind: str) -> T:
    if name not in known:
        raise UserError(f"the study has no {kind} '{name}'", got=name, remedy=nearest(name, known))
    return known[name]
