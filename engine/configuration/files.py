"""Configuration files: frozen models, and errors that name the field and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.configuration.explain import Location, dotted, explain, required, short
from engine.configuration.plain_yaml import read_plain
from engine.errors import UserError

M = TypeVar("M", bound="Frozen")

_SIGNS = {
    "study": {"models", "strategies"},
    "recipe": {"dataset", "series"},
    "training": {"kind", "model"},
    "model configuration": {"kind"},
}
"""Fields that tell one kind of file from the others."""

_USES = {
    "study": "`samscope plan` and `samscope evaluate` take studies",
    "recipe": "`samscope ingest` and `samscope validate` take recipes",
    "training": "`samscope train` takes trainings",
    "model configuration": "a study names it: models: [{name: ..., model: FILE.yaml}]",
}


class Frozen(BaseModel):
    """Base of every configuration: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def load_yaml(path: Path, schema: type[M], kind: str) -> M:
    """Read and validate a YAML file.

    Raises:
        UserError: naming the file, the field, what was found and the nearest valid word.
    """
    text = _text(path, kind)
    try:
        raw = read_plain(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(error, text, path, kind) from error
    if not isinstance(raw, dict):
        raise UserError(
            f"the {kind} is empty" if raw is None else f"the {kind} must be a mapping of fields",
            where=str(path),
            got="nothing" if raw is None else _WORDS.get(type(raw), type(raw).__name__),
            expected="fields such as " + ", ".join(required(schema) or schema.model_fields),
            remedy="write one `field: value` a line",
        )
    return validate(raw, schema, kind, where=str(path))


_WORDS: dict[type, str] = {list: "a list", str: "text", int: "a number", float: "a number"}


def validate(raw: Mapping[str, Any], schema: type[M], kind: str, *, where: str) -> M:
    """Validate a mapping against `schema`; errors read as in `load_yaml`."""
    other = _looks_like(raw, kind)
    if other is not None:
        raise UserError(
            f"this looks like a {other}, not a {kind}",
            where=where,
            got="fields " + ", ".join(map(str, raw)),
            expected="fields such as " + ", ".join(required(schema)),
            remedy=_USES[other],
        )
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise explain(error, raw, schema, kind, where) from error
    except TypeError as error:  # a validator looked up a list or mapping as if it were a word
        found = _kind_that_is_no_word(raw, ())
        if found is None:
            raise
        raise UserError(
            f"invalid {kind}: field '{dotted(found[0])}' must be one word",
            where=f"{where}, field {dotted(found[0])}",
            got=short(found[1]),
            expected="text",
            remedy="write the word alone, without brackets or braces",
        ) from error


def _text(path: Path, kind: str) -> str:
    expected, remedy = f"a YAML file with a {kind}", "check the path"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        got = "no such file"
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        names = [p.name for p in beside if p.suffix in (".yaml", ".yml")]
        close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
        remedy = f"did you mean '{path.parent / close[0]}'?" if close else remedy
        cause: Exception = error
    except IsADirectoryError as error:
        got, remedy, cause = "a folder", "name the file in it", error
    except UnicodeDecodeError as error:
        got, cause = f"no text: byte {error.start} is not UTF-8", error
        expected, remedy = f"{expected}, text in UTF-8", "name the YAML file, or save it as UTF-8"
    except PermissionError as error:
        got, remedy, cause = "a file you may not read", "give yourself the right to read it", error
    except (OSError, ValueError) as error:
        got, cause = getattr(error, "strerror", None) or "a path that is none", error
    raise UserError(
        f"cannot read the {kind}", where=str(path), got=got, expected=expected, remedy=remedy
    ) from cause


def _not_yaml(error: Exception, text: str, path: Path, kind: str) -> UserError:
    mark = getattr(error, "problem_mark", None)
    where, got, tab = str(path), str(error).split("\n")[0], False
    if mark is not None:
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}"
        got = getattr(error, "problem", None) or got
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        tab = "\t" in line[: mark.column + 1]
    return UserError(
        f"the {kind} is not valid YAML",
        where=where,
        got="a tab" if tab else got,
        expected="spaces" if tab else "`field: value` lines, indented with spaces",
        remedy="replace the tabs by spaces" if tab
        else "look for an open bracket or quote, or a wrong indent, at or before that place",
    )  # fmt: skip


def _looks_like(raw: Mapping[str, Any], kind: str) -> str | None:
    """Another kind of file that has this one's fields, where `kind` has none of them."""
    if kind not in _SIGNS or _SIGNS[kind] & raw.keys():
        return None
    return next((k for k, signs in _SIGNS.items() if k != kind and signs <= raw.keys()), None)


def _kind_that_is_no_word(value: object, at: Location) -> tuple[Location, object] | None:
    parts: Iterator[tuple[int | str, object]] = iter(())
    if isinstance(value, Mapping):
        if isinstance(value.get("kind"), list | dict):
            return (*at, "kind"), value["kind"]
        parts = iter(value.items())
    elif isinstance(value, list | tuple):
        parts = iter(enumerate(value))
    found = (_kind_that_is_no_word(inner, (*at, part)) for part, inner in parts)
    return next((hit for hit in found if hit is not None), None)
