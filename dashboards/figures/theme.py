"""How all figures look: colour-blind safe colours (Okabe and Ito), no paper, quiet grids.

Text and grid colours are left to the page, which sets them for its light or dark scheme.
"""

from __future__ import annotations

import plotly.graph_objects as go

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")

SELECTION_COLOURS = {"oracle": "#009E73", "predicted_iou": "#D55E00", "single": "#56B4E9"}
SELECTION_SYMBOLS = {"oracle": "diamond", "predicted_iou": "circle", "single": "square"}

MOST_MARKS = 50_000
"""Points, cells and ends of segments of one figure that are sent to a browser."""

GRID = "rgba(128,128,128,0.28)"


def colour(index: int) -> str:
    """Colour of the index-th category; they repeat after six, then the symbol tells."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def symbol(index: int) -> str:
    """Marker of the index-th category; the pair with `colour` repeats after 36."""
    return SYMBOLS[(index + index // len(SYMBOLS)) % len(SYMBOLS)]


def nothing(note: str) -> go.Figure:
    """Of an answer without anything to draw: words, and no axes that would mean nothing."""
    empty = finish(go.Figure(), 20, note=note)
    empty.update_layout(margin={"l": 0, "r": 0, "t": 0, "b": 0})
    empty.update_xaxes(visible=False)
    empty.update_yaxes(visible=False)
    return empty


def finish(figure: go.Figure, height: int, *, note: str = "") -> go.Figure:
    """Apply the common layout; `note` is for the page to print below the figure."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 20, "r": 20, "t": 64, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yref": "container", "y": 1, "yanchor": "top", "x": 0},
        hoverlabel={"font": {"size": 12}},
        meta={"note": note},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8a8a8a", "activecolor": "#0072B2"},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return figure
