"""A worker that shows no sign of life ends itself, so that its unit can be tried elsewhere.

The timer is faulthandler's: it runs without the interpreter's lock, so it also ends a worker that
hangs inside compiled code, and writes where every thread was.
"""

from __future__ import annotations

import faulthandler
import os
import time
from pathlib import Path
from typing import IO

EVERY_S = 1.0
"""A timer is wound up at most that often: winding costs a thread's start."""


class Watchdog:
    """Ends the process `patience_s` seconds after the last sign of life.

    Args:
        folder: where a file `stalled-PID.txt` tells, after the end, where every thread was.
    """

    def __init__(self, patience_s: float, folder: Path) -> None:
        self._patience_s = patience_s
        self._path = folder / _name(os.getpid())
        self._file: IO[str] | None = None
        self._wound = float("-inf")

    def beat(self) -> None:
        """A sign of life; begins the watch where there is none."""
        now = time.monotonic()
        if now - self._wound < min(EVERY_S, self._patience_s / 10):
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("w")
        faulthandler.dump_traceback_later(self._patience_s, exit=True, file=self._file)
        self._wound = now

    def rest(self) -> None:
        """Nothing is expected until the next sign of life."""
        faulthandler.cancel_dump_traceback_later()
        self._wound = float("-inf")
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)

    def ended(self, worker: str) -> bool:
        """Whether the worker (`host:pid`) was ended by its watchdog: it has left a tale."""
        try:
            return self._path.with_name(_name(worker.rpartition(":")[2])).stat().st_size > 0
        except OSError:
            return False


def _name(pid: int | str) -> str:
    return f"stalled-{pid}.txt"
