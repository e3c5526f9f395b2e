"""What an entry of the table of bad input is: a way to spoil a good case, and what must happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from raw_makers import recipe

from engine.collection.recipe import Recipe

GOOD = "a_good"
"""The whole case beside every bad one; its name comes first, so it is read first."""

Pixels = NDArray[np.generic]
Truth = Mapping[str, NDArray[np.bool_]]
"""structure/instance -> bool[slice, y, x]."""


@dataclass(frozen=True)
class Kit:
    """A data set of one layout: its recipe, and how to write a whole case of it.

    Attributes:
        series: of the recipe.
        write: writes the case of a name into a raw folder.
        image: [slice, y, x] or [slice, y, x, 3] as stored.
        truth: the objects of every case.
        stored_as: suffix of the stored cases (frames of a 4-D file).
    """

    series: Mapping[str, Any]
    write: Callable[[Path, str], object]
    image: Pixels
    truth: Truth
    stored_as: tuple[str, ...] = ("",)

    @property
    def recipe(self) -> Recipe:
        return recipe(dict(self.series))

    def path(self, case: str, *, label: bool = False) -> str:
        """Of the image, or of the (first) label, in the raw folder."""
        source = self.series["labels"][0]["file"] if label else self.series["images"]
        return str(source).replace("{case}", case)


def changed(kit: Kit, label: Mapping[str, Any] | None = None, **fields: Any) -> Kit:
    """A kit whose recipe says something else."""
    first, *others = kit.series["labels"]
    labels = [{**first, **(label or {})}, *others]
    return replace(kit, series={**kit.series, "labels": labels, **fields})


@dataclass(frozen=True)
class Site:
    """Where a case is spoiled.

    Attributes:
        raw: the raw folder.
        outside: a folder beside it that nobody may touch; `secret.*` in it are whole files.
        kit, case: what was written.
    """

    raw: Path
    outside: Path
    kit: Kit
    case: str

    @property
    def image(self) -> Path:
        return self.raw / self.kit.path(self.case)

    @property
    def label(self) -> Path:
        return self.raw / self.kit.path(self.case, label=True)


@dataclass(frozen=True)
class Refused:
    """A row in `exclusions` with this code, exit code 1; `says` stands in its text."""

    code: str
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A row in `exclusions` with this code, by rule: exit code 0."""

    code: str


@dataclass(frozen=True)
class Accepted:
    """Stored with exactly these objects and pixels; None: those of a case that nobody spoiled.

    `ANY_PIXELS` where an encoder decides them.
    """

    truth: Truth | None = None
    image: Pixels | None = None


ANY_PIXELS = np.zeros(0)


@dataclass(frozen=True)
class PassedOver:
    """No case: as if the file were not there."""


@dataclass(frozen=True)
class Stops:
    """The command ends before anything is written: a UserError with these words, exit code 2."""

    says: tuple[str, ...]


Outcome = Refused | LeftOut | Accepted | PassedOver | Stops


@dataclass(frozen=True)
class Entry:
    """One bad input.

    Attributes:
        name, group: for the table.
        what: the input, in words.
        seen: what a person reads or does, one sentence.
        spoil: turns whole files into bad ones.
        cases: names of the cases to write and to look at.
        meddle: happens after the cases were found and before the bad ones are read.
        recipe: instead of the kit's; given the site, so that it can be a file.
        most_bytes: limit of a decoded file; tests have no room for the real one.
        alone: without a good case beside it.
        not_as_root: an administrator would see something else.
        dataset: its name, where the entry's recipe gives another.
        out: where the collection goes, if not beside the raw folder.
        notice: words among the notices of the ingest.
        refused_as: name of the refused case, where it is not that of the first.
        stored: names of stored cases, where they are not those of `cases`.
    """

    name: str
    group: str
    what: str
    outcome: Outcome
    seen: str
    kit: Kit
    spoil: Callable[[Site], object]
    cases: tuple[str, ...] = ("bad",)
    meddle: Callable[[Site], object] | None = None
    recipe: Callable[[Site], object] | None = None
    most_bytes: int | None = None
    alone: bool = False
    not_as_root: bool = False
    dataset: str = "made_up"
    out: Callable[[Site], Path] | None = None
    notice: str | None = None
    refused_as: str | None = None
    stored: tuple[str, ...] = ()


ENTRIES: list[Entry] = []

Spoiler = Callable[[Site], object]


def bad(
    group: str, what: str, kit: Kit, outcome: Outcome, seen: str, **more: Any
) -> Callable[[Spoiler], Spoiler]:
    """Register the decorated function as the spoiler of an entry of the same name."""

    def register(spoil: Spoiler) -> Spoiler:
        name = spoil.__name__.strip("_")
        ENTRIES.append(Entry(name, group, what, outcome, seen, kit, spoil, **more))
        return spoil

    return register


def nothing(_site: Site) -> None:
    """The case is bad as the kit writes it, or by its name."""


def squares(masks: Mapping[str, Sequence[int]], shape: tuple[int, ...]) -> dict[str, Any]:
    """structure/instance -> bool[slice, y, x] from (top, bottom, left, right) on every slice."""
    out = {}
    for name, (top, bottom, left, right) in masks.items():
        out[name] = np.zeros(shape, np.bool_)
        out[name][:, top:bottom, left:right] = True
    return out
