"""What an ingest says while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
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


def notices(
    *,
    rebuilt: int,
    absent: Sequence[str],
    unmet: Sequence[str],
    leaving: Sequence[str],
) -> tuple[str, ...]:
    """What a person should know, one sentence each.

    Args:
        rebuilt: number of raw cases made anew.
        absent: stored cases whose raw files are gone; they are kept.
        unmet: cases the recipe skips that are not in the raw folder.
        leaving: cases whose files are gone and whose group was made anew.
    """
    said = []
    if rebuilt:
        said.append(f"{rebuilt} stored case(s) were made anew: their files or the recipe changed")
    if absent:
        said.append(
            f"{len(absent)} stored case(s) are not in the raw folder now and are kept: "
            f"{_some(absent)}"
        )
    if unmet:
        said.append(not_skipped(unmet))
    if leaving:
        said.append(left_with_group(leaving))
    return tuple(said)


def not_skipped(names: Sequence[str]) -> str:
    """Entries of `skip` that name no case: misspelt, or of files that are not there."""
    return f"the recipe skips {len(names)} case(s) that are not in the raw folder: {_some(names)}"


def left_with_group(names: Sequence[str]) -> str:
    """Said before it happens too: a killed ingest would not come to its end."""
    return (
        f"{len(names)} case(s) left with a group that was made anew, because their files are not "
        f"in the raw folder now: {_some(names)}"
    )


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
