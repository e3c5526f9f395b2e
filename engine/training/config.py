"""What a training is: data, prompts, loss, optimiser. Frozen and validated, like a study.

`kind` picks one of two sets of defaults, and nothing else: one loop runs both.
    pretrain  a small network from its first weights: everything learns, images are varied, points
              and boxes and displaced prompts, focal + Dice on the best of three masks
    finetune  protocol section 7: the decoder alone, tight boxes, DiceCE, AdamW 1e-4, 0.01, two
              images a step, 20 epochs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from engine.configuration import Frozen
from engine.errors import nearest
from engine.identity import fingerprint
from engine.study import NAME, PAPER_STRATEGIES, Intensity, ModelChoice, Strategy, Study

ALGORITHM_VERSION = 2
"""Raise when the same configuration and data would train other weights."""

Kind = Literal["pretrain", "finetune"]

_LARGEST_WEIGHT = 1e6


class Data(Frozen):
    """Which slices of the collection; subjects are split, never cases or slices.

    Attributes:
        datasets, modalities: only these; None: all.
        without_modalities: these not.
        validation, test: shares of the subjects that are kept from training.
        split_seed: another seed, another split.
    """

    datasets: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None
    without_modalities: tuple[str, ...] = ()
    min_object_px: int = Field(50, ge=0)
    intensity: Intensity = Intensity()
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.0, ge=0, lt=1)
    split_seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leaves_something(self) -> Data:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave subjects to train on")
        return self


class Prompting(Frozen):
    """How prompts are drawn for a training step.

    Attributes:
        strategies: the paper's prompted strategies by name, with their weights.
        per_image: strategies drawn for one image.
        objects: most objects of one image; None: all.
        random_points: share of prompts whose points lie anywhere in the object, not by the rule.
        jittered: share of prompts that are displaced, by up to `jitter_px` (original pixels).
    """

    strategies: dict[str, float] = Field(min_length=1)
    per_image: int = Field(1, ge=1)
    objects: int | None = Field(None, ge=1)
    random_points: float = Field(0.0, ge=0, le=1)
    jittered: float = Field(0.0, ge=0, le=1)
    jitter_px: int = Field(10, ge=0, le=10_000)

    @model_validator(mode="after")
    def _known(self) -> Prompting:
        for name, weight in self.strategies.items():
            if name not in PAPER_STRATEGIES or name == "everything":
                known = [n for n in PAPER_STRATEGIES if n != "everything"]
                raise ValueError(f"'{name}' is no prompted strategy; {nearest(name, known)}")
            if not 0 < weight <= _LARGEST_WEIGHT:
                raise ValueError(
                    f"the weight of '{name}' must be positive and at most {_LARGEST_WEIGHT:g}, "
                    f"got {weight}"
                )
        return self

    def strategy(self, name: str) -> Strategy:
        """The strategy of that name."""
        return Strategy.model_validate(name)


class Variation(Frozen):
    """Random views of the training images; all off for `finetune`, whose embeddings are kept.

    Attributes:
        crop: share of images cut to a part of between `smallest` and 1 of each side, each side
            then shortened by up to 15 % on its own.
        mirror: flip and transpose at random.
        intensity: strength of random gamma, contrast and brightness; 0: none.
    """

    crop: float = Field(0.0, ge=0, le=1)
    smallest: float = Field(0.6, gt=0, le=1)
    mirror: bool = False
    intensity: float = Field(0.0, ge=0, le=1)

    @property
    def none(self) -> bool:
        return not (self.crop or self.mirror or self.intensity)


class Loss(Frozen):
    """What is minimised, at the decoder's own resolution.

    Attributes:
        kind: `focal_dice` (20 focal + Dice) or `dice_ce` (Dice + cross-entropy).
        tokens: `all`: the best of the three masks, the single-mask token and the predicted IoU of
            all four; `single`: the single-mask token alone, as the paper's released code.
    """

    kind: Literal["focal_dice", "dice_ce"]
    tokens: Literal["all", "single"] = "all"


class Optimiser(Frozen):
    """Linear warm-up, then a cosine from `lr` down to `final_lr` (equal: constant).

    Attributes:
        kind: `adamw`, or `muon`: Muon for the matrices of linear layers, AdamW for the rest.
        clip_norm: largest norm of all gradients together; None: as they are.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(gt=0)
    final_lr: float = Field(ge=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_steps: int = Field(0, ge=0)
    clip_norm: float | None = Field(None, gt=0)


_DEFAULTS: dict[str, dict[str, Any]] = {
    "pretrain": {
        "learns": "all",
        "kindled": True,
        "images": 8,
        "prompts": {
            "strategies": {
                "point_1": 4, "point_5": 1, "point_5_neg_5": 2, "box": 3, "box_point_1": 1,
            },
            "per_image": 2,
            "objects": 4,
            "random_points": 0.5,
            "jittered": 0.35,
            "jitter_px": 12,
        },
        "variation": {"crop": 0.5, "mirror": True, "intensity": 0.5},
        "loss": {"kind": "focal_dice"},
        "optimiser": {
            "kind": "muon", "lr": 2e-3, "final_lr": 1e-5, "weight_decay": 0.02,
            "warmup_steps": 100, "clip_norm": 1,
        },
    },
    "finetune": {
        "epochs": 20,
        "learns": "decoder",
        "images": 2,
        "prompts": {"strategies": {"box": 1}},
        "loss": {"kind": "dice_ce"},
        "optimiser": {"lr": 1e-4, "final_lr": 1e-4, "weight_decay": 0.01},
    },
}  # fmt: skip


class TrainingConfig(Frozen):
    """A training YAML; fields left out take the defaults of `kind`.

    Attributes:
        name: of the training and of the model it makes.
        model: architecture and first weights.
        learns: `all`, or `decoder`: image and prompt encoder stay as they are.
        kindled: begin with a decoder that learns sooner (`kindle.py`); for weights that are
            drawn, not read.
        images: images of one optimiser step, over all workers.
        steps, epochs: length, in one of the two.
        validate_every: steps between validations; None: once an epoch.
        validation_slices: most slices of a validation, spread evenly; None: all.
    """

    name: str = Field(min_length=1, max_length=64, pattern=NAME)
    kind: Kind
    model: ModelChoice
    seed: int = Field(0, ge=0)
    data: Data = Data()
    learns: Literal["all", "decoder"]
    kindled: bool = False
    images: int = Field(ge=1)
    steps: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    prompts: Prompting
    variation: Variation = Variation()
    loss: Loss
    optimiser: Optimiser
    validate_every: int | None = Field(None, ge=1)
    validation_slices: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_kind(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        defaults = dict(_DEFAULTS.get(str(value.get("kind")), {}))
        if value.get("steps") is not None:
            defaults.pop("epochs", None)
        return _merged(defaults, value)

    @model_validator(mode="after")
    def _not_over_learnt_weights(self) -> TrainingConfig:
        if self.kindled and self.model.checkpoint is not None:
            raise ValueError("kindled would overwrite what the checkpoint has learnt: set it false")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a training needs either steps or epochs")
        return self

    @property
    def encodes_once(self) -> bool:
        """The encoder is frozen and sees the same images every epoch: embeddings can be kept."""
        return self.learns == "decoder" and self.variation.none

    @property
    def judged_by(self) -> str:
        """Selection whose validation Dice chooses the best checkpoint (protocol 7)."""
        return "single" if self.loss.tokens == "single" else "oracle"

    def identity(self, data_sha256: str, weights_sha256: str) -> str:
        """Hash of all that decides the weights, but for numerics and the number of workers.

        Args:
            weights_sha256: of the network and its first weights (`engine.models.weights`), drawn or
                read: they count, and not the names of their files.
        """
        record = {**self.model_dump(mode="json"), "model": weights_sha256}
        return fingerprint({"config": record, "data": data_sha256, "version": ALGORITHM_VERSION})

    def population(self) -> Study:
        """A study that selects the slices of this training, to read the catalog by one rule."""
        return Study(
            name=self.name,
            models=(self.model.model_copy(update={"strategies": None}),),
            strategies=tuple(self.prompts.strategy(name) for name in self.prompts.strategies),
            datasets=self.data.datasets,
            intensity=self.data.intensity,
            min_object_px=self.data.min_object_px,
        )


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over `defaults`, field by field; lists of strategies replace each other whole."""
    out = {**defaults, **given}
    for key, default in defaults.items():
        mine = given.get(key)
        if isinstance(default, Mapping) and isinstance(mine, Mapping):
            out[key] = {**default, **mine}
    return out
