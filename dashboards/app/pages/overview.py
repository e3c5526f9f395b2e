"""Overview: how well, on how much, and where it is worst."""

from __future__ import annotations

from dash import html

from dashboards.app.pages.cases import case_table
from dashboards.app.parts import Body, figure, tiles
from dashboards.app.state import State
from dashboards.app.view import View

_COUNTS = """
    SELECT count(*) AS objects, count(DISTINCT slice_id) AS slices,
        count(DISTINCT subject_id) AS subjects, count(DISTINCT dataset) AS datasets
    FROM objects JOIN slices USING (slice_id) JOIN cases USING (case_id)"""


def body(state: State, view: View) -> Body:
    """Counts, the leaderboard, and the worst mask of each model and strategy."""
    (counts,) = state.data.rows(_COUNTS, view=view)
    coverage = state.data.answer("coverage", view).to_pylist()
    done, expected = (sum(row[name] for row in coverage) for name in ("done", "expected"))
    picks = state.data.answer("gallery", view).to_pylist()
    worst = [{**p, "selection": "predicted_iou"} for p in picks if p["pick"] == "worst"]
    return [
        tiles({
            f"of {expected:,} trials of the run done": f"{done:,}",
            "objects shown": f"{counts['objects']:,}",
            "slices": f"{counts['slices']:,}",
            "subjects": f"{counts['subjects']:,}",
            "data sets": f"{counts['datasets']:,}",
        }),
        *figure("dice_by_strategy", state.data, view),
        html.H2("The worst masks"),
        html.P("Of each model and strategy, the object with the lowest Dice of predicted_iou, "
               "undisplaced prompts. Choose a row to see it.", className="caption"),
        case_table("worst", worst),
    ]  # fmt: skip
