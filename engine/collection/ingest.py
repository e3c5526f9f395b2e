"""Raw files into a collection: one case or group at a time, whole or not at all.

Order of every commit: array staged, forced to disk, put in place; then its fragment. So a killed
ingest leaves whole arrays only, and the next one makes just what is missing. Reading, curating and
compressing is done by a pool of workers; commits are made here, in the order of the raw cases, so
the collection is the same for any number of workers.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from engine.collection.case import CuratedCase
from engine.collection.catalog import merge_catalog
from engine.collection.commit import Committer
from engine.collection.fragments import DATASET_FRAGMENT, draft_fragment, list_fragments
from engine.collection.groups import ImageGroups, Waiting
from engine.collection.inventory import Row, exclusion
from engine.collection.place import Desk, open_for_writing, prepare_dataset
from engine.collection.pool import Here, Job, Pool, WorkerDiedError
from engine.collection.raw_folder import RawFolder, raw_folder_of
from engine.collection.reasons import REASONS
from engine.collection.report import (
    IngestEvent,
    IngestReport,
    Outcome,
    left_with_group,
    notices,
)
from engine.collection.source import CaseSource, DatasetInfo, MemorySource, RawCase, RecipeSource
from engine.collection.steps import Bundled, Decided, Working, steps
from engine.collection.survey import check_same_source, survey
from engine.collection.units import UNIT_SLICES, check_unit_slices
from engine.collection.work import (
    Bench,
    Curated,
    Order,
    Refused,
    Result,
    curate_cases,
    stage_group,
)
from engine.errors import CaseRefusedError
from engine.identity import case_id, fingerprint
from engine.stores import Store, store_of

ALGORITHM_VERSION = 2
"""Raise when curation or storage of the same raw files gives other values: all is made anew."""

TASK_BYTES = 8 * 2**20
"""Raw bytes of small cases that one task reads together; a task costs a few milliseconds."""

TASK_CASES = 16
"""Cases of a task at most: small files can hold large pictures, and all of them travel back."""

log = logging.getLogger(__name__)

_EMPTY = REASONS["empty_case"].meaning

Progress = Callable[[IngestEvent], None]


def ingest(
    recipe: object,
    raw_dir: str | os.PathLike[str] | RawFolder,
    out: str | os.PathLike[str],
    *,
    unit_slices: int = UNIT_SLICES,
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> IngestReport:
    """Add a dataset's raw files to a collection; what is there and unchanged is left alone.

    Args:
        recipe: a Recipe, the name of one that comes with samscope, or the path of a YAML file.
        raw_dir: folder or address (`s3://...`) laid out as the recipe says.
        out: folder or address of the collection; several datasets go into one, ingest after
            ingest.
        unit_slices: slices of a unit at most, for arrays stored now.
        pool: who reads and compresses; None: this process.

    Raises:
        UserError: wrong recipe, folders or option, or another ingest is at work in `out`.
    """
    source = RecipeSource(recipe, raw_folder_of(raw_dir))
    return ingest_source(source, out, unit_slices=unit_slices, pool=pool, on_progress=on_progress)


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
    pool: Pool | None = None,
    on_progress: Progress | None = None,
) -> IngestReport:
    """`ingest` from any source of cases."""
    check_unit_slices(unit_slices)
    store = store_of(out)
    with open_for_writing(store) as desk:
        report = _Ingest(source, store, desk, unit_slices, pool or Here(), on_progress).run()
        merge_catalog(store)
    return report


class _Ingest:
    """One run over one dataset; holds what the workers have in hand and the waiting images."""

    def __init__(
        self,
        source: CaseSource,
        store: Store,
        desk: Desk,
        unit_slices: int,
        pool: Pool,
        on_progress: Progress | None,
    ) -> None:
        info = source.info
        made_by = fingerprint({"recipe": info.content_sha256, "curation": ALGORITHM_VERSION})
        self._source = source
        self._store = store
        self._pool = pool
        self._on_progress = on_progress
        self._bench = Bench(desk.staging, info, made_by, unit_slices)
        self._raw = source.cases()
        found = survey(
            store,
            info.dataset,
            made_by,
            self._raw,
            info.skipped,
            source.sha256,
            source.version,
        )
        check_same_source(found, info, made_by, store)
        self._survey = found
        self._owner = dict(found.owner)
        self._in_arrays = set(found.owner.values())
        self._ids: dict[str, set[str]] = {}
        for name, spec in found.owner.items():
            self._ids.setdefault(spec, set()).add(name)
        self._outdated: dict[str, set[str]] = {}
        for head in found.stale:
            for origin in head.origins:
                self._outdated.setdefault(origin.spec, set()).add(origin.case_id)
        self._still_ours = desk.still_ours
        self._commit = Committer(
            store, info.dataset, found.stale, found.array_paths, desk.still_ours
        )
        self._groups = ImageGroups()
        self._group_jobs: deque[tuple[Job, Job]] = deque()
        self._exclusions: list[Row] = []
        self._empty = {origin.case_id: origin for origin in found.empty}
        self._counts: Counter[Outcome] = Counter()
        self._done = 0

    def run(self) -> IngestReport:
        """Store every raw case that is not there yet, then bring the dataset's own rows up."""
        prepare_dataset(self._store, self._bench.info, self._survey.array_paths)
        if self._survey.row is None:  # a killed ingest must leave tables that fit together
            self._write_dataset()
        if self._leaving():
            log.warning("%s", left_with_group(self._leaving()))
        ahead = 2 * self._pool.size if self._pool.size > 1 else 0
        waiting: deque[Decided | Working] = deque()
        most = TASK_BYTES if self._pool.size > 1 else 0
        for step in steps(self._raw, self._decide, self._source.size, most, TASK_CASES):
            waiting.append(step if isinstance(step, Decided) else self._start(step))
            while sum(isinstance(one, Working) for one in waiting) > ahead:
                self._finish(waiting.popleft())
        while waiting:
            self._finish(waiting.popleft())
        for group in self._groups.flush():
            self._stage_group(group)
        self._commit_groups(keep=0)
        self._commit.drop_remaining()
        self._write_dataset()
        return self._report()

    def _decide(self, raw: RawCase, repeated: bool) -> tuple[Outcome, str] | None:
        """What becomes of a raw case that need not be read; None for the others."""
        if raw.case in self._bench.info.skipped:
            return self._exclude(raw.case, "recipe_skip", self._bench.info.skipped[raw.case])
        if repeated:
            return self._exclude(raw.case, "refused", str(_taken(raw.case, raw.case)))
        if raw.case in self._survey.complete:
            return ("unchanged", "") if raw.case in self._in_arrays else ("excluded", _EMPTY)
        return None

    def _order(self, raws: Sequence[RawCase]) -> Order:
        old = {name for raw in raws for name in self._outdated.get(raw.case, ())}
        stored = {name for raw in raws for name in self._ids.get(raw.case, ())}
        homes = {name: self._survey.home[name] for name in old if name in self._survey.home}
        return Order(tuple(raws), frozenset(stored), homes)

    def _start(self, raws: Bundled) -> Working:
        job = self._pool.submit(curate_cases, self._source, self._bench, self._order(raws))
        return Working(raws, job)

    def _finish(self, step: Decided | Working) -> None:
        if isinstance(step, Decided):
            self._tell(step.raw.case, *step.what)
            return
        for result in self._results(step):
            self._tell(result.case, *self._take(result))

    def _results(self, step: Working) -> list[Result]:
        """What the workers made of a step; the case that kills them is found and refused."""
        try:
            results: list[Result] = step.job()
            return results
        except WorkerDiedError as error:
            if len(step.raws) == 1:
                return [Refused(step.raws[0].case, "worker_died", _died(step.raws[0], error))]
        return [result for raw in step.raws for result in self._results(self._start((raw,)))]

    def _take(self, result: Result) -> tuple[Outcome, str]:
        """Commit what a raw case became; no error of its own leaves here."""
        if isinstance(result, Refused):
            return self._exclude(result.case, result.code, result.text)
        try:
            self._claim(result)
            for staged in result.staged:
                self._commit.commit(staged)
        except CaseRefusedError as error:
            for staged in result.staged:
                if isinstance(staged.array, Path):
                    shutil.rmtree(staged.array, ignore_errors=True)
            return self._exclude(result.case, error.code, str(error))
        self._empty.update((origin.case_id, origin) for origin in result.empty)
        for image in result.images:
            for group in self._groups.add(image):
                self._stage_group(group)
        if not result.staged and not result.images and not self._ids.get(result.case):
            return "excluded", _EMPTY
        return ("rebuilt" if result.case in self._outdated else "stored"), ""

    def _claim(self, result: Curated) -> None:
        """Raises CaseRefusedError where another raw case has one of its names."""
        for name in result.case_ids:
            owner = self._owner.get(name, result.case)
            if owner != result.case:
                raise _taken(name, owner)
        self._owner.update(dict.fromkeys(result.case_ids, result.case))

    def _stage_group(self, group: Sequence[Waiting]) -> None:
        what = (self._bench, self._commit.reserve_group(group), group)
        self._group_jobs.append(
            (self._pool.submit(stage_group, *what), partial(stage_group, *what))
        )
        self._commit_groups(keep=self._pool.size if self._pool.size > 1 else 0)

    def _commit_groups(self, keep: int) -> None:
        """In the order they were formed, so that what a killed ingest leaves is a beginning."""
        while len(self._group_jobs) > keep:
            job, here = self._group_jobs.popleft()
            try:
                staged = job()
            except WorkerDiedError:  # its images were read well: only the worker was unlucky
                staged = here()
            self._commit.commit(staged)

    def _tell(self, case: str, outcome: Outcome, detail: str) -> None:
        self._done += 1
        self._counts[outcome] += 1
        if self._on_progress is not None:
            total, slices = len(self._raw), self._commit.slices
            self._on_progress(IngestEvent(self._done, total, case, outcome, detail, slices))

    def _exclude(self, case: str, code: str, text: str) -> tuple[Outcome, str]:
        by_rule = code in REASONS and REASONS[code].by_rule
        dataset = self._bench.info.dataset
        name = case_id(dataset, case)
        self._exclusions.append(exclusion(dataset, code, text, name, refused=not by_rule))
        return ("excluded" if by_rule else "refused"), text

    def _write_dataset(self) -> None:
        """Replace the dataset's own fragment: its row, and the cases that are not in it."""
        info = self._bench.info
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
        new = draft_fragment(info.dataset, None, self._bench.made_by, empty, rows)
        self._still_ours()
        self._store.put(new.head.file, new.data)
        for file in list_fragments(self._store, info.dataset):
            name = file.rpartition("/")[2]
            if name.startswith(f"{DATASET_FRAGMENT}.") and file != new.head.file:
                self._store.delete(file)

    def _leaving(self) -> list[str]:
        """Cases of groups that are made anew whose own files are gone."""
        there = {raw.case for raw in self._raw} | self._bench.info.skipped.keys()
        return sorted(self._outdated.keys() - there)

    def _report(self) -> IngestReport:
        counts = self._counts
        there = {raw.case for raw in self._raw}
        return IngestReport(
            dataset=self._bench.info.dataset,
            stored=counts["stored"] + counts["rebuilt"],
            rebuilt=counts["rebuilt"],
            unchanged=counts["unchanged"],
            refused=counts["refused"],
            excluded=counts["excluded"],
            slices=self._commit.slices,
            objects=self._commit.objects,
            notices=notices(
                rebuilt=counts["rebuilt"],
                absent=self._survey.absent,
                unmet=sorted(self._bench.info.skipped.keys() - there),
                leaving=self._leaving(),
            ),
        )


def _died(raw: RawCase, error: WorkerDiedError) -> str:
    return str(
        CaseRefusedError(
            "the worker process died while reading this case",
            where=", ".join(raw.files[:5]) or raw.case,
            got=error,
            remedy="the file is damaged in a way its library does not survive, or memory ran out",
        )
    )


def _taken(name: str, owner: str) -> CaseRefusedError:
    return CaseRefusedError(
        f"case name '{name}' is taken",
        code="refused",
        got=f"raw case '{owner}' has it",
        expected="a name of its own for every case of a dataset",
        remedy="give the recipe a case template that tells them apart",
    )
