"""The trials of a prompt one after another: how a mask moves as its prompt is displaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dashboards.figures.mask_picture import CHOSEN, TRUTH, Mask, canvas, edges, prompt_traces
from engine.prompts.base import Prompt

MOST_FRAMES = 20
MOST_EDGES = 2_000
"""Straight pieces of an outline; all frames are sent, one at a time is drawn."""
FRAME_MS = 700


@dataclass(frozen=True)
class Frame:
    """One trial: its number, prompt, mask `bool[y, x]` and Dice."""

    trial: int
    prompt: Prompt
    mask: Mask
    dice: float | None


def figure(
    image: NDArray[np.uint8], truth: Mask, frames: Sequence[Frame], pixel_aspect: float = 1.0
) -> go.Figure:
    """An animation with a slider, for at most `MOST_FRAMES` trials.

    Args:
        image: uint8[y, x] or uint8[y, x, 3], as the model saw it.
        pixel_aspect: height over width of a pixel.
    """
    made = canvas(image, pixel_aspect)
    made.add_traces([_outline("truth", truth, TRUTH), *_moving(frames[0])])
    moved = list(range(1, len(made.data)))
    made.frames = [
        go.Frame(name=str(frame.trial), data=_moving(frame), traces=moved) for frame in frames
    ]
    still = {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}
    play = still | {"fromcurrent": True, "frame": {"duration": FRAME_MS}}
    made.update_layout(
        margin={"b": 120},
        legend={"y": 1, "yanchor": "bottom"},
        sliders=[{
            "steps": [{"label": _words(frame), "method": "animate",
                       "args": [[str(frame.trial)], still]} for frame in frames],
            "currentvalue": {"prefix": ""}, "ticklen": 0, "minorticklen": 0, "x": 0.14,
            "len": 0.86, "pad": {"t": 8}, "font": {"color": "rgba(0,0,0,0)"},
        }],
        updatemenus=[{
            "type": "buttons", "x": 0, "xanchor": "left", "y": 0, "yanchor": "top",
            "pad": {"t": 24}, "showactive": False, "bgcolor": "rgba(128,128,128,0.18)",
            "buttons": [{"label": "Play", "method": "animate", "args": [None, play]}],
        }],
    )  # fmt: skip
    return made


def _moving(frame: Frame) -> list[go.Scatter]:
    return [_outline("predicted mask", frame.mask, CHOSEN), *prompt_traces(frame.prompt)]


def _outline(name: str, mask: Mask, colour: str) -> go.Scatter:
    x, y = edges(mask, MOST_EDGES)
    return go.Scatter(x=x, y=y, mode="lines", name=name, hoverinfo="skip",
                      line={"color": colour, "width": 2})  # fmt: skip


def _words(frame: Frame) -> str:
    score = "no mask" if frame.dice is None else f"Dice {frame.dice:.3f}"
    return f"trial {frame.trial}: {score}"
