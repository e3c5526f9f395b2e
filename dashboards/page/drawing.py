"""Figures as the page carries them: JSON that `script.html` hands to plotly.js."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import Markup


@dataclass(frozen=True)
class Drawing:
    """A figure as the macros print it.

    Attributes:
        name: ties the place on the page to the JSON.
        json: the figure, safe inside a script element.
        height: px kept free until it is drawn.
        note: what the figure itself adds, printed below it.
    """

    name: str
    json: Markup
    height: int
    note: str

    @classmethod
    def of(cls, name: str, figure: go.Figure) -> Drawing:
        """From a figure that `dashboards.figures.theme.finish` has seen."""
        layout = figure.layout
        return cls(name, _json(figure), int(layout.height), layout.meta["note"])


def _json(figure: go.Figure) -> Markup:
    text = figure.to_json().replace("<", "\\u003c").replace("\u2028", "\\u2028")
    return Markup(text)
