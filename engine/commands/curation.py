"""`samscope curation`: a page that shows what was collected and whether the labels fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dashboards.curation import build
from engine.collection.curation import CurationReport, Effort, survey
from engine.commands.say import count, out, problem
from engine.errors import UserError, system_words
from engine.files import replace_file
from engine.stores import Place


def curation_command(
    collection: Place,
    folder: Path | None = None,
    effort: Effort = "fast",
    workers: int | None = None,
) -> int:
    """Write `report.html` and `report.json` of a collection; returns the exit code.

    Args:
        folder: where to write; None: `<name>-curation` beside the collection, for an
            address in the working folder.
    """
    folder = folder or beside(collection)
    if folder.exists() and not folder.is_dir():
        raise UserError(
            "the report cannot be written there",
            where=str(folder),
            got="a file",
            expected="a new folder or an existing one",
            remedy="give another --out",
        )
    with _bar() as advance:
        report, frame = survey(collection, effort=effort, workers=workers, on_progress=advance)
    page = build(report, frame, collection)
    numbers = json.dumps(report.numbers(), indent=1, ensure_ascii=False, allow_nan=False)
    try:
        replace_file(folder / "report.json", numbers.encode())
        replace_file(folder / "report.html", page.html.encode())
    except OSError as error:
        raise UserError(
            "cannot write the report",
            where=str(error.filename or folder),
            got=system_words(error),
            expected="a folder that can be written, with room on its disk",
            remedy="give another --out",
        ) from error
    for text in _problems(report):
        problem(text)
    out(str(folder / "report.html"))
    return 0


def beside(collection: Place) -> Path:
    """Folder of the report: `a/b.zarr` -> `a/b-curation`; of an address, in the working folder."""
    name = f"{collection.resolve().name.removesuffix('.zarr')}-curation"
    return collection.resolve().with_name(name) if isinstance(collection, Path) else Path(name)


def _problems(report: CurationReport) -> Iterator[str]:
    """The findings in one line each."""
    for path, message in report.unreadable:
        yield f"cannot be read: {path}: {message}"
    for row in report.duplicates.between if report.duplicates else ():
        if row.relation == "same_subject":
            continue
        where = f"{row.dataset} and {row.other}" if row.dataset != row.other else row.dataset
        yield f"near duplicates: {count(row.case_pairs, 'pair')} of cases in {where}"
    for rule in report.rules:
        if rule.found:
            yield f"{rule.title.lower()}: {rule.found:,} to look at"


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn("examining"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("slices"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
