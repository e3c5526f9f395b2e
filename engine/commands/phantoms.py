"""`samscope phantoms`, and the phantom collections that demo and training begin with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from engine.collection.phantoms.families import FAMILIES, Order, orders, write_subjects
from engine.commands.ingest import ingest_command
from engine.commands.say import count, out
from engine.errors import UserError, system_words


def phantoms_command(
    folder: Path,
    split: str,
    subjects: int,
    first: int,
    families: Sequence[str] | None,
    seed: int,
    workers: int | None,
    unit_slices: int | None = None,
) -> int:
    """Write `folder/raw/<family>/` and `folder/collection.zarr`; returns ingest's exit code.

    Args:
        first: number of the first subject; more can be added later.
        families: names; None: all.
        workers: processes that draw; None: one per CPU this process may use.
        unit_slices: how many slices the collection keeps in one piece; None: its default.

    Raises:
        UserError: a family nobody knows, or a folder that cannot be written.
    """
    raw, collection = folder / "raw", folder / "collection.zarr"
    names = sorted(FAMILIES) if families is None else list(families)
    datasets = [FAMILIES.get(name).dataset for name in names]
    wanted = orders(raw, split, subjects, names, seed, first)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _draw(wanted, workers or _cpus())
    except OSError as error:
        raise UserError(
            "cannot write the phantoms",
            where=str(error.filename or folder),
            got=system_words(error),
            expected="a folder that can be written, with about 1 MB of room a subject",
            remedy="choose another --out",
        ) from error
    code = 0
    for name, dataset in zip(names, datasets, strict=True):
        code = max(code, ingest_command(dataset, raw / name, collection, unit_slices))
    out(f"{count(len(wanted), 'subject')} in {count(len(names), 'data set')} -> {collection}")
    return code


def _draw(wanted: Sequence[Order], workers: int) -> None:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing subjects", total=len(wanted))
        for _ in write_subjects(wanted, workers):
            bar.advance(task)


def _cpus() -> int:
    """Those this process may use; a container often has fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
