"""Compare: two models on the same prompts, or two runs on the same objects."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from dash import html

from dashboards.app.numbers import TWO_RUNS, numbers_of, of_pair, pairs_of
from dashboards.app.pages.cases import case_table
from dashboards.app.parts import Body, calm, drawn, numbers, table
from dashboards.app.runs_compared import compare_runs
from dashboards.app.state import State
from dashboards.app.view import View
from dashboards.figures import draw, spec_of
from dashboards.figures.rows import unique

MOST_PAIRS = 6
MOST_CHANGED = 100
CHANGED = "paired_objects"
"""The question whose rows lead to cases."""


def body(state: State, view: View) -> Body:
    """Every pair of models that the filters leave, and the other run if there is one."""
    found = _other_run(state, view) if state.other is not None else []
    answer = state.data.answer("paired", view)
    pairs = pairs_of(answer)
    if not pairs and not found:
        return [_nothing(state)]
    for at, (baseline, model) in enumerate(pairs[:MOST_PAIRS]):
        mine = of_pair(answer, (baseline, model))
        found += [
            html.H2(f"{model} minus {baseline}"),
            html.P(spec_of("paired").caption.replace("`", ""), className="caption"),
            *drawn(f"paired-{at}", draw("paired", mine)),
            numbers("paired", str(at)),
            html.H3("Objects that changed most"),
            html.P("Choose a row to see the mask of the second model.", className="caption"),
            table(CHANGED, MOST_CHANGED, str(at)),
        ]  # fmt: skip
    if len(pairs) > MOST_PAIRS:
        found.append(calm(f"{len(pairs) - MOST_PAIRS} further pairs: filter by model."))
    return found


def changed(state: State, part: str, view: View) -> Any:
    """The table of objects that changed most between a pair of models, by its number."""
    objects = numbers_of(state, CHANGED, part, view).to_pylist()
    objects.sort(key=lambda row: -abs(row["gain"]))
    return case_table(f"changed-{part}", objects[:MOST_CHANGED],
                      ("structure", "modality", "strategy", "selection", "dice_baseline",
                       "dice_model", "gain", "object_id"))  # fmt: skip


def _nothing(state: State) -> Any:
    if len(state.data.choices().values["model"]) > 1:
        return calm("These filters leave no two models to compare. Clear one of them above.")
    return calm("One model alone has nothing to compare. A study with two models, or "
                "`samscope dashboard RUN --compare OTHER_RUN`, has.")  # fmt: skip


def _other_run(state: State, view: View) -> Body:
    if state.other is None:
        return []
    answer = compare_runs(state.data, state.other, view)
    words = html.P(
        f"Dice in {state.data.run_dir} minus Dice in {state.other.run_dir}, object by object, with "
        "95 % intervals over subjects; undisplaced prompts. A model is compared with itself, or, "
        "where the runs share none, with every model of the other run.", className="caption",
    )  # fmt: skip
    head = [html.H2("Two runs"), words]
    if not answer.num_rows:
        return [*head, calm("The two runs share no scored object and strategy that passes these "
                            "filters.")]  # fmt: skip
    figures = [
        one
        for at, baseline in enumerate(unique(answer["baseline"].to_pylist()))
        for one in drawn(f"two-runs-{at}", draw("compare_models", answer.filter(
            pa.array([name == baseline for name in answer["baseline"].to_pylist()]))))
    ]  # fmt: skip
    return [*head, *figures, numbers(TWO_RUNS)]
