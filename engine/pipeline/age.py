"""When a worker has done enough: memory of long-lived model processes tends to grow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

RECYCLED = 0
"""Exit code of a worker that ended itself to make room for a fresh one."""

GROWTH = 1.0
"""A worker may grow by that share of what it held after its first unit ..."""

GROWTH_BYTES = 2 * 2**30
"""... and by at least this."""


@dataclass
class Age:
    """Units a worker has done, and its memory after the first.

    Attributes:
        limit: units after which it is too old; None: it ages by memory alone.
    """

    limit: int | None = None
    units: int = 0
    first_bytes: int | None = None

    def add_unit(self) -> None:
        """One more is done."""
        self.units += 1
        if self.first_bytes is None:
            self.first_bytes = resident_bytes()

    def over(self) -> str | None:
        """Why the worker should start anew before its next unit; None: it should not."""
        if self.limit is not None and self.units >= self.limit:
            return f"{self.units} units done"
        now = resident_bytes()
        if self.first_bytes is None or now is None:
            return None
        if now - self.first_bytes > max(GROWTH_BYTES, GROWTH * self.first_bytes):
            return f"grown from {self.first_bytes >> 20} to {now >> 20} MiB"
        return None


def resident_bytes() -> int | None:
    """Resident memory of this process; None where the system does not say (Linux does)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
