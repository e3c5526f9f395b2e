"""Trials done, failed and pending, a bar per model and strategy."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.rows import rows
from dashboards.figures.theme import finish

_PARTS = (
    ("done", "#0072B2", ""),
    ("undefined", "#56B4E9", "/"),
    ("failed", "#D55E00", "x"),
    ("pending", "#999999", "."),
)
_WORDS = {"undefined": "done, with an empty prediction"}


def figure(answer: pa.Table) -> go.Figure:
    """From the question `coverage`: shares of the expected trials, 0..1."""
    items = rows(answer)
    labels = [f"{row['model']} · {row['strategy']}" for row in items]
    made = go.Figure()
    for name, hue, pattern in _PARTS:
        counts = [row["done"] - row["undefined"] if name == "done" else row[name] for row in items]
        both = list(zip(counts, items, strict=True))
        made.add_bar(
            y=labels, orientation="h", name=_WORDS.get(name, name),
            x=[n / max(row["expected"], 1) for n, row in both],
            customdata=[f"{n:,} of {row['expected']:,}" for n, row in both],
            marker={"color": hue, "pattern": {"shape": pattern, "size": 6}},
            hovertemplate="%{y}<br>%{customdata} trials<extra>" + name + "</extra>",
        )  # fmt: skip
    made.update_layout(barmode="stack", bargap=0.3)
    made.update_xaxes(range=[0, 1], tickformat=".0%", title_text="share of the expected trials")
    made.update_yaxes(autorange="reversed", ticklabelstandoff=6)
    finish(made, 130 + 26 * len(items))
    # half of "100%" stands beside the axis
    return made.update_layout(margin={"r": 40}, legend={"traceorder": "normal"})
