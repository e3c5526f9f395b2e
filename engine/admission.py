"""What evaluators need of memory: stated in a plan, refused before a run that has not got it."""

from __future__ import annotations

import os
from functools import reduce
from pathlib import Path

import pyarrow.compute as pc
import torch

from engine.errors import UserError
from engine.models.memory import Projection, Workload, project
from engine.models.numerics import torch_device
from engine.models.registry import KINDS, request
from engine.planning import Planning
from engine.study import ModelChoice, PointsParams, Strategy

SHARE = 0.95
"""Of a machine's memory that evaluators may fill."""


def projected(planning: Planning) -> Projection | None:
    """One evaluator with all models of the study; None where none of them has a network.

    The largest slice is that of the whole collection: a bound, also for a sample of it.
    """
    found = [
        one
        for choice in planning.plan.study.models
        if (one := _of_model(planning, choice)) is not None
    ]
    return reduce(Projection.beside, found) if found else None


def _of_model(planning: Planning, choice: ModelChoice) -> Projection | None:
    plan, asked = planning.plan, request(choice)
    network = KINDS.get(asked.config.kind).network
    if network is None:
        return None
    strategies, card = plan.study.strategies_of(choice), plan.cards[choice.name]
    height, width = _largest_slice(planning)
    workload = Workload(
        height,
        width,
        tokens=max((_tokens(strategy) for strategy in strategies), default=0),
        everything=any(not strategy.prompted for strategy in strategies),
        candidates=len(card.candidates),
    )
    return project(network(asked), card.parameters, plan.numerics, workload)


def _tokens(strategy: Strategy) -> int:
    """Sparse tokens of its prompts; a box takes two, points without one a padding token."""
    if not strategy.prompted:
        return 0
    params = strategy.params
    points = params.positive + params.negative if isinstance(params, PointsParams) else 0
    return points + (1 if strategy.kind == "points" else 2)


def _largest_slice(planning: Planning) -> tuple[int, int]:
    sizes = planning.catalog.table("slices").select(["height", "width"])
    area = pc.multiply(sizes["height"].cast("int64"), sizes["width"].cast("int64"))
    place = pc.index(area, pc.max(area)).as_py()
    return sizes["height"][place].as_py(), sizes["width"][place].as_py()


def memory_of(device: str) -> int:
    """Bytes that a worker of this device, or all workers of this machine together, can have."""
    where = torch_device(device)
    if where.type == "cuda":
        return int(torch.cuda.get_device_properties(where).total_memory)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, _container_limit() or machine)


def _container_limit() -> int | None:
    """Of this process's container, where there is one (Linux)."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            said = Path(name).read_text().strip()
        except OSError:
            continue
        return int(said) if said.isdigit() else None
    return None


def admit(projection: Projection | None, evaluators: int, there: int) -> None:
    """Refuse what would not fit.

    Args:
        evaluators: that share `there` bytes.

    Raises:
        UserError: they would need more than is there.
    """
    if projection is None or evaluators * projection.total <= SHARE * there:
        return
    raise UserError(
        "the evaluators would need more memory than there is",
        got=f"projected {projection} for each of {evaluators}",
        expected=f"at most {SHARE:.0%} of {there / 2**20:,.0f} MiB together",
        remedy="fewer evaluators (--actors), a machine or GPU with more memory, or smaller images",
    )
