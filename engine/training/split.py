"""Subjects into training, validation and test: by a hash of the subject, so data may grow."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from engine.errors import UserError
from engine.training.config import Data
from engine.training.samples import Member, Population

_NAMED = 3
"""Subjects an error names."""


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of subjects; slices follow their subject."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def members(self, population: Population, part: str) -> tuple[Member, ...]:
        """Slices of `train`, `validation` or `test`."""
        subjects = set(getattr(self, part))
        return tuple(m for m in population.members if m.subject_id in subjects)


def split_subjects(population: Population, data: Data) -> Split:
    """Order each dataset's subjects by a seeded hash; the first shares are kept from training.

    Every dataset gives its share, at least one subject to every part that is wanted, so no
    dataset is missing from validation. A dataset with too few subjects for that is refused.
    The order of subjects never changes when others are added, nor does another dataset's split;
    the shares are exact, so their borders move as a dataset grows.

    Raises:
        UserError: a dataset has too few subjects to keep cases of one subject together.
    """
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    by_dataset: dict[str, set[str]] = {}
    for member in population.members:
        by_dataset.setdefault(member.dataset, set()).add(member.subject_id)
    for dataset, subjects in sorted(by_dataset.items()):
        order = sorted(subjects, key=lambda subject: _draw(data.split_seed, subject))
        n_test = _share(len(order), data.test)
        n_held = n_test + _share(len(order), data.validation)
        if n_held >= len(order):
            raise UserError(
                f"dataset '{dataset}' has too few subjects to split",
                where="data",
                got=f"{len(order)} subject(s); test and validation would take {n_held}",
                expected="at least one subject each for training, validation and test, because "
                "cases of one subject must not be on two sides",
                remedy="leave the dataset out, or lower data.test and data.validation",
            )
        parts["test"] += order[:n_test]
        parts["validation"] += order[n_test:n_held]
        parts["train"] += order[n_held:]
    return Split(*(tuple(sorted(parts[name])) for name in ("train", "validation", "test")))


def refuse_seen(split: Split, seen: Collection[str]) -> None:
    """Refuse to judge weights on subjects they were trained on before.

    Raises:
        UserError: a subject of validation or test is among `seen`.
    """
    known = sorted({*split.validation, *split.test}.intersection(seen))
    if known:
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        raise UserError(
            "the first weights have seen subjects that this split keeps for validation or test",
            where="data",
            got=", ".join(known[:_NAMED]) + more,
            expected="validation and test subjects that no training of these weights has seen",
            remedy="use the split_seed, validation and test of that training, or other subjects",
        )


def _share(n: int, share: float) -> int:
    return max(1, round(n * share)) if share else 0


def _draw(seed: int, subject: str) -> bytes:
    return hashlib.sha256(f"samscope split|{seed}|{subject}".encode()).digest()
