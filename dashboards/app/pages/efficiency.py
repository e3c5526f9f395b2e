"""Efficiency: where the time went, and what Dice costs."""

from __future__ import annotations

from dashboards.app.parts import Body, figure, tiles
from dashboards.app.state import State
from dashboards.app.view import View
from dashboards.page.times import duration


def body(state: State, view: View) -> Body:
    """Throughput of the run, time per stage, time per trial."""
    data = state.data
    (run,) = data.rows("SELECT wall_s FROM runs")
    (counts,) = data.rows("SELECT count(*) AS slices FROM slices")
    done = sum(row["done"] for row in data.answer("coverage", View()).to_pylist())
    wall = run["wall_s"] or 0.0
    rate = tiles({
        "evaluation, all resumptions": duration(wall),
        "trials per second": f"{done / wall:,.1f}" if wall else "–",
        "slices per minute": f"{60 * counts['slices'] / wall:,.1f}" if wall else "–",
    })  # fmt: skip
    return [rate, *figure("stage_times", data, view), *figure("cost_quality", data, view)]
