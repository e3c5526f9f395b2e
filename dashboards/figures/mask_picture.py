"""A slice with the outlines of masks and a prompt, to zoom into."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from dashboards.figures.theme import MOST_MARKS, finish
from dashboards.page.uri import data_uri
from engine.prompts.base import Prompt

TRUTH = "#009E73"
CHOSEN = "#E69F00"
OTHERS = ("#56B4E9", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999", "#ffffff", "#B1740F")
MOST_EDGES = 6_000
"""Straight pieces of one outline that are sent; a rougher mask is drawn by its filling alone."""
_PER_EDGE = 3  # its two ends, and the gap behind it
_LONGEST_PX = 2048

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Layer:
    """A mask to outline: its name in the legend, colour, and whether it is seen at first."""

    name: str
    mask: Mask
    colour: str
    seen: bool = True


def figure(
    image: NDArray[np.uint8],
    layers: Sequence[Layer],
    prompt: Prompt,
    *,
    filled: Layer | None,
    pixel_aspect: float = 1.0,
) -> go.Figure:
    """The picture. Outlines run along pixel borders, so they show masks as they were scored.

    Args:
        image: uint8[y, x] or uint8[y, x, 3], as the model saw it.
        filled: the layer whose area is tinted.
        pixel_aspect: height over width of a pixel.
    """
    made = canvas(image, pixel_aspect)
    if filled is not None and filled.mask.any():
        # plotly.js takes images at exactly the same place for one
        back = made.layout.images[0].to_plotly_json()
        made.add_layout_image(back | {"source": _png(_tint(filled)), "x": -0.500001})
    left = MOST_MARKS
    for layer in layers:
        x, y = edges(layer.mask, min(MOST_EDGES, left // _PER_EDGE))
        left -= len(x)
        made.add_scatter(
            x=x, y=y, mode="lines", name=layer.name, line={"color": layer.colour, "width": 2},
            hoverinfo="skip", visible=True if layer.seen else "legendonly",
        )  # fmt: skip
    made.add_traces([trace for trace in prompt_traces(prompt) if trace.x])
    return made


def canvas(image: NDArray[np.uint8], pixel_aspect: float) -> go.Figure:
    """The slice alone, with axes in its pixels."""
    height, width = image.shape[:2]
    made = finish(go.Figure(), 620)
    made.add_layout_image(
        source=_png(Image.fromarray(image)), xref="x", yref="y", x=-0.5, y=-0.5, sizex=width,
        sizey=height, sizing="stretch", layer="below", yanchor="top",
    )  # fmt: skip
    made.update_xaxes(range=[-0.5, width - 0.5], visible=False, constrain="domain")
    made.update_yaxes(range=[height - 0.5, -0.5], visible=False, constrain="domain",
                      scaleanchor="x", scaleratio=pixel_aspect)  # fmt: skip
    made.update_layout(
        margin={"l": 0, "r": 0, "t": 4, "b": 4}, dragmode="zoom", hovermode="closest",
        legend={"orientation": "h", "yref": "paper", "y": -0.01, "yanchor": "top", "x": 0},
    )  # fmt: skip
    return made


def edges(mask: Mask, most: int = MOST_EDGES) -> tuple[list[float | None], list[float | None]]:
    """(x, y) of the borders between pixels inside and outside, in straight pieces.

    Empty where there are more than `most`.
    """
    padded = np.pad(mask, 1)
    along_x = _runs(padded[1:, 1:-1] != padded[:-1, 1:-1])
    along_y = _runs((padded[1:-1, 1:] != padded[1:-1, :-1]).T)
    if len(along_x) + len(along_y) > most:
        return [], []
    x: list[float | None] = []
    y: list[float | None] = []
    for line, start, end in along_x.tolist():
        x += [start - 0.5, end - 0.5, None]
        y += [line - 0.5, line - 0.5, None]
    for line, start, end in along_y.tolist():
        x += [line - 0.5, line - 0.5, None]
        y += [start - 0.5, end - 0.5, None]
    return x, y


def _runs(lines: Mask) -> NDArray[np.int64]:
    """int64[n, 3]: (line, start, end) of every run of True along axis 1, half-open."""
    steps = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    line, start = np.nonzero(steps == 1)
    _, end = np.nonzero(steps == -1)
    return np.stack([line, start, end], axis=1)


def _tint(layer: Layer) -> Image.Image:
    colours = np.zeros((*layer.mask.shape, 4), np.uint8)
    colours[layer.mask] = (*bytes.fromhex(layer.colour[1:]), 255)
    return Image.fromarray(colours)


def _png(picture: Image.Image) -> str:
    picture.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return data_uri("image/png", stream.getvalue())


def prompt_traces(prompt: Prompt) -> list[go.Scatter]:
    """Box, positive points and negative points; those that the prompt lacks are empty."""
    box = prompt.box
    x0, x1, y0, y1 = (box.x0 - 0.5, box.x1 + 0.5, box.y0 - 0.5, box.y1 + 0.5) if box else [0.0] * 4
    outline = go.Scatter(
        x=[x0, x1, x1, x0, x0] if box else [], y=[y0, y0, y1, y1, y0] if box else [],
        mode="lines", name="box", hoverinfo="skip",
        line={"color": "#56B4E9", "width": 2, "dash": "dash"},
    )  # fmt: skip
    return [outline, *(_points(prompt, positive) for positive in (True, False))]


def _points(prompt: Prompt, positive: bool) -> go.Scatter:
    points = [point for point in prompt.points if point.positive is positive]
    name = "positive point" if positive else "negative point"
    return go.Scatter(
        x=[p.x for p in points], y=[p.y for p in points], mode="markers", name=name,
        marker={"color": "#0072B2" if positive else "#D55E00", "size": 12,
                "symbol": "cross" if positive else "x", "line": {"color": "white", "width": 1.5}},
        hovertemplate="x %{x}, y %{y}<extra>" + name + "</extra>",
    )  # fmt: skip
