"""The part of an ingest that takes time, a pure function: raw cases in, staged arrays out.

Runs in this process or in any other (`engine.pipeline.pool`); what it returns is small, but for
single images, which travel on to be grouped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.collection.bundle import Bundle, bundle_images, bundle_volume, check_case
from engine.collection.case import CuratedCase
from engine.collection.fragments import Draft, Origin, draft_fragment
from engine.collection.groups import Waiting
from engine.collection.inventory import take_inventory
from engine.collection.source import CaseSource, DatasetInfo, RawCase
from engine.collection.store import array_attributes, stage_bundle
from engine.errors import CaseRefusedError, UserError
from engine.identity import case_id
from engine.stores import files_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """Where and how arrays are made ready.

    Attributes:
        staging: folder every worker shares with the collection; None where the collection is in
            an object store: then arrays travel back as bytes, since workers may be elsewhere.
        made_by: fingerprint of recipe and curation, kept in every fragment.
    """

    staging: Path | None
    info: DatasetInfo
    made_by: str
    unit_slices: int


@dataclass(frozen=True)
class Staged:
    """An array ready to be put in place, and the fragment that will make it exist.

    Attributes:
        array: its folder beside the collection, or its files by name.
    """

    array: Path | Mapping[str, bytes]
    draft: Draft
    slices: int
    objects: int

    @property
    def case_ids(self) -> set[str]:
        return {origin.case_id for origin in self.draft.head.origins}


@dataclass(frozen=True)
class Curated:
    """What one raw case became: arrays, images that wait for a group, cases without a label."""

    case: str
    staged: tuple[Staged, ...] = ()
    images: tuple[Waiting, ...] = ()
    empty: tuple[Origin, ...] = ()

    @property
    def case_ids(self) -> dict[str, str]:
        """{case id: case name} of everything in it."""
        origins = [origin for one in self.staged for origin in one.draft.head.origins]
        origins += [image.origin for image in self.images] + list(self.empty)
        return {origin.case_id: origin.case_id for origin in origins}


@dataclass(frozen=True)
class Refused:
    """Why a raw case does not enter the collection."""

    case: str
    code: str
    text: str


Result = Curated | Refused


@dataclass(frozen=True)
class Order:
    """Raw cases for one task, and what of them is stored already.

    Attributes:
        stored: case ids that need no array (a killed ingest stored some frames of a 4-D file).
        homes: group that an image lay in before.
    """

    raws: tuple[RawCase, ...]
    stored: frozenset[str] = frozenset()
    homes: Mapping[str, str] = field(default_factory=dict)


def curate_cases(source: CaseSource, bench: Bench, order: Order) -> list[Result]:
    """One result per raw case; no error of a case leaves here."""
    return [_curate(source, bench, order, raw) for raw in order.raws]


def stage_group(bench: Bench, array_path: str, images: Sequence[Waiting]) -> Staged:
    """A closed group of single images as one array."""
    bundle = bundle_images(array_path, [image.case for image in images])
    return _stage(bench, bundle, [image.origin for image in images])


def _curate(source: CaseSource, bench: Bench, order: Order, raw: RawCase) -> Result:
    try:
        cases = _read(source, raw)
        staged, images, empty = [], [], []
        for case in cases:
            name = case_id(case.dataset, case.case)
            origin = Origin(raw.case, len(cases), name, case.sources)
            if name in order.stored:
                continue
            if not case.meaning:
                empty.append(origin)
            elif len(case.image) > 1:
                staged.append(_stage_volume(bench, raw, case, origin))
            else:
                images.append(Waiting(case, origin, order.homes.get(name)))
    except CaseRefusedError as error:
        return Refused(raw.case, error.code, str(error))
    return Curated(raw.case, tuple(staged), tuple(images), tuple(empty))


def _read(source: CaseSource, raw: RawCase) -> list[CuratedCase]:
    """Curate a raw case and check what came out.

    Raises:
        CaseRefusedError: also for any exception of a reader; its traceback goes to the log.
    """
    try:
        cases = source.read(raw)
        for case in cases:
            check_case(case)
    except CaseRefusedError:
        raise
    except UserError as error:
        raise CaseRefusedError(str(error), code="unreadable_file") from error
    except Exception as error:
        raise _unexpected(raw, error, "a reader", "unreadable_file") from error
    if not cases:
        raise CaseRefusedError("the files yield no case", code="empty_case", where=raw.case)
    return cases


def _unexpected(raw: RawCase, error: Exception, step: str, code: str) -> CaseRefusedError:
    """The refusal of a case on which our own code failed; the others go on."""
    _log.error("case %s: %s failed", raw.case, step, exc_info=error)
    return CaseRefusedError(
        f"unexpected {type(error).__name__}: {error}",
        code=code,
        where=", ".join(raw.files[:5]) or raw.case,
        remedy="check the file; if it opens elsewhere, please report this as a bug",
    )


def _stage_volume(bench: Bench, raw: RawCase, case: CuratedCase, origin: Origin) -> Staged:
    """The staged array of one case.

    Raises:
        CaseRefusedError: for any exception but `OSError`, which is of the place and not the case.
    """
    try:
        return _stage(bench, bundle_volume(case), [origin])
    except OSError:
        raise
    except Exception as error:
        raise _unexpected(raw, error, "making its array", "refused") from error


def _stage(bench: Bench, bundle: Bundle, origins: Sequence[Origin]) -> Staged:
    rows = take_inventory(bundle, bench.unit_slices)
    info = bench.info
    words = array_attributes(bundle, info.recipe_version, info.recipe_sha256)
    draft = draft_fragment(info.dataset, bundle.array_path, bench.made_by, origins, rows)
    counts = len(rows["slices"]), len(rows["objects"])
    if bench.staging is not None:
        return Staged(stage_bundle(bench.staging, bundle, words), draft, *counts)
    with TemporaryDirectory(prefix="samscope-") as scratch:
        return Staged(files_of(stage_bundle(Path(scratch), bundle, words)), draft, *counts)
