"""Commits: a staged array is put in place, then its fragment makes it exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.collection.fragments import Fragment
from engine.collection.groups import Waiting
from engine.collection.layout import group_number, group_path
from engine.collection.work import Staged
from engine.errors import CaseRefusedError
from engine.stores import Store


class Committer:
    """Puts a dataset's arrays in place one by one; what they replace goes just before.

    Args:
        stale: fragments to be replaced.
        array_paths: arrays in the ledger.
        still_ours: asked before every change; raises UserError where the lock was lost.

    Attributes:
        slices, objects: numbers committed so far.
    """

    def __init__(
        self,
        store: Store,
        dataset: str,
        stale: Sequence[Fragment],
        array_paths: frozenset[str],
        still_ours: Callable[[], None],
    ) -> None:
        self._store = store
        self._dataset = dataset
        self._stale = {head.file: head for head in stale}
        self._array_paths = set(array_paths)
        self._reserved: set[str] = set()
        self._still_ours = still_ours
        self.slices = 0
        self.objects = 0

    def commit(self, staged: Staged) -> None:
        """Make a staged array part of the collection.

        Raises:
            CaseRefusedError: its folder is taken (a file system that folds case or accents).
        """
        self._still_ours()
        self.drop_stale(staged.case_ids)
        head = staged.draft.head
        path = str(head.array_path)
        if self._store.size(f"{path}/zarr.json") is not None:
            raise CaseRefusedError(
                "the folder of the case is taken",
                where=path,
                got="a folder of this name, perhaps in other letter case",
                remedy="two cases differ only in letter case or accents: rename one of them",
            )
        self._store.place(staged.array, path)
        self._still_ours()
        self._store.put(head.file, staged.draft.data)
        self._array_paths.add(path)
        self.slices += staged.slices
        self.objects += staged.objects

    def reserve_group(self, images: Sequence[Waiting]) -> str:
        """Array path of a group that will be made of these images, given once.

        Its former path when it is made anew in the same size, else the next free one. What lies
        there stays until the new array is ready.
        """
        path = self._group_path(images[0])
        self._reserved.add(path)
        return path

    def drop_stale(self, case_ids: Iterable[str]) -> None:
        """Remove the outdated arrays that hold any of these cases."""
        wanted = set(case_ids)
        for head in list(self._stale.values()):
            if any(origin.case_id in wanted for origin in head.origins):
                self._drop(head)

    def drop_remaining(self) -> None:
        """Remove the stale arrays that nothing replaced (their raw case is refused or skipped)."""
        for head in list(self._stale.values()):
            self._drop(head)

    def _drop(self, head: Fragment) -> None:
        """The fragment first: an array without one does not exist."""
        self._still_ours()
        self._store.delete(head.file)
        self._store.sync(head.file)
        if head.array_path is not None:
            self._store.remove(head.array_path)
            self._array_paths.discard(head.array_path)
        del self._stale[head.file]

    def _group_path(self, first: Waiting) -> str:
        height, width = first.case.image.shape[1:3]
        if first.home is not None and first.home not in self._reserved:
            former = group_number(first.home)
            if former is not None and former[:2] == (height, width):
                return first.home
        taken = [group_number(path) for path in self._array_paths | self._reserved]
        numbers = [n[2] for n in taken if n is not None and n[:2] == (height, width)]
        return group_path(self._dataset, height, width, max(numbers, default=-1) + 1)
