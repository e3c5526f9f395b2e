"""Raw cases in their turn: decided at once, or read by a worker, small ones together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.collection.pool import Job
from engine.collection.report import Outcome
from engine.collection.source import RawCase

What = tuple[Outcome, str]
Bundled = tuple[RawCase, ...]


@dataclass(frozen=True)
class Decided:
    """A raw case that need not be read, and what becomes of it."""

    raw: RawCase
    what: What


@dataclass(frozen=True)
class Working:
    """Raw cases a worker has in hand."""

    raws: Bundled
    job: Job


def steps(
    raws: Sequence[RawCase],
    decide: Callable[[RawCase, bool], What | None],
    size: Callable[[RawCase], int],
    most_bytes: int,
    most_cases: int,
) -> Iterator[Decided | Bundled]:
    """All raw cases in their order; those to be read in bundles.

    Args:
        decide: (raw case, whether its name came before) -> what becomes of it; None: read it.
        size: bytes of a raw case's files.
        most_bytes, most_cases: a bundle is closed when it has as many.
    """
    seen: set[str] = set()
    bundle: list[RawCase] = []
    weight = 0
    for raw in raws:
        what = decide(raw, raw.case in seen)
        seen.add(raw.case)
        if what is None:
            bundle.append(raw)
            weight += size(raw)
        full = weight >= most_bytes or len(bundle) >= most_cases
        if bundle and (full or what is not None):
            yield tuple(bundle)
            bundle, weight = [], 0
        if what is not None:
            yield Decided(raw, what)
    if bundle:
        yield tuple(bundle)
