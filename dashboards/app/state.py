"""What all pages of one dashboard work with."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.app.data import RunData
from dashboards.app.masks import Masks


@dataclass(frozen=True)
class State:
    """One dashboard.

    Attributes:
        data: the run.
        masks: recomputes its trials.
        other: a run to compare it with, if one was named.
    """

    data: RunData
    masks: Masks
    other: RunData | None = None
