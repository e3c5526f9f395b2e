"""Folders whose reading ends its worker.

Apart from the tests: a worker that begins anew imports where they come from, and no more.
"""

from __future__ import annotations

import os
import signal

from stored_makers import Npz, NpzFolder

from engine.collection.case import CuratedCase


class Deadly(NpzFolder):
    """A folder with a file whose library takes the process down with it."""

    def read(self, raw: Npz) -> list[CuratedCase]:  # type: ignore[override]
        if raw.case == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(raw)


class Unlucky(NpzFolder):
    """A folder whose reading kills its worker once: a preempted node, not a damaged file."""

    def read(self, raw: Npz) -> list[CuratedCase]:  # type: ignore[override]
        mark = self._folder / "died"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(raw)
