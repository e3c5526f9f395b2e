"""The registry of figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go
import pyarrow as pa

from dashboards.figures.room import make_room
from engine.errors import UserError
from engine.registry import Registry


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report and the dashboard.

    Attributes:
        name: its key, and the name of its CSV file.
        question: of `engine.analysis.questions`; its answer is what the figure shows.
        title: what it shows, in words.
        caption: how to read it.
        one_selection: whether it shows one selection of the answer's, `rows.preferred`.
    """

    name: str
    question: str
    title: str
    caption: str
    one_selection: bool = False


_DRAW: Registry[Callable[[pa.Table], go.Figure]] = Registry(
    "figure",
    {
        "dice_by_strategy": "dashboards.figures.dice_by_strategy:figure",
        "oracle_gap": "dashboards.figures.oracle_gap:figure",
        "compare_models": "dashboards.figures.compare_models:figure",
        "jitter": "dashboards.figures.jitter:figure",
        "structure_modality": "dashboards.figures.structure_modality:figure",
        "factor_bins": "dashboards.figures.factor_bins:figure",
        "factor_correlations": "dashboards.figures.factor_correlations:figure",
        "everything_masks": "dashboards.figures.everything_masks:figure",
        "stage_times": "dashboards.figures.stage_times:figure",
        "cost_quality": "dashboards.figures.cost_quality:figure",
        "coverage": "dashboards.figures.coverage:figure",
        "paired": "dashboards.figures.paired:figure",
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
    FigureSpec(
        "factor_bins",
        "factor_bins",
        "Dice along object factors",
        "Objects in six groups of equal size by each factor, small values first: mean Dice of a "
        "group with its 95 % interval over subjects, and the quartiles of its objects as a band "
        "where one strategy is shown. Hover for the range and n scored / N expected.",
        one_selection=True,
    ),
    FigureSpec(
        "factor_correlations",
        "factors",
        "What goes with Dice",
        "Partial Spearman correlation of Dice with each factor, given the paper's other factors, "
        "with its 95 % interval over subjects. 0: nothing beyond what the others explain.",
        one_selection=True,
    ),
    FigureSpec(
        "everything_masks",
        "everything_masks",
        "Masks of Everything",
        "Every mask with every object it touches, counted by the IoU the model predicts for the "
        "mask and by its Dice with the object. Along the diagonal the model knows its masks; most "
        "masks fit some other object, or none.",
    ),
    FigureSpec(
        "stage_times",
        "cost",
        "Where the time went",
        "Seconds of work per model and stage over all committed cells. Workers run side by side, "
        "so the sum exceeds the run's time.",
    ),
    FigureSpec(
        "cost_quality",
        "cost_quality",
        "What Dice costs",
        "Mean Dice against the milliseconds of one prompt, its masks and its scores; the embedding "
        "of a slice comes on top, once for all its prompts. Vertical lines: 95 % interval.",
    ),
    FigureSpec(
        "coverage",
        "coverage",
        "What is measured, and what is missing",
        "Trials per model and strategy: expected = done + failed + pending. An empty prediction is "
        "done, and has no distances.",
    ),
    FigureSpec(
        "paired",
        "paired",
        "Two models on the same prompts",
        "Dice of `model` minus Dice of `baseline`, object by object, per structure and modality, "
        "with its 95 % interval over subjects. Right of 0 `model` is better.",
    ),
)
"""In the order of the report; the dashboard shows them page by page."""


def spec_of(name: str) -> FigureSpec:
    """What a figure shows. Raises UserError for an unknown name."""
    for spec in FIGURES:
        if spec.name == name:
            return spec
    raise UserError(f"no such figure '{name}'", got=name)


def draw(name: str, answer: pa.Table) -> go.Figure:
    """The figure `name` from the answer to its question. Raises UserError for an unknown name."""
    return make_room(_DRAW.get(name)(answer))
