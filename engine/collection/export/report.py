"""What an export wrote, and what it had to change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class ExportReport:
    """Counts of one export.

    Attributes:
        folders: one per data set written, each with its `recipe.yaml`.
        notes: sentences about what differs from the collection, with the number of cases.
    """

    folders: list[Path] = field(default_factory=list)
    cases: int = 0
    files: int = 0
    objects: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def note(self, words: str, cases: int = 1) -> None:
        """Remember, for some cases, that something differs."""
        self.notes[words] += cases
