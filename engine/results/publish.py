"""A new database becomes visible as a whole, under a new name, and old ones go."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from engine.files import claim, sync_folder

POINTER = "results.duckdb"
KEEP = 2

_NUMBERED = re.compile(r"results-(\d+)\.duckdb")


def publish(temporary: Path, out_dir: Path) -> Path:
    """Name a finished database `results-<n>.duckdb` and switch `results.duckdb` to it.

    Readers see either the old or the new file; one that has the old file open keeps it.
    """
    number = max(_numbers(out_dir), default=0) + 1
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    while True:
        target = out_dir / f"results-{number}.duckdb"
        if not target.exists() and claim(temporary, target):
            break
        number += 1
    switch(out_dir, target.name)
    _remove_old(out_dir)
    return target


def _numbers(out_dir: Path) -> list[int]:
    matches = (_NUMBERED.fullmatch(path.name) for path in out_dir.iterdir())
    return sorted(int(match[1]) for match in matches if match)


def switch(out_dir: Path, name: str) -> None:
    """Let `results.duckdb` name a database of its folder."""
    link = out_dir / f".{secrets.token_hex(8)}.link"
    link.symlink_to(name)
    link.replace(out_dir / POINTER)
    sync_folder(out_dir)


def _remove_old(out_dir: Path) -> None:
    current = (out_dir / POINTER).resolve().name
    for number in _numbers(out_dir)[:-KEEP]:
        path = out_dir / f"results-{number}.duckdb"
        if path.name != current:
            path.unlink(missing_ok=True)
