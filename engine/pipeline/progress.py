"""Progress of a run: a bar in a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
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

log = logging.getLogger(__name__)

_LINE_EVERY_S = 10.0


def track(
    receipts: Iterable[Mapping[str, Any]], *, units: int, slices: int, console: Console
) -> Iterator[Mapping[str, Any]]:
    """Pass receipts through and show units, slices/s, trials, failures and remaining time."""
    if console.is_terminal:
        yield from _bar(receipts, slices, console)
    else:
        yield from _lines(receipts, units, slices)


def _bar(
    receipts: Iterable[Mapping[str, Any]], slices: int, console: Console
) -> Iterator[Mapping[str, Any]]:
    columns = (
        SpinnerColumn(),
        TextColumn("evaluating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("slices, {task.fields[rate]}, {task.fields[trials]:,} trials"),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=slices, rate="starting", trials=0, failed=0)
        tally = _Tally()
        for receipt in receipts:
            tally.add(receipt)
            progress.update(
                bar,
                advance=receipt["slices"],
                rate=f"{tally.rate:.2f} slices/s",
                trials=tally.done,
                failed=tally.failed,
            )
            yield receipt


def _lines(
    receipts: Iterable[Mapping[str, Any]], units: int, slices: int
) -> Iterator[Mapping[str, Any]]:
    tally = _Tally()
    last = 0.0
    for receipt in receipts:
        tally.add(receipt)
        if tally.units == units or time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            log.info(
                "%d of %d units, %d of %d slices, %.2f slices/s, %d trials, %d failed, %.0f s left",
                tally.units, units, tally.slices, slices, tally.rate,
                tally.done, tally.failed, (slices - tally.slices) / tally.rate,
            )  # fmt: skip
        yield receipt


class _Tally:
    """Running sums; the rate counts from the first moment, start-up included."""

    def __init__(self) -> None:
        self.units = self.slices = self.done = self.failed = 0
        self._started = time.monotonic()

    def add(self, receipt: Mapping[str, Any]) -> None:
        self.units += 1
        self.slices += receipt["slices"]
        self.done += receipt["done"]
        self.failed += receipt["failed"]

    @property
    def rate(self) -> float:
        """Slices per second so far."""
        return self.slices / max(time.monotonic() - self._started, 1e-9)
