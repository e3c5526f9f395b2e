"""The raw side of a collection in four verbs: open a recipe, find, read and validate its cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collection.curate import read_case
from engine.collection.find import CaseSpec, Exclusion, LabelFile, find_cases
from engine.collection.raw_folder import RawFolder, as_folder
from engine.collection.reasons import REASONS
from engine.collection.recipe import Recipe
from engine.configuration import load_yaml
from engine.errors import CaseRefusedError, UserError, nearest

_RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class CaseReport:
    """What became of one found case.

    Attributes:
        raw_case: name of the raw case, which a recipe's `skip` uses.
        case: name; of a 4-D file, the name of one frame.
        image: path of its file in the raw folder.
        status: `ok`, `excluded` (by rule) or `refused` (an error to repair).
        code: reason code; None for `ok`.
        detail: words for people; for `ok` the size and the structures.
        n_slices, structures: of an `ok` case.
    """

    raw_case: str
    case: str
    image: str
    status: str
    code: str | None
    detail: str
    n_slices: int = 0
    structures: tuple[str, ...] = ()


def recipe_names() -> list[str]:
    """Names of the recipes that come with samscope, sorted."""
    return sorted(path.stem for path in _RECIPES.glob("*.yaml"))


def open_recipe(name_or_path: str | Path) -> Recipe:
    """Load and validate a recipe by the name of one that comes along, or by its path.

    Raises:
        UserError: no such recipe (with the nearest name), or it is not valid.
    """
    return load_yaml(_file_of(name_or_path), Recipe, "recipe")


def text_of(name_or_path: str | Path) -> str:
    """A recipe that can be opened, as it is written. Raises as `open_recipe`."""
    return _file_of(name_or_path).read_text(encoding="utf-8")


def _file_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    name = str(name_or_path)
    if name not in recipe_names():
        raise UserError(
            f"unknown recipe '{name}'",
            got=name,
            expected="a recipe's name, or the path of a .yaml file",
            remedy=nearest(name, recipe_names()),
        )
    return _RECIPES / f"{name}.yaml"


def validate(recipe: Recipe, raw_dir: Path | RawFolder) -> Iterator[CaseReport]:
    """Read every case as ingest would, storing nothing: one report per case, in their order.

    Raises:
        UserError: before the first report, where `find_cases` raises it; later, where a file has
            an ending no reader knows, or two frames get the same name.
    """
    seen: dict[str, str] = {}
    folder = as_folder(raw_dir)
    for spec in find_cases(recipe, folder):
        for report in _reports(recipe, spec, folder):
            if report.case in seen:
                raise UserError(
                    f"two cases of {recipe.dataset} are named '{report.case}'",
                    where=folder.where,
                    got=f"{seen[report.case]}, {report.image}",
                    remedy="say case: with a template that tells them apart",
                )
            seen[report.case] = report.image
            yield report


def _reports(recipe: Recipe, spec: CaseSpec, folder: RawFolder) -> Iterator[CaseReport]:
    try:
        cases = read_case(recipe, spec, folder)
    except CaseRefusedError as error:
        by_rule = error.code in REASONS and REASONS[error.code].by_rule
        status = "excluded" if by_rule else "refused"
        yield CaseReport(spec.case, spec.case, spec.image, status, error.code, str(error))
        return
    for case in cases:
        if not case.meaning:
            detail = REASONS["empty_case"].meaning
            yield CaseReport(spec.case, case.case, spec.image, "excluded", "empty_case", detail)
            continue
        structures = tuple(dict.fromkeys(label.structure for label in case.meaning))
        size = " x ".join(map(str, case.image.shape))
        detail = f"{case.plane} {size} {case.image.dtype}, {len(case.meaning)} objects"
        yield CaseReport(
            spec.case, case.case, spec.image, "ok", None, detail, len(case.image), structures
        )


__all__ = [
    "CaseReport",
    "CaseSpec",
    "Exclusion",
    "LabelFile",
    "find_cases",
    "open_recipe",
    "read_case",
    "recipe_names",
    "text_of",
    "validate",
]
