"""Scores: masks against ground truth become integers, selections and border distances.

Protocol sections 3 and 4. The ground truth's side is prepared once per object (`TruthBorder`) and
reused over all its trials; a trial then costs its pixel counts and one distance pass per distinct
selected candidate. Masks are scored where they are: numpy arrays here, torch tensors on their
device (`batch`). Importing this package loads neither numba nor torch: names are imported on
first use. Object factors live in `engine.scoring.factors`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.scoring.counts import Counts, TruthRegion
    from engine.scoring.distances import Distances, TruthBorder
    from engine.scoring.everything import EverythingScorer
    from engine.scoring.rows import (
        CandidateRow,
        EverythingScores,
        OverlapRow,
        SelectionRow,
        SliceCandidateRow,
        TrialScores,
        failed_selections,
    )
    from engine.scoring.score import score_batch, score_trial
    from engine.scoring.selection import highest_dice, highest_predicted_iou, select

ALGORITHM_VERSION = 4
"""Raised whenever a score of unchanged masks would change; part of every identity."""

__all__ = [
    "ALGORITHM_VERSION",
    "CandidateRow",
    "Counts",
    "Distances",
    "EverythingScorer",
    "EverythingScores",
    "OverlapRow",
    "SelectionRow",
    "SliceCandidateRow",
    "TrialScores",
    "TruthBorder",
    "TruthRegion",
    "failed_selections",
    "highest_dice",
    "highest_predicted_iou",
    "score_batch",
    "score_trial",
    "select",
]

_HOMES = {
    "counts": ("Counts", "TruthRegion"),
    "distances": ("Distances", "TruthBorder"),
    "everything": ("EverythingScorer",),
    "rows": (
        "CandidateRow",
        "EverythingScores",
        "OverlapRow",
        "SelectionRow",
        "SliceCandidateRow",
        "TrialScores",
        "failed_selections",
    ),
    "score": ("score_batch", "score_trial"),
    "selection": ("highest_dice", "highest_predicted_iou", "select"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
