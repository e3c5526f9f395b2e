"""Which files a replica consists of: the templates of a recipe, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product

from engine.collection import template
from engine.collection.recipe import LabelSource, Recipe, Series
from engine.collection.replica.lookups import Row, rows_of, true_words
from engine.collection.replica.spec import Replica, replica_of
from engine.errors import UserError

Choices = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class LabelTarget:
    """One label file of a case: index of its source, path, structure where the name says it."""

    source: int
    path: str
    structure: str | None


@dataclass(frozen=True)
class Target:
    """One image file, the label files that belong to it, and what they are called.

    Attributes:
        number: index of the series in the recipe.
        turn: number of the case within the series, from 0.
        image: path with `/`; of a folder it ends in one.
        case, subject, split: as a correct ingest names them, without suffixes of frames.
        rows: its row in every table of subjects and splits, by file.
    """

    number: int
    turn: int
    series: Series
    replica: Replica
    image: str
    case: str
    subject: str
    split: str | None
    labels: tuple[LabelTarget, ...]
    rows: Mapping[str, Row]


def targets(recipe: Recipe) -> list[Target]:
    """Every image file of the miniature, series by series.

    Raises:
        UserError: no `replica:` block; a placeholder without text; a series without a case; two
            images at one place.
    """
    out = [
        _target(recipe, (number, turn), series, replica, choices)
        for number, series in enumerate(recipe.series)
        for turn, (replica, choices) in enumerate(_cases(recipe, series))
    ]
    images = [target.image for target in out]
    twice = next((path for path in images if images.count(path) > 1), None)
    if twice is not None:
        raise UserError(
            "two cases of the replica are one file",
            where=f"recipe {recipe.dataset}, replica",
            got=twice,
            remedy="give a series a replica: of its own, or leave out a case",
        )
    return out


def _cases(recipe: Recipe, series: Series) -> Iterator[tuple[Replica, Choices]]:
    """The cases of the block that are of this series: its placeholders given, `where` fulfilled."""
    replica = replica_of(recipe, series)
    wanted = set(template.placeholders(series.images)) - {template.ANY}
    fits = [c for c in replica.cases if wanted <= c.keys() and _admitted(series, c)]
    if not fits:
        raise UserError(
            "no case of the replica belongs to a series",
            where=f"recipe {recipe.dataset}, series {series.images}",
            got="; ".join(str({k: ", ".join(v) for k, v in c.items()}) for c in replica.cases),
            expected=f"text for {', '.join(sorted(wanted)) or 'nothing'}"
            + (f" where {dict(series.where)}" if series.where else ""),
            remedy="add a case to replica: cases:",
        )
    for choices in fits:
        yield replica, choices


def _admitted(series: Series, choices: Choices) -> bool:
    def fits(name: str, patterns: tuple[str, ...]) -> bool:
        return any(fnmatchcase(choices[name][0], pattern) for pattern in patterns)

    wanted = all(fits(n, patterns) for n, patterns in series.where.items() if n in choices)
    return wanted and not any(
        fits(n, patterns) for n, patterns in series.unless.items() if n in choices
    )


def _target(
    recipe: Recipe, place: tuple[int, int], series: Series, replica: Replica, choices: Choices
) -> Target:
    names = template.placeholders(series.images)
    fields = {name: choices[name][0] for name in names if name != template.ANY}
    case = template.fill(series.case or "{case}", fields)
    default = "{subject}" if "subject" in fields else "{case}"
    subject = template.fill(series.subject or default, {**fields, "case": case})
    known = {"case": case, **fields}
    split = None if series.split is None else template.fill(series.split, known)
    subject, told = true_words(series, choices, subject, split)
    return Target(
        *place,
        series,
        replica,
        _anything(template.fill(series.images, fields), choices),
        case,
        subject,
        split or told,
        tuple(
            label
            for index, source in enumerate(series.labels)
            for label in _labels(recipe, index, source, known, choices)
        ),
        rows_of(series, choices, known),
    )


def _labels(
    recipe: Recipe, index: int, source: LabelSource, known: Mapping[str, str], choices: Choices
) -> Iterator[LabelTarget]:
    """One file for every combination of the source's own placeholders."""
    path = template.fill(source.file, known)
    free = [name for name in template.placeholders(path) if name != template.ANY]
    for name in free:
        if name not in choices:
            raise UserError(
                f"the replica does not say what stands for {{{name}}}",
                where=f"recipe {recipe.dataset}, label {source.file}",
                got=", ".join(choices) or "nothing",
                expected=f"{name}: [text, ...] in every case",
                remedy="add it to replica: cases:",
            )
    for texts in product(*(choices[name] for name in free)):
        given = dict(zip(free, texts, strict=True))
        filled = _anything(template.fill(path, given), choices)
        yield LabelTarget(index, filled, given.get("structure"))


def _anything(path: str, choices: Choices) -> str:
    """`{any}` is free text in a recipe; here it is the block's, or `x`."""
    return path.replace("{any}", choices.get(template.ANY, ("x",))[0])
