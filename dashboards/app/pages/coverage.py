"""Coverage: what is measured, and what is missing and why."""

from __future__ import annotations

from dash import html

from dashboards.app.parts import Body, figure, table
from dashboards.app.state import State
from dashboards.app.view import OF_OBJECTS, View

_WHOLE = (
    "Coverage and failures are of the whole run: filters on data sets, modalities and structures "
    "do not apply to them."
)


def body(state: State, view: View) -> Body:
    """Shares of trials, failures, exclusions."""
    found: Body = []
    if any(view.values(name) for name in OF_OBJECTS):
        found = [html.P(_WHOLE, className="note")]
    found += figure("coverage", state.data, view)
    for name, title, words in (
        ("failures", "Failures", "Nothing failed."),
        ("failure_modes", "How masks fail", "Nothing was scored."),
        ("exclusions", "Left out of the collection or the study", "Nothing was left out."),
    ):
        answer = state.data.answer(name, view)
        shown = table(name, answer.num_rows) if answer.num_rows else html.P(words, className="note")
        found += [html.H2(title), shown]
    return found
