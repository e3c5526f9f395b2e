"""Configuration files: frozen models, and errors that name the field and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import UserError

M = TypeVar("M", bound="Frozen")


class Frozen(BaseModel):
    """Base of every configuration: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def load_yaml(path: Path, schema: type[M], kind: str) -> M:
    """Read and validate a YAML file.

    Raises:
        UserError: naming the file, the field, what was found and the nearest valid word.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the {kind}", where=str(path), got=error) from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"the {kind} is not valid YAML", where=str(path), got=error) from error
    if not isinstance(raw, dict):
        raise UserError(
            f"the {kind} must be a mapping of fields",
            where=str(path),
            got=type(raw).__name__,
            expected=", ".join(schema.model_fields),
        )
    return validate(raw, schema, kind, where=str(path))


def validate(raw: Mapping[str, Any], schema: type[M], kind: str, *, where: str) -> M:
    """Validate a mapping against `schema`; errors read as in `load_yaml`."""
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise _explain(error, schema, kind, where) from error


def _explain(error: ValidationError, schema: type[Frozen], kind: str, where: str) -> UserError:
    # A misspelt field is also a missing one: say the misspelling first.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
    more = len(error.errors()) - 1
    message = first["msg"].removeprefix("Value error, ")
    remedy = f"{more} more problem(s) in this file" if more else None
    expected: str | None = None
    if first["type"] == "extra_forbidden":
        known = _fields_at(schema, first["loc"][:-1])
        word = str(first["loc"][-1])
        message = f"unknown field '{word}'"
        nested = {n for m in _models_at(schema, first["loc"][:-1]) for n in _nested_fields(m)}
        close = difflib.get_close_matches(word, known | nested, n=1, cutoff=0.5)
        expected = f"'{close[0]}'" if close else ", ".join(sorted(known))
    elif "literal" in first["type"] or first["type"] == "enum":
        message = f"field '{field}' has an unknown value"
        expected = str(first.get("ctx", {}).get("expected", ""))
        close = difflib.get_close_matches(
            str(first["input"]),
            [w.strip(" '") for w in expected.replace(" or ", ",").split(",")],
            n=1,
        )
        remedy = f"did you mean '{close[0]}'?" if close else remedy
    return UserError(
        f"invalid {kind}: {message}",
        where=f"{where}, field {field}",
        got=_short(first.get("input")),
        expected=expected,
        remedy=remedy,
    )


def _short(value: object, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _fields_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """Field names of the (nested) model at an error location."""
    return {name for model in _models_at(schema, location) for name in model.model_fields}


def _nested_fields(model: type[BaseModel]) -> set[str]:
    """Field names one level below: errors of a strategy's params are reported at the strategy."""
    below = (m for info in model.model_fields.values() for m in _models_in(info.annotation))
    return {name for inner in below for name in inner.model_fields}


def _models_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> set[type[BaseModel]]:
    """The (nested) models at an error location; the nearest known ones when unclear."""
    current: set[type[BaseModel]] = {schema}
    for part in location:
        following: set[type[BaseModel]] = set()
        for model in current:
            info = model.model_fields.get(str(part))
            if info is not None:
                following |= set(_models_in(info.annotation))
        current = following or current
    return current


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)
