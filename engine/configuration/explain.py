"""What a validation error means, in words for the person who wrote the file.

pydantic says what its types wanted, once per branch of a union and once more per consequence;
here each mistake is one problem, at the place where it is written in the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from engine.errors import SamscopeError, UserError, nearest

Location = tuple[int | str, ...]

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping of fields",
}
"""Beginning of pydantic's error type, or name of a Python type, to words."""

_PATTERNS = {
    "^[A-Za-z0-9": "a name of letters, digits, '_', '.' and '-' that begins with a letter or digit",
    "^[0-9a-f]{64}$": "64 hexadecimal digits",
}


@dataclass(frozen=True)
class _Problem:
    """One of pydantic's errors, placed where the writer of the file sees it.

    Attributes:
        at: location in the file; branches of unions, which are no fields, are left out.
        models: models that could have the last part of `at` as a field.
        beside: what the file has at the parent of `at`.
    """

    raw: Mapping[str, Any]
    at: Location
    models: tuple[type[BaseModel], ...]
    beside: object
    chosen: str | None = None

    @property
    def type(self) -> str:
        return str(self.raw["type"])

    @property
    def context(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.raw.get("ctx", {})
        return found

    @property
    def last(self) -> str:
        return str(self.at[-1]) if self.at else ""

    @property
    def info(self) -> Any:
        return next((m.model_fields[self.last] for m in self.models
                     if self.last in m.model_fields), None)  # fmt: skip


@dataclass(frozen=True)
class _Words:
    what: str
    expected: str | None = None
    remedy: str | None = None
    got: str | None = None


def explain(
    error: ValidationError, raw: Mapping[str, Any], schema: type[BaseModel], kind: str, where: str
) -> UserError:
    """The first mistake in our words, and after its remedy the others, a line each.

    Args:
        raw: what was validated.
        kind: what the file is, e.g. `study`.
    """
    problems = _distinct([_place(dict(found), raw, schema) for found in error.errors()])
    first = problems[0]
    words = _say(first, kind)
    remedy = words.remedy or f"change {dotted(first.at) or 'the file'} accordingly"
    for other in problems[1:]:
        also, place = _say(other, kind), dotted(other.at)
        remedy += f"\n  also: {also.what}" + ("" if place in also.what else f" (at {place})")
        remedy += f": {also.remedy}" if also.remedy else ""
    return UserError(
        f"invalid {kind}: {words.what}",
        where=f"{where}, field {dotted(first.at)}" if first.at else where,
        got=words.got or (short(first.raw.get("input")) if first.at else None),
        expected=words.expected or _description(first) or None,
        remedy=remedy,
    )


def _place(found: Mapping[str, Any], raw: Any, schema: type[BaseModel]) -> _Problem:
    models: tuple[type[BaseModel], ...] = (schema,)
    at: list[int | str] = []
    value, beside, owners, chosen = raw, raw, models, None
    for part in found["loc"]:
        fields = {name for model in models for name in model.model_fields}
        steps = [part]
        if isinstance(value, Mapping) and part not in value and part not in fields:
            # errors of a strategy's params are reported at the strategy
            below = [k for k, v in value.items() if isinstance(v, Mapping) and part in v]
            steps = [*below[:1], part] if below else []
        elif not isinstance(value, Mapping) and not isinstance(part, int) and part not in fields:
            steps = []  # a branch of a union
        for step in steps:
            if isinstance(value, Mapping) and isinstance(value.get("kind"), str):
                chosen = value["kind"]
            at.append(step)
            owners, beside = models, value
            models = _models_below(models, str(step)) or models
            value = _inside(value, step)
    return _Problem(found, tuple(at), owners, beside, chosen)


def _models_below(models: Sequence[type[BaseModel]], field: str) -> tuple[type[BaseModel], ...]:
    infos = [model.model_fields[field] for model in models if field in model.model_fields]
    return tuple(inner for info in infos for inner in _models_in(info.annotation))


def _inside(value: Any, part: int | str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _distinct(problems: Sequence[_Problem]) -> list[_Problem]:
    """Each mistake once, misspelt fields first: they are missing ones as well."""
    misspelt = [p for p in problems if p.type == "extra_forbidden"]
    kept: dict[Location, _Problem] = {}
    for problem in [*misspelt, *problems]:
        if not _follows(problem, problems, misspelt):
            kept.setdefault(problem.at, problem)
    return list(kept.values())


def _follows(problem: _Problem, problems: Sequence[_Problem], misspelt: Sequence[_Problem]) -> bool:
    """True for a problem that is there only because of another one."""
    if problem.type == "too_short":  # pydantic counts the valid items only
        return bool(len(problem.raw["input"]) >= problem.context["min_length"])
    if problem.type != "missing":
        return False
    if problem.last == "params":
        return any(other.at == (*problem.at[:-1], "kind") for other in problems)
    return any(
        other.at[:-1] == problem.at[:-1]
        and difflib.get_close_matches(other.last, [problem.last], cutoff=0.5)
        for other in misspelt
    )


def _say(problem: _Problem, kind: str) -> _Words:
    form, field = problem.type, f"field '{dotted(problem.at)}'"
    cause = problem.context.get("error")
    if isinstance(cause, SamscopeError):
        got = None if cause.got is None else _cut(str(cause.got))
        expected = None if cause.expected is None else str(cause.expected)
        return _Words(cause.what, expected, cause.remedy, got)
    if form == "value_error":
        return _Words(str(cause))
    if form == "extra_forbidden":
        return _unknown_field(problem)
    if form == "missing":
        return _missing(problem, kind)
    if form == "invalid_key":
        return _Words(f"{field} has a name that is no text", "text", "put the name in quotes")
    if form == "literal_error":
        expected = str(problem.context["expected"])
        words = re.findall(r"'([^']*)'", expected)
        return _Words(
            f"{field} has an unknown value", expected, nearest(str(problem.raw["input"]), words)
        )
    return _wrong_value(problem, field)


def _wrong_value(problem: _Problem, field: str) -> _Words:
    form, context = problem.type, problem.context
    if form in ("too_short", "too_long"):
        least = form == "too_short"
        limit = f"{'at least' if least else 'at most'} " + _number(
            context["min_length" if least else "max_length"]
        )
        word = "needs" if least else "takes"
        return _Words(f"{field} {word} {limit}", f"{limit} in the list",
                      "add one to the list" if least else "take some out")  # fmt: skip
    if form.startswith(("greater_than", "less_than")):
        bounds = _bounds(problem)
        return _Words(f"{field} is out of range", bounds, f"give a number: {bounds}")
    if form == "string_too_short":
        return _Words(f"{field} must not be empty", "text", "give it a name or a text")
    if form == "string_too_long":
        limit = f"at most {context['max_length']} characters"
        return _Words(f"{field} is too long", limit, "shorten it")
    if form == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        known = (words for start, words in _PATTERNS.items() if pattern.startswith(start))
        words = next(known, f"text that fits {pattern}")
        return _Words(f"{field} has characters it must not have", words, "write it another way")
    words = next((w for start, w in _TYPES.items() if form.startswith(start)), "of another type")
    return _Words(f"{field} must be {words}", _inner_fields(problem) or words, _rewrite(problem))


def _number(value: Any) -> str:
    return "one" if value == 1 else str(value)


def _rewrite(problem: _Problem) -> str:
    value = problem.raw["input"]
    if problem.type.startswith(("tuple", "list")) and isinstance(value, str | int | float):
        return f"write it in brackets: [{value}]"
    if problem.type.startswith("string") and isinstance(value, str | int | float):
        return f'put it in quotes: "{value}"'
    if problem.type.startswith("model"):
        first = next(iter(_fields_inside(problem)), "field")
        return f"write its fields in braces: {problem.last}: {{{first}: ...}}"
    if problem.type.startswith("dict"):
        return f"write it as {{{_description(problem) or 'name: value'}}}"
    return "write it without quotes or units, as in 3" if isinstance(value, str) else "correct it"


def _missing(problem: _Problem, kind: str) -> _Words:
    parent = dotted(problem.at[:-1])
    if isinstance(problem.at[-1], int):
        return _Words(f"field '{parent}' has too few values", None, "give it one more value")
    owner = f"'{parent}'" if parent else f"the {kind}"
    present = ", ".join(map(str, problem.beside)) if isinstance(problem.beside, Mapping) else ""
    needed = list(dict.fromkeys(name for m in problem.models for name in required(m)))
    return _Words(
        f"{owner} lacks its field '{problem.last}'",
        "fields " + ", ".join(needed) if needed else None,
        f"add `{problem.last}:`",
        f"fields {present}" if present else "no fields",
    )


def _unknown_field(problem: _Problem) -> _Words:
    word = problem.last
    of_kind = [m for m in problem.models if _kind_of(m) == problem.chosen]
    known = sorted({n for m in of_kind or problem.models for n in m.model_fields})
    expected = "one of " + ", ".join(known)
    if of_kind:
        what = f"kind '{problem.chosen}' takes no " + (f"'{word}'" if known else "parameters")
        takers = [k for m in problem.models if word in m.model_fields and (k := _kind_of(m))]
        if takers:
            remedy = f"leave it out; it belongs to kind {' or '.join(sorted(takers))}"
            return _Words(what, expected if known else "no params", remedy)
        if not known:
            return _Words(what, "no params", "leave the params out")
    below = [
        name
        for name in known
        if any(word in inner.model_fields for inner in _models_below(problem.models, name))
    ]
    remedy = f"write it under '{below[0]}'" if below else nearest(word, known)
    return _Words(f"unknown field '{word}'", expected, remedy)


def _kind_of(model: type[BaseModel]) -> str | None:
    """`box_points` of `BoxPointsParams`: parameters are named after the kind that takes them."""
    name = model.__name__
    if not name.endswith("Params"):
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Params")).lower()


def _bounds(problem: _Problem) -> str:
    limits = dict(problem.context)
    for mark in getattr(problem.info, "metadata", ()):
        limits |= {n: getattr(mark, n) for n in ("ge", "gt", "le", "lt") if hasattr(mark, n)}
    if {"ge", "le"} <= limits.keys():
        return f"from {limits['ge']} to {limits['le']}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return " and ".join(f"{text} {limits[name]}" for name, text in words.items() if name in limits)


def _description(problem: _Problem) -> str:
    name = next((str(part) for part in reversed(problem.at) if isinstance(part, str)), "")
    infos = (m.model_fields[name] for m in problem.models if name in m.model_fields)
    return next((info.description for info in infos if info.description), "")


def _inner_fields(problem: _Problem) -> str:
    if not problem.type.startswith("model"):
        return ""
    return "fields such as " + ", ".join(_fields_inside(problem))


def _fields_inside(problem: _Problem) -> list[str]:
    """Fields of the models that could stand where the problem is."""
    inner = list(_models_in(problem.info.annotation)) if problem.info else list(problem.models)
    chosen = [m for m in inner if _kind_of(m) == problem.chosen] or inner
    return list(dict.fromkeys(name for model in chosen for name in model.model_fields))


def required(model: type[BaseModel]) -> list[str]:
    """Fields of a model that have no default."""
    return [name for name, info in model.model_fields.items() if info.is_required()]


def dotted(location: Location) -> str:
    """`strategies.0.kind`."""
    return ".".join(map(str, location))


def short(value: object, limit: int = 200) -> str:
    """What was found, cut where it is long."""
    return _cut(repr(value), limit)


def _cut(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models_in(inner)
