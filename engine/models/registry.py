"""Names and YAML files to models: one mechanism for built-in and further configurations."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict

from engine.configuration import Frozen, load_yaml
from engine.errors import UserError, nearest
from engine.models.base import Card, Model
from engine.models.kind import Kind, ModelConfig, Request, weights_file
from engine.registry import Registry
from engine.study import ModelChoice, Precision, Study

CONFIGS = Path(__file__).parent / "configs"

KINDS: Registry[Kind] = Registry(
    "model kind",
    {
        "sam": "engine.models.sam:KIND",
        "medsam": "engine.models.medsam:KIND",
        "fake": "engine.models.fake:KIND",
    },
)


class _OnlyKind(Frozen):
    """First look at a model YAML: which schema the whole file has to follow."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: str


def model_names() -> tuple[str, ...]:
    """Names of the built-in configurations, sorted."""
    return tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml")))


def config_path(model: str, where: str | None = None) -> Path:
    """The YAML behind a built-in name, or the file itself (relative to the working folder).

    Args:
        where: the model is named, for the error.

    Raises:
        UserError: neither a built-in name nor a path to a `.yaml` or `.yml` file.
    """
    if Path(model).suffix in (".yaml", ".yml"):
        return Path(model)
    if model not in model_names():
        raise UserError(
            f"unknown model '{model}'",
            where=where,
            got=model,
            expected="a built-in model or the path of a model YAML",
            remedy=f"{nearest(model, model_names())}; to give a checkpoint a name of its own, say "
            "which model it is: `{name: mine, model: vit_b, checkpoint: ...}`",
        )
    return CONFIGS / f"{model}.yaml"


def read_config(model: str) -> ModelConfig:
    """The validated configuration of a built-in name or YAML path.

    Raises:
        UserError: unknown name or kind, or an invalid file (field and nearest word named).
    """
    path = config_path(model)
    kind = KINDS.get(load_yaml(path, _OnlyKind, "model configuration").kind)
    return load_yaml(path, kind.schema, "model configuration")


def request(choice: ModelChoice) -> Request:
    """`choice` with its configuration; a YAML's architecture is named by the file's stem."""
    path = config_path(choice.model, where=f"the study's models, '{choice.name}'")
    return Request(choice, path.stem, read_config(choice.model))


def untrained_models(study: Study) -> tuple[str, ...]:
    """Names of the study's models whose weights are drawn from a seed."""
    return tuple(
        choice.name
        for choice in study.models
        if weights_file(choice, read_config(choice.model)) is None
    )


def describe(choice: ModelChoice) -> Card:
    """The card of a chosen model, equal to `load_model(...).card`, without building a network.

    Reads or draws the weights once, because their hash belongs to every identity.

    Raises:
        UserError, CheckpointError: as `load_model`.
    """
    asked = request(choice)
    return KINDS.get(asked.config.kind).describe(asked)


def load_model(choice: ModelChoice, device: str = "cpu", precision: Precision = "auto") -> Model:
    """The chosen model, ready on `device` (`cpu`, `cuda` or `cuda:N`).

    Raises:
        UserError: unknown model, kind or device, or an invalid model YAML.
        CheckpointError: missing, damaged or foreign weights.
    """
    asked = request(choice)
    return KINDS.get(asked.config.kind).load(asked, device, precision)
