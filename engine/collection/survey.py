"""What of a dataset is stored already, what still holds, and what must be made anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from engine.collection.case import SourceFile
from engine.collection.fragments import Fragment, Origin, list_fragments, read_head, read_rows
from engine.collection.layout import group_number
from engine.collection.source import DatasetInfo, RawCase
from engine.errors import UserError
from engine.stores import Store


@dataclass(frozen=True)
class Survey:
    """State of a dataset before an ingest.

    Attributes:
        complete: names of raw cases stored whole from these very files and this recipe.
        owner: raw case of every case id that a sound fragment holds, complete or not.
        stale: fragments with a case whose files, recipe or skip entry changed.
        absent: names of stored raw cases that are not in the raw folder now; they are kept.
        empty: raw origins of cases that were found without any label and still are (same files).
        home: group that each case of a stale group lies in, so that it is rebuilt as it was.
        array_paths: every array in the ledger.
        row: the data set's row in the catalog; None before its first ingest.
        made_by: what its own fragment says of recipe and curation.
    """

    complete: frozenset[str]
    owner: Mapping[str, str]
    stale: tuple[Fragment, ...]
    absent: tuple[str, ...]
    empty: tuple[Origin, ...]
    home: Mapping[str, str]
    array_paths: frozenset[str]
    row: Mapping[str, object] | None
    made_by: str | None


def survey(
    store: Store,
    dataset: str,
    made_by: str,
    raw_cases: Sequence[RawCase],
    skipped: Mapping[str, str],
    sha256: Callable[[str], str | None],
    version: Callable[[str], str | None],
) -> Survey:
    """Compare the ledger with the raw files.

    Args:
        made_by: fingerprint of recipe and curation now.
        sha256: checksum of a raw file now; None when it is gone.
        version: mark that spares reading it, where the place of raw files has one.
    """
    heads = [read_head(store, file) for file in list_fragments(store, dataset)]
    raw = {case.case: case for case in raw_cases}
    same = _SameFiles(made_by, raw, skipped, sha256, version)
    own = next((head for head in heads if head.array_path is None), None)
    arrays = [head for head in heads if head.array_path is not None]
    doubled = _doubled(arrays)
    stale = [
        head
        for head in arrays
        if head.file in doubled or not all(same.holds(head, one) for one in head.origins)
    ]
    old = {head.file for head in stale}
    sound = [origin for head in arrays if head.file not in old for origin in head.origins]
    empty = [
        origin
        for head in heads
        if head.array_path is None
        for origin in head.origins
        if origin.spec in raw and same.holds(head, origin)
    ]
    found = Counter(origin.spec for origin in (*sound, *empty))
    return Survey(
        complete=frozenset(o.spec for o in (*sound, *empty) if found[o.spec] == o.spec_cases),
        owner={origin.case_id: origin.spec for origin in sound},
        stale=tuple(stale),
        absent=tuple(sorted({origin.spec for origin in sound} - raw.keys())),
        empty=tuple(empty),
        home=_homes(stale),
        array_paths=frozenset(str(head.array_path) for head in arrays),
        row=None if own is None else read_rows(store, own.file)["datasets"].to_pylist()[0],
        made_by=None if own is None else own.made_by,
    )


def check_same_source(found: Survey, info: DatasetInfo, made_by: str, store: Store) -> None:
    """A data set is not replaced by another that happens to have its name.

    An export that is read back keeps the name of what it was made from: into the same collection
    it would take the place of the original, or stand beside it and count everything twice.

    Raises:
        UserError: source and content of the stored recipe are both others.
    """
    stored = found.row
    if stored is None or found.made_by == made_by or stored["source"] == info.source:
        return
    raise UserError(
        f"the collection holds another data set named '{info.dataset}'",
        where=str(store),
        got=f"source: {info.source}",
        expected=f"source: {stored['source']}, as stored",
        remedy="ingest into another collection, or give this one another dataset: name",
    )


class _SameFiles:
    """Whether stored cases were made from the raw files, the recipe and the rules of now."""

    def __init__(
        self,
        made_by: str,
        raw: Mapping[str, RawCase],
        skipped: Mapping[str, str],
        sha256: Callable[[str], str | None],
        version: Callable[[str], str | None],
    ) -> None:
        self._made_by, self._raw, self._skipped = made_by, raw, skipped
        self._sha256, self._version = cache(sha256), version

    def holds(self, head: Fragment, origin: Origin) -> bool:
        """A case whose raw files are gone holds: the folder may be half mounted."""
        if origin.spec in self._skipped:
            return False
        current = self._raw.get(origin.spec)
        if current is None:
            return True
        found = {source.path for source in origin.sources if not source.companion}
        return (
            head.made_by == self._made_by
            and found == set(current.files)
            and all(self._is_same(source) for source in origin.sources)
        )

    def _is_same(self, source: SourceFile) -> bool:
        if source.version is not None and self._version(source.path) == source.version:
            return True
        return self._sha256(source.path) == source.sha256


def _doubled(arrays: Sequence[Fragment]) -> set[str]:
    """Fragments that claim one array or one case: two ingests wrote at once. All are made anew."""
    claims: dict[str, list[str]] = {}
    for head in arrays:
        for claim in {str(head.array_path), *(f"case {one.case_id}" for one in head.origins)}:
            claims.setdefault(claim, []).append(head.file)
    return {file for files in claims.values() if len(files) > 1 for file in files}


def _homes(stale: Sequence[Fragment]) -> dict[str, str]:
    return {
        origin.case_id: head.array_path
        for head in stale
        if head.array_path is not None and group_number(head.array_path) is not None
        for origin in head.origins
    }
