"""Two models on the same prompts: gains by structure and modality."""

from __future__ import annotations

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.rows import (
    coverage,
    fewest,
    hover,
    offsets,
    preferred,
    rows,
    segments,
    short,
    unique,
)
from dashboards.figures.theme import colour, finish, nothing, symbol

MAX_ROWS = 40
"""Structures with the most objects; the table holds all."""


def figure(answer: pa.Table) -> go.Figure:
    """From the question `paired`: mean gain in Dice, -1..1, of one pair of models."""
    selection, items = preferred(rows(answer))
    items = [row for row in items if row["gain"] is not None]
    if not items:
        return nothing("No two models to compare.")
    expected = {(row["structure"], row["modality"]): row["expected"] for row in items}
    pairs = sorted(expected, key=lambda pair: (-expected[pair], pair))[:MAX_ROWS]
    items = [row for row in items if (row["structure"], row["modality"]) in pairs]
    strategies = unique(row["strategy"] for row in items)
    made = go.Figure()
    for index, (shift, strategy) in enumerate(
        zip(offsets(len(strategies), 0.6), strategies, strict=True)
    ):
        mine = [row for row in items if row["strategy"] == strategy]
        y = [pairs.index((row["structure"], row["modality"])) + shift for row in mine]
        along, across = segments(mine, "gain", y)
        common = {"legendgroup": strategy, "name": strategy}
        made.add_scatter(x=along, y=across, mode="lines", hoverinfo="skip", showlegend=False,
                         line={"color": colour(index), "width": 1.5}, **common)  # fmt: skip
        made.add_scatter(
            x=[row["gain"] for row in mine], y=y, mode="markers",
            marker={"color": colour(index), "symbol": symbol(index), "size": 7},
            text=[f"{strategy}<br>{hover(row, 'gain')}" for row in mine],
            hovertemplate="%{text}<extra></extra>", **common,
        )  # fmt: skip
    made.add_vline(x=0, line={"color": "rgba(128,128,128,0.8)", "width": 1})
    made.update_yaxes(
        tickvals=list(range(len(pairs))), ticktext=[_label(items, pair) for pair in pairs],
        range=[len(pairs) - 0.5, -0.5],
    )  # fmt: skip
    first = items[0]
    made.update_xaxes(title_text=f"Dice of {first['model']} minus Dice of {first['baseline']}")
    height = 130 + len(pairs) * max(24, 8 * len(strategies))
    left_out = f" {fewest(len(expected) - len(pairs))}" if len(expected) > len(pairs) else ""
    return finish(made, height, note=f"Selection {selection}.{left_out}")


def _label(items: list[dict[str, object]], pair: tuple[str, str]) -> str:
    found = [row for row in items if (row["structure"], row["modality"]) == pair]
    count = f"<span style='font-size:11px'>{coverage(found)}</span>"
    return f"{short(pair[0], 32)} · {short(pair[1], 32)}  {count}"
