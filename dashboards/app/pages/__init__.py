"""The pages, in the order of the navigation: one file each, one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.app.pages import (
    cases,
    compare,
    coverage,
    efficiency,
    everything,
    factors,
    oracle_gap,
    overview,
    randomness,
    run,
    sql,
    structures,
)
from dashboards.app.parts import Body
from dashboards.app.state import State
from dashboards.app.view import View


@dataclass(frozen=True)
class Page:
    """A page of the dashboard.

    Attributes:
        path: of its URL.
        title: in the navigation.
        body: what it shows of a view.
        kept: whether that depends on the results alone, and is made once for them.
    """

    path: str
    title: str
    body: Callable[[State, View], Body]
    kept: bool = True


PAGES = (
    Page("/", "Overview", overview.body),
    Page("/structures", "Structures", structures.body),
    Page("/randomness", "Randomness", randomness.body),
    Page("/oracle-gap", "Oracle gap", oracle_gap.body),
    Page("/factors", "Factors", factors.body),
    Page("/everything", "Everything", everything.body),
    Page("/efficiency", "Efficiency", efficiency.body),
    Page("/coverage", "Coverage", coverage.body),
    Page("/compare", "Compare", compare.body),
    Page("/cases", "Cases", cases.body),
    Page("/run", "Run", run.body, kept=False),
    Page("/sql", "SQL", sql.body),
)

__all__ = ["PAGES", "Page"]
