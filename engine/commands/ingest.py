"""`samscope ingest` and `samscope validate`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.collection.ingest import ingest
from engine.collection.report import IngestEvent, IngestReport
from engine.commands.say import count, out, problem

log = logging.getLogger(__name__)


def ingest_command(
    recipe: str, raw_dir: Path, collection: Path, unit_slices: int | None = None
) -> int:
    """Ingest with a progress bar; returns the exit code (1: a case was refused)."""
    options = {} if unit_slices is None else {"unit_slices": unit_slices}
    with _bar() as bar:

        def on_progress(event: IngestEvent) -> None:
            bar.update(bar.task_ids[0], completed=event.done, total=event.total, case=event.case)
            if event.outcome == "refused":
                problem(f"refused {event.case}: {event.detail}")

        report = ingest(recipe, raw_dir, collection, on_progress=on_progress, **options)
    for notice in report.notices:
        problem(notice)
    out(_summary(report, collection))
    return report.exit_code


def validate_command(recipe: str, raw_dir: Path) -> int:
    """Read every case of a recipe; returns 1 when one would be refused."""
    from engine.collection.raw import open_recipe, validate

    opened = open_recipe(recipe)
    cases = refused = 0
    for check in validate(opened, raw_dir):
        cases += 1
        if check.status == "ok":
            out(f"ok       {check.case}: {check.detail}")
        elif check.status == "excluded":
            out(f"left out {check.case}: {check.detail}")
        else:
            refused += 1
            problem(f"refused  {check.case}: {check.detail}")
    out(f"{opened.dataset}: {count(cases, 'case')}, {refused} would be refused")
    return 1 if refused else 0


def _summary(report: IngestReport, collection: Path) -> str:
    parts = [
        f"{report.dataset}: {count(report.stored, 'case')} stored",
        f"{report.unchanged} unchanged",
        f"{report.excluded} left out by rule",
        f"{report.refused} refused",
        f"{count(report.slices, 'slice')} and {count(report.objects, 'object')} added",
    ]
    return ", ".join(parts) + f" -> {collection}"


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (
        TextColumn("ingesting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cases {task.fields[case]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        bar.add_task("", total=None, case="")
        yield bar
