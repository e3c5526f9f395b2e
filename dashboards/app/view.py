"""What a URL says: the filters all pages share, and the case that is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlencode

FILTERS = ("model", "strategy", "selection", "dataset", "modality", "structure")
"""Names of the filters, in the URL, in the database and on the screen."""

OF_OBJECTS = ("dataset", "modality", "structure")
"""Filters that choose objects; the others choose what is said about them."""

PICK = ("object", "of_model", "of_strategy", "of_selection", "lo", "hi", "trial", "step")
"""Names in the URL that say which trial the page Cases shows."""

Filters = tuple[tuple[str, tuple[str, ...]], ...]
"""(name, values that stay) of some filters."""

LONGEST = 200
"""Characters of a value, and values of a filter, that are read from a URL."""


@dataclass(frozen=True)
class Pick:
    """One trial and the selection whose mask is shown."""

    object_id: str
    model: str
    strategy: str
    selection: str
    lo: int = 0
    hi: int = 0
    trial: int = 0
    step: int | None = None

    def query(self) -> dict[str, str]:
        """As the names of a URL."""
        values = (self.object_id, self.model, self.strategy, self.selection, self.lo, self.hi,
                  self.trial, self.step)  # fmt: skip
        return {n: str(v) for n, v in zip(PICK, values, strict=True) if v is not None}


@dataclass(frozen=True)
class View:
    """Filters of a page: per name the values that stay; none: all of them."""

    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pick: Pick | None = None

    @classmethod
    def of(cls, search: str | None) -> View:
        """From the query string of a URL; what it does not know it leaves out."""
        given = parse_qs((search or "").removeprefix("?"))
        kept = {n: tuple(v[:5000] for v in given[n][:LONGEST]) for n in FILTERS if n in given}
        return cls(kept, _pick({n: values[0] for n, values in given.items()}))

    def values(self, name: str) -> tuple[str, ...]:
        """What a filter lets through; empty: everything."""
        return self.filters.get(name, ())

    def narrowed(self, **values: str) -> View:
        """With one value for each of these filters."""
        return replace(self, filters={**self.filters, **{n: (v,) for n, v in values.items()}})

    def keeps(self, row: Mapping[str, object], names: Sequence[str] = FILTERS) -> bool:
        """Whether a row passes the filters whose columns it has."""
        return all(
            not self.values(name) or name not in row or row[name] in self.values(name)
            for name in names
        )

    @property
    def objects(self) -> Filters:
        """The filters that choose objects, as a key."""
        return tuple((name, self.values(name)) for name in OF_OBJECTS if self.values(name))

    @property
    def picks(self) -> Filters:
        """The other filters: what is said about the objects; as a key."""
        others = (name for name in FILTERS if name not in OF_OBJECTS)
        return tuple((name, self.values(name)) for name in others if self.values(name))

    def of_all_objects(self) -> View:
        """The same without filters on objects, for what is counted over the whole run."""
        kept = {name: values for name, values in self.filters.items() if name not in OF_OBJECTS}
        return View(kept)

    def search(self) -> str:
        """The query string that says this."""
        pairs = [(name, value) for name in FILTERS for value in self.values(name)]
        pairs += list((self.pick.query() if self.pick else {}).items())
        return f"?{urlencode(pairs)}" if pairs else ""


def _pick(given: Mapping[str, str]) -> Pick | None:
    if not all(given.get(name) for name in PICK[:4]):
        return None
    words = [given[name] for name in PICK[:4]]
    numbers = [_whole(given.get(name)) for name in PICK[4:7]]
    step = _whole(given["step"]) if "step" in given else None
    return Pick(words[0], words[1], words[2], words[3], numbers[0], numbers[1], numbers[2], step)


def _whole(text: str | None) -> int:
    """A small whole number; 0 for what is none."""
    return int(text) if text and text.isdecimal() and len(text) < 9 else 0
