"""All families by name, and raw files of many subjects, written by several processes."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from engine.collection.phantoms.base import Family, subject_generator, subject_name
from engine.errors import UserError
from engine.registry import Registry

FAMILIES: Registry[Family] = Registry(
    "phantom family",
    {
        name: f"engine.collection.phantoms.{module}:FAMILY"
        for name, module in {
            "abdomen_ct": "trunk.abdomen_ct",
            "abdomen_mr": "trunk.abdomen_mr",
            "brain": "mr.brain",
            "heart": "mr.heart",
            "ultrasound": "beams.ultrasound",
            "xray": "beams.xray",
            "fundus": "optical.eye",
            "dermoscopy": "optical.skin",
            "colonoscopy": "optical.colon",
            "histopathology": "optical.tissue",
            "electron": "optical.electron",
            "fluorescence": "optical.cell",
        }.items()
    },
)


@dataclass(frozen=True)
class Order:
    """One subject to write."""

    family: str
    subject: str
    seed: int
    folder: Path


def orders(
    raw_dir: Path,
    split: str,
    subjects: Mapping[str, int] | int,
    families: Sequence[str] | None = None,
    seed: int = 0,
    first: int = 0,
) -> list[Order]:
    """Subjects `first`, `first + 1`, ... of every family.

    Args:
        subjects: per family, by name or the same for all.

    Raises:
        UserError: a split that cannot be part of a file's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", split):
        raise UserError(
            "a split is part of every file's name",
            where="split",
            got=split,
            expected="letters, digits, dots and dashes; a letter or digit first",
        )
    return [
        Order(name, subject_name(split, number), seed, raw_dir / name)
        for name in (sorted(FAMILIES) if families is None else families)
        for number in range(
            first, first + (subjects if isinstance(subjects, int) else subjects.get(name, 0))
        )
    ]


def write_subject(order: Order) -> Order:
    """Draw one subject and write its raw files; the same bytes whenever it is asked for."""
    family = FAMILIES.get(order.family)
    shots = family.draw(subject_generator(order.family, order.subject, order.seed))
    family.write(order.folder, order.subject, shots)
    return order


def remove_subjects(wanted: Sequence[Order]) -> None:
    """Remove all raw files of these subjects.

    Another seed or version draws other structures under the same name, and a mask left behind
    would be read as one of the new picture's.
    """
    subjects: dict[Path, set[str]] = {}
    for order in wanted:
        subjects.setdefault(order.folder, set()).add(order.subject)
    for folder, names in subjects.items():
        for parent, folders, files in os.walk(folder):
            for name in names.intersection(folders):
                shutil.rmtree(Path(parent, name))
                folders.remove(name)
            for file in files:
                if Path(file).stem.rpartition("_")[0] in names:
                    Path(parent, file).unlink()


def write_subjects(wanted: Sequence[Order], workers: int = 1) -> Iterator[Order]:
    """Write them all, in place of what their folders hold of these subjects.

    Yields:
        Each when its files are there, in no fixed order.

    Args:
        workers: processes.
    """
    remove_subjects(wanted)
    if workers <= 1 or len(wanted) < 2:
        yield from map(write_subject, wanted)
        return
    # Forked children would inherit the threads of whatever the caller has started.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(write_subject, wanted, chunksize=4)
