"""Which cases a recipe finds in a raw folder, without reading a pixel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.collection import template
from engine.collection.reasons import reason
from engine.collection.recipe import LabelSource, Recipe, Series
from engine.errors import CaseRefusedError, UserError, nearest

Fields = dict[str, str]


@dataclass(frozen=True)
class LabelFile:
    """One label file of a case.

    Attributes:
        source: index into the series' `labels`.
        path: relative to the raw folder, with `/`.
        structure: from the file name (`{structure}`), else None.
    """

    source: int
    path: str
    structure: str | None = None


@dataclass(frozen=True)
class Exclusion:
    """Why a found case is not read: a reason code and words for people."""

    code: str
    detail: str

    @property
    def refused(self) -> bool:
        """True for an error to repair, False for an exclusion by rule."""
        return not reason(self.code).by_rule


@dataclass(frozen=True)
class CaseSpec:
    """One image file, the label files that belong to it, and their names.

    Attributes:
        dataset, case, subject: names, not encoded; frames of a 4-D file add a suffix to `case`.
        series: index into the recipe's series.
        image: path relative to the raw folder, with `/`.
        labels: in the recipe's order, then by path.
        excluded: set where the case is not to be read.
    """

    dataset: str
    case: str
    subject: str
    series: int
    image: str
    labels: tuple[LabelFile, ...]
    excluded: Exclusion | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file the case is made from, image first, each once."""
        return tuple(dict.fromkeys((self.image, *(label.path for label in self.labels))))


def find_cases(recipe: Recipe, raw_dir: Path) -> list[CaseSpec]:
    """All cases, sorted by name; skipped ones and those without labels carry `excluded`.

    Raises:
        UserError: the folder is missing, a series matches no file, two cases have the same name,
            or `skip` names a case that is not there.
    """
    if not raw_dir.is_dir():
        raise UserError(
            "the raw folder does not exist",
            where=str(raw_dir),
            remedy=f"fetch {recipe.dataset} from {recipe.source}",
        )
    found = [
        (number, match)
        for number, series in enumerate(recipe.series)
        for match in _images(series, raw_dir)
    ]
    names = [_case_name(recipe.series[number], match) for number, match in found]
    _check_names(recipe, raw_dir, names, [match.path for _, match in found])
    owners = _owners(recipe, raw_dir, found, names)
    specs = [
        _spec(recipe, raw_dir, number, match, name, owners)
        for (number, match), name in zip(found, names, strict=True)
    ]
    return sorted(specs, key=lambda spec: spec.case)


def _images(series: Series, raw_dir: Path) -> list[template.Match]:
    matches = list(template.search(raw_dir, series.images))
    if not matches:
        raise UserError(
            "no file matches a series of the recipe",
            where=str(raw_dir),
            got=f"nearest is {template.nearest_existing(raw_dir, series.images)}",
            expected=series.images,
            remedy="give the folder that the recipe's paths start from",
        )
    return matches


def _case_name(series: Series, match: template.Match) -> str:
    return template.fill(series.case or "{case}", match.fields)


def _check_names(recipe: Recipe, raw_dir: Path, names: list[str], paths: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        both = [path for name, path in zip(names, paths, strict=True) if name == twice[0]]
        raise UserError(
            f"two cases of {recipe.dataset} are named '{twice[0]}'",
            where=str(raw_dir),
            got=", ".join(both),
            remedy="say case: with a template that tells them apart",
        )
    for name in recipe.skip:
        if name not in names:
            raise UserError(
                f"skip names a case that is not there: '{name}'",
                where=str(raw_dir),
                remedy=nearest(name, names),
            )


def _fields(series: Series, match: template.Match, name: str) -> Fields:
    """What label templates may use: the placeholders of the image and the case's name."""
    return {"case": name, **match.fields}


Owners = dict[tuple[str, int], list[LabelFile]]


def _owners(
    recipe: Recipe, raw_dir: Path, found: list[tuple[int, template.Match]], names: list[str]
) -> Owners:
    """Label files per (case, label source).

    With free placeholders `a_{structure}.png` also fits `a_b_liver.png`, which belongs to case
    `a_b`: a file that fits several cases of a series goes to the longest case name.
    """
    claims: dict[tuple[int, int, str], list[tuple[int, str, LabelFile]]] = {}
    for (number, match), name in zip(found, names, strict=True):
        series = recipe.series[number]
        fields = _fields(series, match, name)
        for index, source in enumerate(series.labels):
            for label in _label_files(source, index, raw_dir, fields):
                free = template.placeholders(template.fill(source.file, fields))
                key = (number, index, label.path if free else f"{name}\0{label.path}")
                claims.setdefault(key, []).append((len(name), name, label))
    owners: Owners = {}
    for (_, index, _), claim in sorted(claims.items()):
        _, name, label = max(claim, key=lambda c: c[:2])
        owners.setdefault((name, index), []).append(label)
    return owners


def _label_files(source: LabelSource, index: int, raw_dir: Path, fields: Fields) -> list[LabelFile]:
    matches = template.search(raw_dir, source.file, fields)
    named = "structure" in template.placeholders(source.file)
    return [LabelFile(index, m.path, m.fields.get("structure") if named else None) for m in matches]


def _spec(
    recipe: Recipe, raw_dir: Path, number: int, match: template.Match, name: str, owners: Owners
) -> CaseSpec:
    series = recipe.series[number]
    fields = _fields(series, match, name)
    default = "{subject}" if "subject" in match.fields else "{case}"
    subject = template.fill(series.subject or default, {**fields, "case": name})
    labels = [owners.get((name, index), []) for index in range(len(series.labels))]
    return CaseSpec(
        recipe.dataset,
        name,
        subject,
        number,
        match.path,
        tuple(label for files in labels for label in files),
        _excluded(recipe, raw_dir, series, name, fields, labels),
    )


def _excluded(
    recipe: Recipe,
    raw_dir: Path,
    series: Series,
    name: str,
    fields: Fields,
    labels: list[list[LabelFile]],
) -> Exclusion | None:
    if name in recipe.skip:
        return Exclusion("recipe_skip", recipe.skip[name])
    missing = [
        template.fill(source.file, fields)
        for source, files in zip(series.labels, labels, strict=True)
        if not files and not source.optional
    ]
    if missing or not any(labels):
        wanted = missing or [template.fill(source.file, fields) for source in series.labels]
        return Exclusion("missing_label", _missing_label(wanted, raw_dir))
    return None


def _missing_label(wanted: list[str], raw_dir: Path) -> str:
    """What, got, expected and remedy of a case without one of its label files."""
    folder = PurePosixPath(wanted[0]).parent
    there = (raw_dir / folder).is_dir()
    return str(
        CaseRefusedError(
            f"no file matches {', '.join(wanted)}",
            got=f"{'no such file in' if there else 'no'} folder '{folder}' of the raw folder",
            expected="one label file for each",
            remedy="fetch it, or in the recipe: optional: true, or skip the case with a reason",
        )
    )
