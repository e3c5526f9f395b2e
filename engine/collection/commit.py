"""Commits: a bundle's array is put in place, then its fragment makes it exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.collection.bundle import Bundle, bundle_images, bundle_volume
from engine.collection.case import CuratedCase
from engine.collection.fragments import Fragment, Origin, write_fragment
from engine.collection.groups import Waiting
from engine.collection.inventory import take_inventory
from engine.collection.layout import group_number, group_path
from engine.collection.source import DatasetInfo
from engine.collection.store import array_attributes, remove_array, write_bundle
from engine.files import sync_folder


class Committer:
    """Writes a dataset's arrays one by one; what they replace goes just before.

    Args:
        made_by: fingerprint of recipe and curation, kept in every fragment.
        stale: fragments to be replaced.
        array_paths: arrays in the ledger.

    Attributes:
        slices, objects: numbers committed so far.
    """

    def __init__(
        self,
        collection: Path,
        info: DatasetInfo,
        made_by: str,
        unit_slices: int,
        stale: Sequence[Fragment],
        array_paths: frozenset[str],
    ) -> None:
        self._collection = collection
        self._info = info
        self._made_by = made_by
        self._unit_slices = unit_slices
        self._stale = {head.file: head for head in stale}
        self._array_paths = set(array_paths)
        self.slices = 0
        self.objects = 0

    def volume(self, case: CuratedCase, origin: Origin) -> None:
        """Commit a case with several slices."""
        self._drop_stale({origin.case_id})
        self._commit(bundle_volume(case), [origin])

    def group(self, images: Sequence[Waiting]) -> None:
        """Commit a closed group of single images."""
        origins = [image.origin for image in images]
        self._drop_stale({origin.case_id for origin in origins})
        path = self._group_path(images[0])
        self._commit(bundle_images(path, [image.case for image in images]), origins)

    def drop_remaining(self) -> None:
        """Remove the stale arrays that nothing replaced (their raw case is refused or skipped)."""
        for head in list(self._stale.values()):
            self._drop(head)

    def _commit(self, bundle: Bundle, origins: Sequence[Origin]) -> None:
        rows = take_inventory(bundle, self._unit_slices)
        info = self._info
        words = array_attributes(bundle, info.recipe_version, info.recipe_sha256)
        write_bundle(self._collection, bundle, words)
        write_fragment(
            self._collection, info.dataset, bundle.array_path, self._made_by, origins, rows
        )
        self._array_paths.add(bundle.array_path)
        self.slices += len(rows["slices"])
        self.objects += len(rows["objects"])

    def _drop_stale(self, case_ids: set[str]) -> None:
        for head in list(self._stale.values()):
            if any(origin.case_id in case_ids for origin in head.origins):
                self._drop(head)

    def _drop(self, head: Fragment) -> None:
        """The fragment first: an array without one does not exist."""
        head.file.unlink()
        sync_folder(head.file.parent)
        if head.array_path is not None:
            remove_array(self._collection, head.array_path)
            self._array_paths.discard(head.array_path)
        del self._stale[head.file]

    def _group_path(self, first: Waiting) -> str:
        """The group's former path when it is made anew in the same size, else the next free one."""
        height, width = first.case.image.shape[1:3]
        if first.home is not None and first.home not in self._array_paths:
            former = group_number(first.home)
            if former is not None and former[:2] == (height, width):
                return first.home
        taken = [group_number(path) for path in self._array_paths]
        numbers = [n[2] for n in taken if n is not None and n[:2] == (height, width)]
        return group_path(self._info.dataset, height, width, max(numbers, default=-1) + 1)
