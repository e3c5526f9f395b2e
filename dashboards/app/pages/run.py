"""Run: how far it is and how fast, who is at work on what; a run that goes on is followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, dcc, html, no_update

from dashboards.app.parts import Body, calm, drawn, tiles
from dashboards.app.state import State
from dashboards.app.view import View
from dashboards.figures.run_progress import speed, timeline
from dashboards.page.times import duration
from engine.commands.say import count
from engine.errors import UserError
from engine.pipeline.history import STRAGGLES, History, Watch, watch
from engine.results.query import has_database
from engine.runs import RunDir

AGAIN_S = 5
"""How often a run that goes on is looked at."""

ON_THE_DEVICE = ("embed", "decode", "score")
"""Stages in which an evaluator's GPU works."""


def body(state: State, view: View) -> Body:
    """The latest run of the run directory; filters do not apply to it."""
    return followed(state.data.run_dir)


def followed(run_dir: Path) -> Body:
    """What there is to see, and a clock that looks again while the run goes on."""
    try:
        watched = watch(RunDir.open(run_dir))
    except UserError as error:  # results that were copied without their run
        return [calm(str(error))]
    clock = dcc.Interval(id="again", interval=1000 * AGAIN_S, disabled=not watched.going_on)
    return [clock, html.Div(seen(watched), id="run")]


def connect(app: Dash, run_dir: Path) -> None:
    """Let the clock look again, and a page without results wait for them.

    The whole dashboard answers both too: it takes the place of the page that waits.
    """

    @app.callback(
        Output("run", "children"), Output("again", "disabled"), Input("again", "n_intervals"),
        prevent_initial_call=True,
    )  # fmt: skip
    def again(_: int) -> Any:
        try:
            watched = watch(RunDir.open(run_dir))
        except OSError:  # a file that is being replaced: look again at the next beat
            return no_update, no_update
        return seen(watched), not watched.going_on

    @app.callback(Output("there", "children"), Input("wait", "n_intervals"),
                  prevent_initial_call=True)  # fmt: skip
    def wait(_: int) -> Any:
        if not has_database(run_dir):
            return no_update
        return html.Div(["The results are there. ", html.A("Show them", href="/")],
                        className="banner", role="status")  # fmt: skip


def seen(watched: Watch) -> Body:
    """State, numbers, figures, troubles."""
    history = watched.history
    if history is None:
        return [calm("No evaluation has begun in this run directory yet.")]
    found: Body = [html.P([html.B("Latest run: "), watched.state], role="status")]
    if not history.units:
        return [*found, calm("Everything was committed already: there was nothing to evaluate.")]
    found.append(tiles(_numbers(watched, history)))
    if history.troubles:
        said = ", ".join(f"{what}: {n:,}" for what, n in sorted(history.troubles.items()))
        found.append(calm(f"Troubles, all dealt with: {said}."))
    if history.committed:
        found += [html.H2("Speed"), *drawn("run_speed", speed(history, going_on=watched.going_on))]
    found += [html.H2("Who was at what"), *_workers(watched)]
    return found


def _numbers(watched: Watch, history: History) -> dict[str, str]:
    tally = history.tally
    left = watched.seconds_left
    numbers = {
        "units": f"{tally.units:,} / {history.units:,}",
        "slices": f"{tally.slices:,} / {history.slices:,}",
        "trials": f"{tally.trials:,} / {history.trials:,}",
        "trials failed": f"{tally.failed:,}",
        "slices per second": f"{tally.rate(watched.elapsed):.2f}",
        "left" if watched.going_on else "evaluating": (
            (duration(left) if left is not None else "not known yet")
            if watched.going_on
            else duration(history.elapsed())
        ),
    }
    if history.busy is not None:
        numbers[f"{count(history.evaluators, 'evaluator')} busy"] = f"{history.busy:.0%}"
    if str(history.begun["device"]).startswith("cuda") and history.elapsed() > 0:
        at_it = sum(history.stages[stage] for stage in ON_THE_DEVICE)
        numbers["GPUs busy"] = f"{at_it / (history.elapsed() * history.evaluators):.0%}"
        if history.helped:
            numbers["units by machines without a GPU"] = f"{history.helped:,}"
    return numbers


def _workers(watched: Watch) -> Body:
    slow = [attempt for attempt in watched.at_work if watched.straggles(attempt)]
    words = [
        calm(
            f"Straggler: {attempt.unit_id} on {attempt.worker}, at it for "
            f"{duration(watched.seconds_of(attempt))}, over {STRAGGLES:g} times the median unit."
        )
        for attempt in slow
    ]
    left = [] if watched.live else watched.at_work
    if left:
        words.append(calm(
            f"{count(len(left), 'unit')} left unfinished: the next run begins anew with them."
        ))  # fmt: skip
    made = timeline(watched)
    if not made.data:
        return [*words, calm("No unit is at work: evaluators are starting, or none is left.")]
    return [*words, *drawn("run_timeline", made)]
