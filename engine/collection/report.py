"""What an ingest says while it runs and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["stored", "rebuilt", "unchanged", "refused", "excluded"]


@dataclass(frozen=True)
class IngestEvent:
    """One raw case was dealt with; `done` of `total`, `slices` stored so far."""

    done: int
    total: int
    case: str
    outcome: Outcome
    detail: str = ""
    slices: int = 0


@dataclass(frozen=True)
class IngestReport:
    """Counts of one ingest.

    Attributes:
        stored: raw cases stored by this run, `rebuilt` among them.
        rebuilt: raw cases made anew because their files or the recipe changed.
        unchanged: raw cases that were there already.
        refused: raw cases with an error to repair; they are tried again next time.
        excluded: raw cases left out by rule (skipped by the recipe, nothing labelled).
        slices, objects: stored by this run.
        notices: what a person should know, one sentence each.
    """

    dataset: str
    stored: int
    rebuilt: int
    unchanged: int
    refused: int
    excluded: int
    slices: int
    objects: int
    notices: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 when a case was refused."""
        return 1 if self.refused else 0
