"""Which cases a recipe finds in a raw folder, without reading a pixel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from engine.collection import template
from engine.collection.lookup import Tables, Told
from engine.collection.raw_folder import RawFolder, as_folder, files_below
from engine.collection.reasons import reason
from engine.collection.recipe import UNKNOWN, LabelSource, Recipe, Series
from engine.errors import CaseRefusedError, UserError

Fields = dict[str, str]


@dataclass(frozen=True)
class LabelFile:
    """One label file of a case.

    Attributes:
        source: index into the series' `labels`.
        path: relative to the raw folder, with `/`; a folder's ends in `/`.
        structure: from the file name (`{structure}`), else None.
        within: the files of a folder.
    """

    source: int
    path: str
    structure: str | None = None
    within: tuple[str, ...] = ()


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
        image: path relative to the raw folder, with `/`; a folder's ends in `/`.
        labels: in the recipe's order, then by path.
        excluded: set where the case is not to be read.
        split: official split, where the recipe knows one.
        within: the files of an image that is a folder.
        tables: files that say whose it is.
    """

    dataset: str
    case: str
    subject: str
    series: int
    image: str
    labels: tuple[LabelFile, ...]
    excluded: Exclusion | None = None
    split: str | None = None
    within: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file the case is made from, image first, each once."""
        parts = [(self.image, self.within), *((label.path, label.within) for label in self.labels)]
        each = [within if path.endswith("/") else (path,) for path, within in parts]
        return tuple(dict.fromkeys(file for files in (*each, self.tables) for file in files))


def find_cases(recipe: Recipe, raw_dir: Path | RawFolder) -> list[CaseSpec]:
    """All cases, sorted by name; skipped ones and those without labels carry `excluded`.

    Raises:
        UserError: the folder is missing, a series matches no file, two cases have the same name,
            or a table of subjects cannot be read.
    """
    folder = as_folder(raw_dir)
    if not folder.exists():
        raise UserError(
            "the raw folder does not exist",
            where=folder.where,
            got="no such folder",
            expected=f"the files of {recipe.dataset}",
            remedy="check the path"
            if recipe.source == UNKNOWN
            else f"check the path, or fetch {recipe.dataset} from {recipe.source}",
        )
    found = [
        (number, match)
        for number, series in enumerate(recipe.series)
        for match in _images(series, folder)
    ]
    if not found:
        raise UserError(
            "no file matches any series of the recipe",
            where=folder.where,
            expected="; ".join(series.images for series in recipe.series),
            remedy="give the folder that the recipe's paths start from",
        )
    names = [_case_name(recipe.series[number], match) for number, match in found]
    _check_names(recipe, folder, names, [match.path for _, match in found])
    owners = _owners(recipe, folder, found, names)
    tables = [Tables(series, folder) if series.lookup else None for series in recipe.series]
    specs = [
        _spec(recipe, folder, number, match, name, owners, tables[number])
        for (number, match), name in zip(found, names, strict=True)
    ]
    return sorted(map(_storable, specs), key=lambda spec: spec.case)


def _images(series: Series, folder: RawFolder) -> list[template.Match]:
    matches = [m for m in template.search(folder, series.images) if _wanted(series, m)]
    if not matches and not series.optional:
        raise UserError(
            "no file matches a series of the recipe",
            where=folder.where,
            got=f"nearest is {template.nearest_existing(folder, series.images)}",
            expected=series.images + (f" where {dict(series.where)}" if series.where else ""),
            remedy="give the folder that the recipe's paths start from",
        )
    return matches


def _wanted(series: Series, match: template.Match) -> bool:
    fits = all(_any_fits(match.fields[name], patterns) for name, patterns in series.where.items())
    return fits and not any(
        _any_fits(match.fields[name], patterns) for name, patterns in series.unless.items()
    )


def _any_fits(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _case_name(series: Series, match: template.Match) -> str:
    return template.fill(series.case or "{case}", match.fields)


def _check_names(recipe: Recipe, folder: RawFolder, names: list[str], paths: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        both = [path for name, path in zip(names, paths, strict=True) if name == twice[0]]
        raise UserError(
            f"two cases of {recipe.dataset} are named '{twice[0]}'",
            where=folder.where,
            got=", ".join(both),
            remedy="say case: with a template that tells them apart",
        )


def _fields(series: Series, match: template.Match, name: str) -> Fields:
    """What label templates may use: the placeholders of the image and the case's name."""
    return {"case": name, **match.fields}


Owners = dict[tuple[str, int], list[LabelFile]]


