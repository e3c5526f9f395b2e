"""The registry of figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go
import pyarrow as pa

from engine.registry import Registry


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report and the dashboard.

    Attributes:
        name: its key, and the name of its CSV file.
        question: of `engine.analysis.questions`; its answer is what the figure shows.
        title: what it shows, in words.
        caption: how to read it.
    """

    name: str
    question: str
    title: str
    caption: str


_DRAW: Registry[Callable[[pa.Table], go.Figure]] = Registry(
    "figure",
    {
        "dice_by_strategy": "dashboards.figures.dice_by_strategy:figure",
        "oracle_gap": "dashboards.figures.oracle_gap:figure",
        "compare_models": "dashboards.figures.compare_models:figure",
        "jitter": "dashboards.figures.jitter:figure",
        "structure_modality": "dashboards.figures.structure_modality:figure",
    },
)

FIGURES = (
    FigureSpec(
        "dice_by_strategy",
        "leaderboard",
        "Dice by strategy and selection",
        "Mean Dice of undisplaced prompts with its 95 % interval over subjects. `oracle` needs "
        "the answer and is an upper bound; `predicted_iou` is what a user gets; `single` is the "
        "single-mask output. Beside each strategy: objects scored / objects expected.",
    ),
    FigureSpec(
        "oracle_gap",
        "oracle_gap",
        "Oracle gap",
        "Dice lost because the model picks its mask itself: `oracle` minus `predicted_iou`, "
        "object by object, with its 95 % interval. 0 would be a perfect choice.",
    ),
    FigureSpec(
        "compare_models",
        "compare_models",
        "Models compared",
        "Dice of each model minus Dice of the study's first model, object by object, with its 95 % "
        "interval over subjects. Right of 0 is better. One model alone has nothing to compare.",
    ),
    FigureSpec(
        "jitter",
        "jitter",
        "Displaced prompts",
        "Mean Dice as the prompt is displaced by so many pixels of the original image. At 20-30 "
        "px an object narrower than 60 px can get a box unrelated to it.",
    ),
    FigureSpec(
        "structure_modality",
        "by_structure_modality",
        "Structures and modalities",
        "Mean Dice of undisplaced prompts, each row one structure in one modality, followed by "
        "objects scored / expected. An empty cell has no score.",
    ),
)


def draw(name: str, answer: pa.Table) -> go.Figure:
    """The figure `name` from the answer to its question. Raises UserError for an unknown name."""
    return _DRAW.get(name)(answer)
