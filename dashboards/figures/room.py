"""Room for labels, kept before a figure is drawn.

plotly.js measures labels after it has drawn them, and where the margin is too narrow it draws
everything again. So the margins are estimated here, rather too wide than too narrow; its own
`automargin` stays for what is longer still.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import plotly.graph_objects as go

_CHARACTER_PX = 7.4
_SMALL_PX = 6.5
_NUMBERS_PX = 34
_TITLE_PX = 24
_COLOURBAR_PX = 96
_LEGEND_PX = 1000  # as wide as the narrowest page
_LEGEND_MARK_PX = 48
_LEGEND_LINE_PX = 20


def make_room(figure: go.Figure) -> go.Figure:
    """With margins that hold its labels, colour bar and legend; none becomes narrower."""
    margin = figure.layout.margin
    sides = {"l": _left(figure), "r": _right(figure), "t": (margin.t or 0) + _lines_more(figure)}
    return figure.update_layout(
        margin={side: max(getattr(margin, side) or 0, math.ceil(px)) for side, px in sides.items()}
    )


def _left(figure: go.Figure) -> float:
    axes = [axis for axis in figure.select_yaxes() if axis.visible is not False]
    titled = any(axis.title.text for axis in axes)
    words = list(_labels(figure, axes))
    wide = max(map(_wide, words), default=_NUMBERS_PX if axes else 0)
    return wide + (8 if words else 0) + (_TITLE_PX if titled else 0)


def _labels(figure: go.Figure, axes: list[go.layout.YAxis]) -> Iterator[str]:
    for axis in axes:
        yield from axis.ticktext or ()
    for trace in figure.data:
        along = getattr(trace, "y", None)
        if along is not None and len(along) and isinstance(along[0], str):
            yield from along


def _wide(label: str) -> float:
    """px of a label in which what stands in a span is small."""
    small = "".join(re.findall(r"<span[^>]*>(.*?)</span>", label))
    return _CHARACTER_PX * (len(re.sub(r"<[^>]*>", "", label)) - len(small)) + _SMALL_PX * len(
        small
    )


def _right(figure: go.Figure) -> float:
    return _COLOURBAR_PX if figure.layout.coloraxis.colorbar.title.text else 0


def _lines_more(figure: go.Figure) -> float:
    """Of a legend that is wider than the page."""
    names = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    if len(names) < 2:
        return 0
    wide = sum(_LEGEND_MARK_PX + _CHARACTER_PX * len(name) for name in names)
    return _LEGEND_LINE_PX * (math.ceil(wide / _LEGEND_PX) - 1)
