"""How much work there is in a list of tasks, counted as costs are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.planning.tasks import Tasks
from engine.results.manifest import FACTORS_MODEL

NONE = "-"
"""Stands for no model, and for all strategies of one."""


@dataclass(frozen=True)
class Amounts:
    """Work to do.

    Attributes:
        slices: by (model, strategy): those of units in which that cell is to do; by (model, `-`)
            those with any cell of the model; by (`-`, `-`) all.
        objects: whose factors are to be computed.
        trials: by (model, strategy), none of them 0.
    """

    slices: Mapping[tuple[str, str], int]
    objects: int
    trials: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, tasks: Tasks) -> Amounts:
        """What is in this list."""
        per_unit = tasks.sampled.slices_per_unit()[tasks.order]
        todo = tasks.todo[tasks.order]
        expected = tasks.expected()[tasks.order].sum(axis=0).tolist()
        slices = {(NONE, NONE): int(per_unit.sum())}
        objects, trials = 0, {}
        for place, (column, number) in enumerate(zip(tasks.columns, expected, strict=True)):
            if column.model == FACTORS_MODEL:
                objects = number
            elif number:
                trials[column.model, column.strategy] = number
                slices[column.model, column.strategy] = int(per_unit[todo[:, place]].sum())
        for model in {model for model, _ in trials}:
            own = np.array([column.model == model for column in tasks.columns])
            slices[model, NONE] = int(per_unit[todo[:, own].any(axis=1)].sum())
        return cls(slices, objects, trials)
