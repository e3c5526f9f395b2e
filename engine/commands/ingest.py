"""`samscope ingest` and `samscope validate`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.collection.ingest import ingest_source
from engine.collection.pool import Here, Pool
from engine.collection.raw_folder import raw_folder_of
from engine.collection.report import IngestEvent, IngestReport, not_skipped
from engine.collection.source import CaseSource, RecipeSource
from engine.collection.units import UNIT_SLICES
from engine.commands.say import count, out, problem
from engine.stores import Place
from engine.study import Runtime

log = logging.getLogger(__name__)

SMALL_BYTES = 256 * 2**20
"""Raw files up to this are read in this process: starting Ray takes longer."""

_LINE_EVERY_S = 10.0


def ingest_command(
    recipe: str,
    raw_dir: Place,
    collection: Place,
    unit_slices: int | None = None,
    *,
    workers: int | None = None,
    address: str | None = None,
) -> int:
    """Ingest with a progress bar; returns the exit code (1: a case was refused).

    Args:
        workers: 1: this process; more: Ray tasks; None: as the size of the raw files asks for.
        address: of a running Ray; None: a local one where one is needed.
    """
    source = RecipeSource(recipe, raw_folder_of(raw_dir))
    with _pool(source, workers, address) as pool, _progress() as progress:
        report = ingest_source(
            source,
            collection,
            unit_slices=UNIT_SLICES if unit_slices is None else unit_slices,
            pool=pool,
            on_progress=progress.update,
        )
    for notice in report.notices:
        problem(notice)
    out(_summary(report, collection))
    return report.exit_code


@contextmanager
def _pool(source: CaseSource, workers: int | None, address: str | None) -> Iterator[Pool]:
    if address is None and (workers == 1 or (workers is None and _is_small(source))):
        yield Here()
        return
    from engine.pipeline.pool import ray_pool

    with ray_pool(Runtime(address=address), workers) as pool:
        yield pool


def _is_small(source: CaseSource) -> bool:
    total = 0
    for raw in source.cases():
        total += source.size(raw)
        if total > SMALL_BYTES:
            return False
    return True


def validate_command(recipe: str, raw_dir: Place) -> int:
    """Read every case of a recipe; returns 1 when one would be refused."""
    from engine.collection.layouts import undecided
    from engine.collection.raw import open_recipe, text_of, validate

    opened = open_recipe(recipe)
    cases = refused = 0
    unmet = set(opened.skip)
    for check in validate(opened, raw_folder_of(raw_dir)):
        cases += 1
        unmet.discard(check.raw_case)
        if check.status == "ok":
            out(f"ok       {check.case}: {check.detail}")
        elif check.status == "excluded":
            out(f"left out {check.case}: {check.detail}")
        else:
            refused += 1
            problem(f"refused  {check.case}: {check.detail}")
    out(f"{opened.dataset}: {count(cases, 'case')}, {refused} would be refused")
    if unmet:
        problem(not_skipped(sorted(unmet)))
    for decision in undecided(text_of(recipe)):
        problem(f"still to decide in the recipe: {decision}")
    return 1 if refused else 0


def _summary(report: IngestReport, collection: Place) -> str:
    parts = [
        f"{report.dataset}: {count(report.stored, 'raw case')} stored",
        f"{report.unchanged} unchanged",
        f"{report.excluded} left out by rule",
        f"{report.refused} refused",
        f"{count(report.slices, 'slice')} and {count(report.objects, 'object')} added",
    ]
    return ", ".join(parts) + f" -> {collection}"


class _Shows(Protocol):
    def update(self, event: IngestEvent) -> None: ...


@contextmanager
def _progress() -> Iterator[_Shows]:
    """A bar in a terminal, a line now and then in a log."""
    console = Console(stderr=True)
    columns = (
        TextColumn("ingesting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cases, {task.fields[rate]}, {task.fields[refused]} refused"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[case]}"),
    )
    bar = Progress(*columns, console=console, transient=True) if console.is_terminal else None
    with bar or nullcontext():
        yield _Shown(bar)


class _Shown:
    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._start = self._last = time.monotonic()
        self._refused = 0
        self._task = (
            None
            if bar is None
            else bar.add_task("", total=None, case="", rate="starting", refused=0)
        )

    def update(self, event: IngestEvent) -> None:
        """Show where the ingest is; say at once what was refused."""
        if event.outcome == "refused":
            self._refused += 1
            problem(f"refused {event.case}: {event.detail}")
        now = time.monotonic()
        rate = f"{event.slices / max(now - self._start, 1e-9):.1f} slices/s"
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                completed=event.done,
                total=event.total,
                case=event.case,
                rate=rate,
                refused=self._refused,
            )
        elif now - self._last >= _LINE_EVERY_S:
            self._last = now
            log.info(
                "%d of %d cases, %d slices at %s, %d refused",
                event.done,
                event.total,
                event.slices,
                rate,
                self._refused,
            )