def _owners(
    recipe: Recipe, folder: RawFolder, found: list[tuple[int, template.Match]], names: list[str]
) -> Owners:
    """Label files per (case, label source).

    With free placeholders `a_{structure}.png` also fits `a_b_liver.png`, which belongs to case
    `a_b`: such a file goes where most of its name was known, whatever series that is of. Files
    without free placeholders belong to every case that names them.
    """
    claims: dict[str, list[_Claim]] = {}
    owners: Owners = {}
    for (number, match), name in zip(found, names, strict=True):
        series = recipe.series[number]
        fields = _fields(series, match, name)
        for index, source in enumerate(series.labels):
            for label in _label_files(source, index, folder, fields):
                known = template.fill(source.file, fields)
                if template.placeholders(known):
                    claims.setdefault(label.path, []).append(_Claim(known, name, label))
                else:
                    owners.setdefault((name, index), []).append(label)
    for path in sorted(claims):
        best = max(claim.rank for claim in claims[path])
        for claim in claims[path]:
            if claim.rank == best:
                owners.setdefault((claim.case, claim.label.source), []).append(claim.label)
    return owners


@dataclass(frozen=True)
class _Claim:
    """A case's claim to a label file: what of its path the case knew, with the free rest."""

    known: str
    case: str
    label: LabelFile

    @property
    def rank(self) -> tuple[int, str]:
        """Claims of one rank share the file: sequences of one subject have one segmentation."""
        return len(template.literal(self.known)), self.known


def _label_files(
    source: LabelSource, index: int, folder: RawFolder, fields: Fields
) -> list[LabelFile]:
    matches = template.search(folder, source.file, fields)
    named = "structure" in template.placeholders(source.file)
    return [
        LabelFile(
            index, m.path, m.fields.get("structure") if named else None, _within(folder, m.path)
        )
        for m in matches
    ]


def _within(folder: RawFolder, path: str) -> tuple[str, ...]:
    return tuple(files_below(folder, path)) if path.endswith("/") else ()


def _spec(
    recipe: Recipe,
    folder: RawFolder,
    number: int,
    match: template.Match,
    name: str,
    owners: Owners,
    tables: Tables | None,
) -> CaseSpec:
    series = recipe.series[number]
    fields = _fields(series, match, name)
    default = "{subject}" if "subject" in match.fields else "{case}"
    subject = template.fill(series.subject or default, {**fields, "case": name})
    told = Told() if tables is None else tables.tell({**fields, "case": name})
    split = template.fill(series.split, match.fields) if series.split is not None else told.split
    labels = [owners.get((name, index), []) for index in range(len(series.labels))]
    return CaseSpec(
        recipe.dataset,
        name,
        told.subject or subject,
        number,
        match.path,
        tuple(label for files in labels for label in files),
        _excluded(recipe, folder, series, name, fields, labels) or _untold(told, name),
        split,
        _within(folder, match.path),
        () if tables is None else tables.files,
    )


def _storable(spec: CaseSpec) -> CaseSpec:
    """The case itself, or its exclusion where a name is no UTF-8: no catalog could hold it."""
    names = (spec.case, spec.subject, spec.split or "", spec.image, *spec.files)
    odd = next((name for name in names if _as_text(name) != name), None)
    if odd is None:
        return spec
    text = CaseRefusedError(
        "a file name is not UTF-8",
        where=_as_text(spec.image),
        got=_as_text(odd),
        expected="a name that is text",
        remedy="rename the file",
    )
    return CaseSpec(
        spec.dataset,
        _as_text(spec.case),
        _as_text(spec.subject),
        spec.series,
        _as_text(spec.image),
        (),
        Exclusion("unsafe_path", str(text)),
    )


def _as_text(name: str) -> str:
    """A name with the bytes that are no UTF-8 spelled out: `a\\xff.png`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _untold(told: Told, name: str) -> Exclusion | None:
    """A table that should say whose the case is does not: its subject is not guessed."""
    if told.missing is None:
        return None
    text = CaseRefusedError(
        f"the table of subjects does not know '{name}'",
        where=told.missing,
        got="no row of it",
        expected="one row for every case",
        remedy="complete the table, or skip the case in the recipe with this reason",
    )
    return Exclusion("unknown_subject", str(text))


def _excluded(
    recipe: Recipe,
    folder: RawFolder,
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
        return Exclusion("missing_label", _missing_label(wanted, folder))
    return None


def _missing_label(wanted: list[str], folder: RawFolder) -> str:
    """What, got, expected and remedy of a case without one of its label files."""
    parent = PurePosixPath(wanted[0]).parent.as_posix()
    there = folder.is_folder(parent)
    return str(
        CaseRefusedError(
            f"no file matches {', '.join(wanted)}",
            got=f"{'no such file in' if there else 'no'} folder '{parent}' of the raw folder",
            expected="one label file for each",
            remedy="fetch it, or in the recipe: optional: true, or skip the case with a reason",
        )
    )
