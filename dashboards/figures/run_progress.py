"""A run over time: its speed and how busy its evaluators are, and who was at which unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from dashboards.figures.rows import short, unique
from dashboards.figures.theme import OKABE_ITO, finish
from engine.pipeline.history import STRAGGLES, Done, History, Watch

INTERVALS = 60
"""Pieces of time for which a speed is shown, at most."""
MOST_UNITS = 2_000
MOST_WORKERS = 48

Floats = NDArray[np.float64]


def speed(history: History, *, going_on: bool) -> go.Figure:
    """Slices per second above, busy share of the evaluators below, over time."""
    edges, rate, busy = _over_time(history)
    begun = history.passes[0][0]
    middles = [begun + timedelta(seconds=t) for t in (edges[1:] + edges[:-1]) / 2]
    made = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12)
    for row, values, name, colour in (
        (1, rate, "slices per second", OKABE_ITO[0]),
        # an evaluator's next unit may begin before the driver has seen its last one end
        (2, np.minimum(busy, 1.0), "busy share", OKABE_ITO[2]),
    ):
        made.add_scatter(
            x=middles, y=values, mode="lines", line={"color": colour, "shape": "hvh"},
            fill="tozeroy", name=name, row=row, col=1,
            hovertemplate=f"%{{x|%H:%M:%S}}: %{{y:.3~g}} {name}<extra></extra>",
        )  # fmt: skip
        made.update_yaxes(title_text=name, rangemode="tozero", row=row, col=1)
    made.update_yaxes(tickformat=".0%", range=[0, 1.05], row=2, col=1)
    made.update_layout(showlegend=False)
    note = "A unit's slices are spread evenly over the time it took."
    if going_on:
        note += " Towards the right both are too low: units at work are not counted yet."
    return finish(made, 380, note=note)


def _over_time(history: History) -> tuple[Floats, Floats, Floats]:
    """Edges of intervals in seconds since the beginning, slices per second, busy share, of each."""
    begun = history.passes[0][0]
    ends = np.array([(one.at - begun).total_seconds() for one in history.committed])
    seconds = np.maximum([one.seconds for one in history.committed], 1e-3)
    slices = np.array([one.slices for one in history.committed], np.float64)
    edges = np.linspace(0.0, max(float(ends.max()), 1e-3), INTERVALS + 1)
    overlap = np.clip(
        np.minimum(ends[:, None], edges[1:]) - np.maximum((ends - seconds)[:, None], edges[:-1]),
        0, None,
    )  # fmt: skip
    width = edges[1] - edges[0]
    rate = (overlap * (slices / seconds)[:, None]).sum(axis=0) / width
    evaluating = np.array([not one.helper for one in history.committed])
    busy = overlap[evaluating].sum(axis=0) / (width * max(history.evaluators, 1))
    return edges, rate, busy


@dataclass(frozen=True)
class _Kind:
    """Bars that look alike."""

    name: str
    colour: str
    pattern: str = ""


_PLAIN = _Kind("committed", OKABE_ITO[5])
_FAILED = _Kind("with failed trials", OKABE_ITO[4], "x")
_SLOW = _Kind(f"straggler: over {STRAGGLES:g} medians", OKABE_ITO[1], "/")
_HELP = _Kind("by a machine without a GPU", OKABE_ITO[3], "-")
_NOW = _Kind("at work", OKABE_ITO[0], ".")


@dataclass(frozen=True)
class _Bar:
    kind: _Kind
    worker: str
    unit: str
    began: float
    seconds: float


def timeline(watched: Watch) -> go.Figure:
    """A row a worker, a bar a unit."""
    bars = _bars(watched)
    recent = bars[-MOST_UNITS:]
    workers = unique(bar.worker for bar in reversed(recent))[:MOST_WORKERS]
    shown = [bar for bar in recent if bar.worker in workers]
    made = go.Figure()
    for kind in (_PLAIN, _HELP, _FAILED, _SLOW, _NOW):
        _add(made, kind, [bar for bar in shown if bar.kind == kind])
    made.update_layout(barmode="overlay", bargap=0.25)
    made.update_xaxes(type="date")
    made.update_yaxes(categoryorder="category ascending")
    note = "" if len(shown) == len(bars) else f"The latest {len(shown):,} of {len(bars):,} units."
    return finish(made, 140 + 26 * len(workers), note=note)


def _bars(watched: Watch) -> list[_Bar]:
    """By their beginnings, what is at work last."""
    history = watched.history
    done = history.committed if history is not None else []
    patience_s = history.patience_s if history is not None else 0.0
    bars = [
        _Bar(_kind(one, patience_s), one.worker, one.unit_id, one.at.timestamp() - one.seconds,
             one.seconds)
        for one in done
    ]  # fmt: skip
    bars += [
        _Bar(_NOW, attempt.worker, attempt.unit_id, attempt.began, watched.seconds_of(attempt))
        for attempt in watched.at_work
        if watched.live
    ]
    return sorted(bars, key=lambda bar: (bar.kind == _NOW, bar.began))


def _kind(one: Done, patience_s: float) -> _Kind:
    if one.failed:
        return _FAILED
    if one.helper:
        return _HELP
    return _SLOW if one.seconds > patience_s else _PLAIN


def _add(made: go.Figure, kind: _Kind, bars: Sequence[_Bar]) -> None:
    if not bars:
        return
    made.add_bar(
        orientation="h", name=kind.name,
        y=[short(bar.worker, 32) for bar in bars],
        base=[datetime.fromtimestamp(bar.began, UTC) for bar in bars],
        x=[1000 * bar.seconds for bar in bars],
        customdata=[[short(bar.unit, 80), bar.seconds] for bar in bars],
        marker={"color": kind.colour, "pattern": {"shape": kind.pattern},
                "line": {"width": 0.5, "color": "rgba(128,128,128,0.6)"}},
        hovertemplate="%{customdata[0]}<br>%{customdata[1]:.1f} s<extra>" + kind.name + "</extra>",
    )  # fmt: skip
