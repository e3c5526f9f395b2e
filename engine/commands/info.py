"""`samscope info`: what a checkpoint holds, or a built-in model, or this installation."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import engine
from engine.collection.raw import recipe_names
from engine.commands.say import out
from engine.errors import UserError, nearest
from engine.identity import PROTOCOL_VERSION, file_sha256
from engine.models.checkpoint_fit import looks_like
from engine.models.checkpoints import Checkpoint, read_checkpoint
from engine.models.network import SamConfig
from engine.models.registry import describe, model_names, read_config
from engine.models.weights import weights_sha256
from engine.planning.plan import algorithm_versions
from engine.results.export import printable
from engine.study import ModelChoice

FOR_TESTS = "fake"
"""A model without a network; no one wants its numbers."""

_WIDTH, _NAMED = 20, 3
_LONGEST_S = 10**9

_PARTS = ("torch", "ray", "zarr", "duckdb", "numpy", "segment-anything")


def info_command(asked: Path | None) -> int:
    """Print facts, one a line, about a checkpoint, a built-in model or this installation.

    Raises:
        UserError: it is a folder, or a file that is no checkpoint.
    """
    for name, value in _facts(asked):
        out(printable(f"{name:{_WIDTH}} {value}".rstrip()))
    return 0


def _facts(asked: Path | None) -> list[tuple[str, object]]:
    if asked is None:
        return _installation()
    named = not asked.suffix and asked.parent == Path() and not asked.exists()
    if named and str(asked) not in model_names():
        raise UserError(
            "there is no such file, and no such built-in model",
            got=str(asked),
            expected="a file of weights, or the name of a built-in model",
            remedy=nearest(str(asked), [name for name in model_names() if name != FOR_TESTS]),
        )
    if asked.is_dir():
        raise UserError(
            "this is no checkpoint",
            where=str(asked),
            got="a folder",
            expected="a file of weights, or the name of a built-in model",
            remedy="of a collection: `samscope datasets`; of a run: `samscope status`",
        )
    if str(asked) in model_names() and not asked.exists():
        return _model(str(asked))
    return _checkpoint(asked)


def _model(name: str) -> list[tuple[str, object]]:
    card = describe(ModelChoice(name=name, model=name))
    return [
        ("model", name),
        ("weights", "random, from a seed: give a checkpoint" if card.untrained else "built in"),
        ("weights sha256", card.weights_sha256),
        ("parameters", f"{card.parameters:,}"),
        ("input size", f"{card.input_size} px"),
        ("prompts", ", ".join(k for k, can in asdict(card.capabilities).items() if can is True)),
        ("trained on", _short(card.trained_on)),
    ]


def _installation() -> list[tuple[str, object]]:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [
        ("samscope", engine.__version__),
        ("protocol", PROTOCOL_VERSION),
        ("algorithms", ", ".join(f"{k} {v}" for k, v in algorithm_versions().items())),
        ("python", platform.python_version()),
        *((name, version(name)) for name in _PARTS),
        ("cpus", os.cpu_count()),
        ("gpus", ", ".join(gpus) or "none"),
        ("models", ", ".join(name for name in model_names() if name != FOR_TESTS)),
        ("recipes", ", ".join(recipe_names())),
    ]


def _checkpoint(path: Path) -> list[tuple[str, object]]:
    checkpoint = read_checkpoint(path)
    tensors = checkpoint.state.values()
    like = looks_like({name: tuple(tensor.shape) for name, tensor in checkpoint.state.items()})
    return [
        ("file", path),
        ("bytes", path.stat().st_size),
        ("sha256", file_sha256(path)),
        *_as_in_tables(checkpoint, like),
        ("architecture", checkpoint.architecture or "not stated in the file"),
        ("looks like", like or "no built-in model"),
        ("tensors", len(checkpoint.state)),
        ("parameters", f"{sum(tensor.numel() for tensor in tensors):,}"),
        *_meta(checkpoint.meta),
    ]


def _as_in_tables(checkpoint: Checkpoint, like: str | None) -> Iterator[tuple[str, object]]:
    """The hash by which a run names the weights: of the tensors, however their file is written."""
    config = None if like is None else read_config(like)
    if isinstance(config, SamConfig):
        found = weights_sha256(config.network, checkpoint.state)
        yield "weights sha256", f"{found}, as in the table `models`"


def _meta(meta: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What a training left, in lines a person can read; other values as they are."""
    for name, value in meta.items():
        if name == "subjects" and isinstance(value, Mapping):
            yield name, ""
            yield from ((f"  {part}", _subjects(names)) for part, names in value.items())
        elif name == "validation" and isinstance(value, Mapping):
            yield name, f"mean Dice of {value.get('objects', '?')} objects"
            yield from ((f"  {key}", _dice(by)) for key, by in _mapping(value.get("dice")))
        elif name == "seconds" and isinstance(value, int) and 0 <= value < _LONGEST_S:
            yield "duration", timedelta(seconds=value)
        elif name == "trained_subjects":
            yield name, _subjects(value)
        elif name == "modalities":
            yield "last trained on", _short(value)
        elif isinstance(value, Mapping):
            yield name, ""
            yield from ((f"  {key}", _short(inner)) for key, inner in value.items())
        else:
            yield name, _short(value)


def _subjects(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f"{len(names)} subjects: {', '.join(names[:_NAMED])}{more}" if names else "none"


def _dice(by: object) -> str:
    """Of every selection, to three digits."""
    return ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {_short(value)}"
        for name, value in _mapping(by)
    )


def _mapping(value: object) -> Iterable[tuple[str, object]]:
    return value.items() if isinstance(value, Mapping) else ()


def _short(value: object) -> str:
    """Lists without brackets, mappings as `key value`, what is not set as `-`."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_short(inner) for inner in value) or "-"
    return str(value)
