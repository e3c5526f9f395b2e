"""Running sums over receipts, for a progress line and for `samscope status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Tally:
    """What the units so far came to.

    Attributes:
        done, failed: trials.
        seconds: of evaluators, summed.
    """

    units: int = 0
    slices: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    def add(self, receipt: Mapping[str, Any]) -> None:
        """One more unit is committed."""
        self.units += 1
        self.slices += receipt["slices"]
        self.done += receipt["done"]
        self.failed += receipt["failed"]
        self.seconds += receipt["seconds"]

    @property
    def trials(self) -> int:
        """Trials dealt with."""
        return self.done + self.failed

    def rate(self, elapsed: float) -> float:
        """Slices per second over `elapsed` seconds."""
        return self.slices / max(elapsed, 1e-9)

    def seconds_left(self, trials: int, elapsed: float) -> float:
        """Time for the rest of `trials` at the rate so far.

        It goes by trials: slices differ in their number of objects a hundredfold.
        """
        return elapsed * (trials - self.trials) / max(self.trials, 1)
