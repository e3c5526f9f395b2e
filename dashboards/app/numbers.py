"""The rows behind a figure, for the table that is unfolded below it."""

from __future__ import annotations

import pyarrow as pa

from dashboards.app.runs_compared import compare_runs
from dashboards.app.state import State
from dashboards.app.view import View
from dashboards.figures.rows import unique
from engine.errors import UserError

TWO_RUNS = "two_runs"
"""Name of the answer that is made of two databases."""


def numbers_of(state: State, question: str, part: str, view: View) -> pa.Table:
    """The answer to a question, or of its pairs of models the one with this number.

    Raises:
        UserError: there is no such question or pair.
    """
    if question == TWO_RUNS and state.other is not None:
        return compare_runs(state.data, state.other, view)
    answer = state.data.answer(question, view)
    if not part:
        return answer
    pairs = pairs_of(state.data.answer("paired", view))  # in the order of the page
    if not part.isdecimal() or int(part) >= len(pairs):
        raise UserError("no such pair of models", got=part)
    return of_pair(answer, pairs[int(part)])


def pairs_of(answer: pa.Table) -> list[tuple[str, str]]:
    """(baseline, model) of an answer about two models, in its order."""
    return unique(zip(answer["baseline"].to_pylist(), answer["model"].to_pylist(), strict=True))


def of_pair(answer: pa.Table, pair: tuple[str, str]) -> pa.Table:
    """The rows of one pair."""
    both = zip(answer["baseline"].to_pylist(), answer["model"].to_pylist(), strict=True)
    return answer.filter(pa.array([one == pair for one in both], pa.bool_()))
