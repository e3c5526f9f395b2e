"""Where an ingest takes its cases from: raw files read by a recipe, or cases made in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from engine.collection.case import CuratedCase
from engine.collection.raw_folder import RawFolder, as_folder
from engine.errors import UserError


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset's row in the catalog.

    Attributes:
        recipe_sha256: hash of the whole recipe.
        content_sha256: hash of what in the recipe can change a stored value; cases are made anew
            when it changes (a new `skip` entry or title leaves it alone).
        skipped: raw cases the recipe leaves out, with its reasons.
    """

    dataset: str
    title: str
    licence: str
    source: str
    recipe_version: int
    recipe_sha256: str
    content_sha256: str
    skipped: Mapping[str, str] = field(default_factory=dict)


class RawCase(Protocol):
    """One raw case: its name in the recipe and its files, relative to the raw folder."""

    @property
    def case(self) -> str: ...

    @property
    def files(self) -> tuple[str, ...]: ...


class CaseSource(Protocol):
    """What an ingest needs: the dataset, its raw cases in a fixed order, and their pixels."""

    @property
    def info(self) -> DatasetInfo: ...

    def cases(self) -> Sequence[RawCase]: ...

    def read(self, raw: RawCase) -> list[CuratedCase]:
        """Curate one raw case. Raises CaseRefusedError."""
        ...

    def sha256(self, path: str) -> str | None:
        """Checksum of a raw file now; None when it is gone."""
        ...

    def size(self, raw: RawCase) -> int:
        """Bytes of its files, roughly: how many cases make a task."""
        ...

    def version(self, path: str) -> str | None:
        """A cheap mark of a raw file's content; None where there is none to trust."""
        ...


class RecipeSource:
    """Raw files of a folder, read as a recipe says.

    Raises:
        UserError: no such recipe or folder.
    """

    def __init__(self, recipe: object, raw_dir: Path | RawFolder) -> None:
        from engine.collection.raw import open_recipe
        from engine.collection.recipe import Recipe

        self._recipe = recipe if isinstance(recipe, Recipe) else open_recipe(str(recipe))
        self._folder = as_folder(raw_dir)
        if not self._folder.exists():
            raise UserError(
                "the folder of raw files does not exist",
                where=self._folder.where,
                expected="a folder laid out as the recipe says",
                remedy="check the second argument of `samscope ingest RECIPE RAW_DIR`",
            )

    @property
    def info(self) -> DatasetInfo:
        recipe = self._recipe
        return DatasetInfo(
            dataset=recipe.dataset,
            title=recipe.title,
            licence=recipe.licence,
            source=recipe.source,
            recipe_version=recipe.version,
            recipe_sha256=recipe.sha256,
            content_sha256=recipe.content_sha256,
            skipped=dict(recipe.skip),
        )

    def cases(self) -> Sequence[RawCase]:
        from engine.collection.raw import find_cases

        return list(find_cases(self._recipe, self._folder))

    def read(self, raw: RawCase) -> list[CuratedCase]:
        from engine.collection.raw import CaseSpec, read_case

        return list(read_case(self._recipe, cast(CaseSpec, raw), self._folder))

    def sha256(self, path: str) -> str | None:
        return self._folder.sha256(path)

    def size(self, raw: RawCase) -> int:
        return sum(self._folder.size(file) for file in raw.files)

    def version(self, path: str) -> str | None:
        return self._folder.version(path)


@dataclass(frozen=True)
class _MemoryCase:
    case: str
    files: tuple[str, ...]


class MemorySource:
    """Curated cases made by a program (phantoms, tests); one raw case each."""

    def __init__(self, info: DatasetInfo, cases: Sequence[CuratedCase]) -> None:
        self._info = info
        self._cases = cases
        self._by_name = {case.case: case for case in cases}
        self._sums = {s.path: s.sha256 for case in cases for s in case.sources}

    @property
    def info(self) -> DatasetInfo:
        return self._info

    def cases(self) -> Sequence[RawCase]:
        return [
            _MemoryCase(case.case, tuple(source.path for source in case.sources))
            for case in self._cases
        ]

    def read(self, raw: RawCase) -> list[CuratedCase]:
        return [self._by_name[raw.case]]

    def sha256(self, path: str) -> str | None:
        return self._sums.get(path)

    def size(self, raw: RawCase) -> int:
        return self._by_name[raw.case].image.nbytes

    def version(self, path: str) -> str | None:
        return None
