"""A process that ingests a folder and kills itself at the n-th fsync; run by test_ingest_killed.

Usage: killed_ingest.py RAW OUT N CONTENT
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from stored_makers import NpzFolder, info

from engine.collection.ingest import ingest_source


def main(raw: str, out: str, fatal: int, content: str) -> None:
    calls = 0
    real = os.fsync

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        real(handle)

    os.fsync = fsync
    ingest_source(NpzFolder(Path(raw), info(content=content)), out, unit_slices=4)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
