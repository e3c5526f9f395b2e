"""Progress of a run: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from engine.pipeline.tally import Tally
from engine.tasks import Tasks

log = logging.getLogger(__name__)

_LINE_EVERY_S = 10.0
_BEAT_EVERY_S = 30.0


def track(
    receipts: Iterable[Mapping[str, Any]],
    tasks: Tasks,
    console: Console,
    where: Callable[[], str] = str,
) -> Iterator[Mapping[str, Any]]:
    """Pass receipts through and show slices/s, trials, failures and the remaining time.

    The rate counts from the first moment, start-up included.

    Args:
        where: what is at work, in words, for when no unit has ended for a while.
    """
    total = _Total(len(tasks), tasks.n_slices, tasks.n_trials)
    if console.is_terminal:
        yield from _bar(receipts, total, console)
    else:
        yield from _lines(receipts, total, where)


@dataclass(frozen=True)
class _Total:
    units: int
    slices: int
    trials: int


def _bar(
    receipts: Iterable[Mapping[str, Any]], total: _Total, console: Console
) -> Iterator[Mapping[str, Any]]:
    columns = (
        SpinnerColumn(),
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials, {task.fields[slices]}, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=total.trials, slices="starting", failed=0)
        tally, started = Tally(), time.monotonic()
        for receipt in receipts:
            tally.add(receipt)
            rate = tally.rate(time.monotonic() - started)
            progress.update(
                bar,
                completed=tally.trials,
                slices=f"{tally.slices}/{total.slices} slices at {rate:.2f}/s",
                failed=tally.failed,
            )
            yield receipt


def _lines(
    receipts: Iterable[Mapping[str, Any]], total: _Total, where: Callable[[], str]
) -> Iterator[Mapping[str, Any]]:
    with _heartbeat(where) as beat:
        for receipt in _logged(receipts, total):
            beat.set()
            yield receipt


@contextmanager
def _heartbeat(where: Callable[[], str]) -> Iterator[threading.Event]:
    """Say that work goes on, and where, while no unit ends; units can take minutes."""
    beat, ended = threading.Event(), threading.Event()
    started = time.monotonic()

    def tell() -> None:
        while not ended.wait(_BEAT_EVERY_S):
            if not beat.is_set():
                since = time.monotonic() - started
                log.info("still working, %.0f s since the start%s", since, where())
            beat.clear()

    thread = threading.Thread(target=tell, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        ended.set()
        thread.join()


def _logged(receipts: Iterable[Mapping[str, Any]], total: _Total) -> Iterator[Mapping[str, Any]]:
    tally, started = Tally(), time.monotonic()
    last = 0.0
    for receipt in receipts:
        tally.add(receipt)
        if tally.units == total.units or time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            elapsed = last - started
            log.info(
                "%d of %d units, %d of %d slices, %.2f slices/s, %d trials, %d failed, %.0f s left",
                tally.units, total.units, tally.slices, total.slices, tally.rate(elapsed),
                tally.done, tally.failed, tally.seconds_left(total.trials, elapsed),
            )  # fmt: skip
        yield receipt
