"""What evaluators need of memory: stated in a plan, refused before a run that has not got it."""

from __future__ import annotations

import os
from functools import reduce
from pathlib import Path

import torch

from engine.errors import UserError
from engine.models.memory import Projection, Workload, project
from engine.models.numerics import Numerics, torch_device
from engine.models.registry import KINDS, request
from engine.planning.ground import Planning
from engine.study import ModelChoice, PointsParams, Strategy

SHARE = 0.95
"""Of a machine's memory that evaluators may fill."""


def projected(planning: Planning, numerics: Numerics | None = None) -> Projection | None:
    """One evaluator with all models of the study; None where none of them has a network.

    Args:
        numerics: of the evaluator; None: the plan's.
    """
    kind = numerics or planning.plan.numerics
    found = [
        one
        for choice in planning.plan.study.models
        if (one := _of_model(planning, choice, kind)) is not None
    ]
    return reduce(Projection.beside, found) if found else None


def _of_model(planning: Planning, choice: ModelChoice, numerics: Numerics) -> Projection | None:
    plan, asked = planning.plan, request(choice)
    network = KINDS.get(asked.config.kind).network
    if network is None:
        return None
    strategies, card = plan.study.strategies_of(choice), plan.cards[choice.name]
    workload = Workload(
        plan.units.sampled.sizes(),
        tokens=max((_tokens(strategy) for strategy in strategies), default=0),
        everything=any(not strategy.prompted for strategy in strategies),
        candidates=len(card.candidates),
    )
    return project(network(asked), card.parameters, numerics, workload)


def _tokens(strategy: Strategy) -> int:
    """Sparse tokens of its prompts; a box takes two, points without one a padding token."""
    if not strategy.prompted:
        return 0
    params = strategy.params
    points = params.positive + params.negative if isinstance(params, PointsParams) else 0
    return points + (1 if strategy.kind == "points" else 2)


def memory_of(device: str) -> int:
    """Bytes that a worker of this device, or all workers of this machine together, can have."""
    where = torch_device(device)
    if where.type == "cuda":
        return int(torch.cuda.get_device_properties(where).total_memory)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, container_limit() or machine)


def container_limit(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes allowed to this process by its control group and those around it (Linux).

    None where there is no limit, or no control group.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            top, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = top / path.lstrip("/")
        # A namespace may hide the groups around; those that can be seen are asked.
        for group in (inner, *inner.parents):
            if group.is_relative_to(top):
                limits += _number(group / name)
    return min(limits, default=None)


def _number(file: Path) -> list[int]:
    try:
        said = file.read_text().strip()
    except OSError:
        return []
    return [int(said)] if said.isdigit() else []  # "max": none


def room(projection: Projection | None, evaluators: int, there: int) -> int:
    """How many of these evaluators fit `there` bytes together."""
    if projection is None:
        return evaluators
    return min(evaluators, int(SHARE * there / projection.total))


def admit(projection: Projection | None, evaluators: int, there: int) -> None:
    """Refuse what would not fit.

    Args:
        evaluators: that share `there` bytes.

    Raises:
        UserError: they would need more than is there.
    """
    if projection is None or room(projection, evaluators, there) == evaluators:
        return
    raise UserError(
        "the evaluators would need more memory than there is",
        got=f"projected {projection} for each of {evaluators}",
        expected=f"at most {SHARE:.0%} of {there / 2**20:,.0f} MiB together",
        remedy="fewer evaluators (--actors), a machine or GPU with more memory, or smaller images",
    )
