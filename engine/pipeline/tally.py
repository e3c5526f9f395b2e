"""Running sums over receipts, for a progress line and for `samscope status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What the units so far came to.

    Attributes:
        done, failed: trials.
    """

    units: int = 0
    slices: int = 0
    done: int = 0
    failed: int = 0

    def add(self, receipt: Mapping[str, Any]) -> None:
        """One more unit is committed."""
        self.units += 1
        self.slices += receipt["slices"]
        self.done += receipt["done"]
        self.failed += receipt["failed"]

    @property
    def trials(self) -> int:
        """Trials dealt with."""
        return self.done + self.failed

    def rate(self, elapsed: float) -> float:
        """Slices per second over `elapsed` seconds."""
        return self.slices / max(elapsed, 1e-9)


@dataclass
class Pace:
    """How fast units come since the first of them ended: Ray, models and compilers start before it.

    Attributes:
        whole: all units.
        since: those after the first.
        began: when the first one ended, in seconds of any clock.
    """

    whole: Tally = field(default_factory=Tally)
    since: Tally = field(default_factory=Tally)
    began: float | None = None

    def add(self, receipt: Mapping[str, Any], now: float) -> None:
        """One more unit ended at `now`."""
        self.whole.add(receipt)
        if self.began is None:
            self.began = now
        else:
            self.since.add(receipt)

    def rate(self, now: float) -> float | None:
        """Slices per second; None before two units."""
        if self.began is None or not self.since.trials:
            return None
        return self.since.rate(now - self.began)

    def seconds_left(self, trials: int, now: float) -> float | None:
        """Time for the rest of `trials`; None before two units.

        It goes by trials: slices differ in their number of objects a hundredfold.
        """
        if self.began is None or not self.since.trials:
            return None
        return (now - self.began) * (trials - self.whole.trials) / self.since.trials
