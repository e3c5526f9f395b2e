"""Raw files into a collection: one case or group at a time, whole or not at all.

Order of every commit: array staged, forced to disk, renamed into place; then its fragment. So a
killed ingest leaves whole arrays only, and the next one makes just what is missing.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.collection.bundle import check_case
from engine.collection.case import CuratedCase
from engine.collection.catalog import merge_catalog
from engine.collection.commit import Committer
from engine.collection.fragments import DATASET_FRAGMENT, Origin, list_fragments, write_fragment
from engine.collection.groups import ImageGroups, Waiting
from engine.collection.inventory import Row, exclusion
from engine.collection.place import open_for_writing, prepare_dataset
from engine.collection.reasons import REASONS
from engine.collection.report import IngestEvent, IngestReport, Outcome
from engine.collection.source import CaseSource, DatasetInfo, MemorySource, RawCase, RecipeSource
from engine.collection.survey import survey
from engine.collection.units import UNIT_SLICES, check_unit_slices
from engine.errors import CaseRefusedError, UserError
from engine.identity import case_id, fingerprint

ALGORITHM_VERSION = 1
"""Raise when curation or storage of the same raw files gives other values: all is made anew."""

_EMPTY = REASONS["empty_case"].meaning
_log = logging.getLogger(__name__)

Progress = Callable[[IngestEvent], None]


def ingest(
    recipe: object,
    raw_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    unit_slices: int = UNIT_SLICES,
    on_progress: Progress | None = None,
) -> IngestReport:
    """Add a dataset's raw files to a collection; what is there and unchanged is left alone.

    Args:
        recipe: a Recipe, the name of one that comes with samscope, or the path of a YAML file.
        raw_dir: folder laid out as the recipe says.
        out: the collection folder; several datasets go into one, ingest after ingest.
        unit_slices: slices of a unit at most, for arrays stored now.

    Raises:
        UserError: wrong recipe, folders or option, or another ingest is at work in `out`.
    """
    source = RecipeSource(recipe, Path(raw_dir))
    return ingest_source(source, out, unit_slices=unit_slices, on_progress=on_progress)


def ingest_cases(
    info: DatasetInfo,
    cases: Sequence[CuratedCase],
    out: str | os.PathLike[str],
    *,
    unit_slices: int = UNIT_SLICES,
) -> IngestReport:
    """Add curated cases made in memory (phantoms, tests) to a collection; errors as `ingest`."""
    return ingest_source(MemorySource(info, cases), out, unit_slices=unit_slices)


def ingest_source(
    source: CaseSource,
    out: str | os.PathLike[str],
    *,
    unit_slices: int = UNIT_SLICES,
    on_progress: Progress | None = None,
) -> IngestReport:
    """`ingest` from any source of cases."""
    check_unit_slices(unit_slices)
    collection = Path(out)
    with open_for_writing(collection):
        report = _Ingest(source, collection, unit_slices, on_progress).run()
        merge_catalog(collection)
    return report


class _Ingest:
    """One run over one dataset; holds one case or the waiting images at a time."""

    def __init__(
        self, source: CaseSource, collection: Path, unit_slices: int, on_progress: Progress | None
    ) -> None:
        info = source.info
        made_by = fingerprint({"recipe": info.content_sha256, "curation": ALGORITHM_VERSION})
        self._source = source
        self._info = info
        self._made_by = made_by
        self._collection = collection
        self._on_progress = on_progress
        self._raw = source.cases()
        self._survey = survey(
            collection,
            info.dataset,
            made_by,
            self._raw,
            info.skipped,
            source.sha256,
            source.version,
        )
        found = self._survey
        self._owner = dict(found.owner)
        self._in_arrays = set(found.owner.values())
        self._outdated = {origin.spec for head in found.stale for origin in head.origins}
        self._commit = Committer(
            collection, info, made_by, unit_slices, found.stale, found.array_paths
        )
        self._groups = ImageGroups()
        self._exclusions: list[Row] = []
        self._empty = {origin.case_id: origin for origin in found.empty}
        self._counts: Counter[Outcome] = Counter()

    def run(self) -> IngestReport:
        """Store every raw case that is not there yet, then bring the dataset's own rows up."""
        prepare_dataset(self._collection, self._info, self._survey.array_paths)
        seen: set[str] = set()
        for number, raw in enumerate(self._raw, 1):
            outcome, detail = self._take(raw, repeated=raw.case in seen)
            seen.add(raw.case)
            self._counts[outcome] += 1
            if self._on_progress is not None:
                self._on_progress(IngestEvent(number, len(self._raw), raw.case, outcome, detail))
        for group in self._groups.flush():
            self._commit.group(group)
        self._commit.drop_remaining()
        self._write_dataset()
        return self._report(seen)

    def _take(self, raw: RawCase, *, repeated: bool) -> tuple[Outcome, str]:
        """Deal with one raw case; no error of its own leaves here."""
        if raw.case in self._info.skipped:
            return self._exclude(raw, "recipe_skip", self._info.skipped[raw.case])
        if raw.case in self._survey.complete and not repeated:
            return ("unchanged", "") if raw.case in self._in_arrays else ("excluded", _EMPTY)
        try:
            if repeated:
                raise _taken(raw.case, raw.case)
            cases = self._read(raw)
            for case in cases:
                self._store(case, Origin(raw.case, len(cases), _id(case), case.sources))
        except CaseRefusedError as error:
            return self._exclude(raw, error.code, str(error))
        if not any(case.meaning for case in cases):
            return "excluded", _EMPTY
        return ("rebuilt" if raw.case in self._outdated else "stored"), ""

    def _read(self, raw: RawCase) -> list[CuratedCase]:
        """Curate a raw case and check what came out.

        Raises:
            CaseRefusedError: also for any exception of a reader; its traceback goes to the log.
        """
        try:
            cases = self._source.read(raw)
            for case in cases:
                check_case(case)
        except CaseRefusedError:
            raise
        except UserError as error:
            raise CaseRefusedError(str(error), code="unreadable_file") from error
        except Exception as error:
            _log.exception("case %s: a reader failed", raw.case)
            raise CaseRefusedError(
                f"unexpected {type(error).__name__}: {error}",
                code="unreadable_file",
                where=", ".join(raw.files) or raw.case,
                remedy="check the file; if it opens elsewhere, please report this as a bug",
            ) from error
        if not cases:
            raise CaseRefusedError("the files yield no case", code="empty_case", where=raw.case)
        for case in cases:
            if self._owner.get(_id(case), raw.case) != raw.case:
                raise _taken(case.case, self._owner[_id(case)])
        return cases

    def _store(self, case: CuratedCase, origin: Origin) -> None:
        """Commit a volume or let an image wait; what a killed ingest stored already stays."""
        if origin.case_id in self._survey.owner:
            return
        self._owner[origin.case_id] = origin.spec
        if not case.meaning:
            self._empty[origin.case_id] = origin
            return
        if len(case.image) > 1:
            self._commit.volume(case, origin)
            return
        image = Waiting(case, origin, self._survey.home.get(origin.case_id))
        for group in self._groups.add(image):
            self._commit.group(group)

    def _exclude(self, raw: RawCase, code: str, text: str) -> tuple[Outcome, str]:
        by_rule = code in REASONS and REASONS[code].by_rule
        name = case_id(self._info.dataset, raw.case)
        row = exclusion(self._info.dataset, code, text, name, refused=not by_rule)
        self._exclusions.append(row)
        return ("excluded" if by_rule else "refused"), text

    def _write_dataset(self) -> None:
        """Replace the dataset's own fragment: its row, and the cases that are not in it."""
        info = self._info
        empty = [self._empty[name] for name in sorted(self._empty)]
        gone = [exclusion(info.dataset, "empty_case", _EMPTY, one.case_id) for one in empty]
        row = {
            "dataset": info.dataset,
            "title": info.title,
            "licence": info.licence,
            "source": info.source,
            "recipe_version": info.recipe_version,
            "recipe_sha256": info.recipe_sha256,
        }
        rows = {"datasets": [row], "exclusions": [*gone, *self._exclusions]}
        new = write_fragment(self._collection, info.dataset, None, self._made_by, empty, rows)
        for file in list_fragments(self._collection, info.dataset):
            if file.name.startswith(f"{DATASET_FRAGMENT}.") and file != new.file:
                file.unlink()

    def _report(self, seen: set[str]) -> IngestReport:
        counts = self._counts
        notices = []
        if self._survey.absent:
            notices.append(
                f"{len(self._survey.absent)} stored case(s) are not in the raw folder now "
                f"and are kept: {_some(self._survey.absent)}"
            )
        lost = sorted(self._outdated - seen - self._info.skipped.keys())
        if lost:
            notices.append(
                f"{len(lost)} case(s) left with a group that was made anew, because their files "
                f"are not in the raw folder now: {_some(lost)}"
            )
        return IngestReport(
            dataset=self._info.dataset,
            stored=counts["stored"] + counts["rebuilt"],
            rebuilt=counts["rebuilt"],
            unchanged=counts["unchanged"],
            refused=counts["refused"],
            excluded=counts["excluded"],
            slices=self._commit.slices,
            objects=self._commit.objects,
            notices=tuple(notices),
        )


def _id(case: CuratedCase) -> str:
    return case_id(case.dataset, case.case)


def _taken(name: str, owner: str) -> CaseRefusedError:
    return CaseRefusedError(
        f"case name '{name}' is taken",
        code="refused",
        got=f"raw case '{owner}' has it",
        expected="a name of its own for every case of a dataset",
        remedy="give the recipe a case template that tells them apart",
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
