"""Units shared out between pools of evaluators: whoever is free takes the next.

A pool of slow machines must not take units ahead that a fast one could finish in the meantime: it
has as many in hand as it may, and its readers wait. When no unit is left, those that another pool
still has in hand are given once more: neither a slow machine nor a lost one can hold up the end.
Both may then commit; a cell counts once (`engine.results.ledger`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, SupportsBytes

import ray

from engine.pipeline.cluster import this_node


class Given(NamedTuple):
    """A unit for a pool's reader.

    Attributes:
        packed: `UnitTask.pack()`.
        again: whether another pool has it in hand too.
    """

    packed: SupportsBytes
    again: bool = False


class Shares:
    """What is left, and what each pool has in hand.

    Readers of a pool are numbered: one that Ray starts anew is given what it was given before.

    Args:
        packed: by unit, `UnitTask.pack()`, in the order they should start.
        most: of each pool, units it may have in hand.
    """

    def __init__(self, packed: Mapping[str, bytes], most: Sequence[int]) -> None:
        self._left = dict(reversed(list(packed.items())))  # the next is at the end
        self._in_hand: list[dict[str, SupportsBytes]] = [{} for _ in most]
        self._had: list[set[str]] = [set() for _ in most]
        self._most = most
        self._given: dict[tuple[int, int], Given | None] = {}
        self._change = asyncio.Condition()

    async def take(self, pool: int, reader: int) -> Given | None:
        """The unit of a pool's reader; None: there is nothing for it to do."""
        key = (pool, reader)
        async with self._change:
            await self._change.wait_for(
                lambda: key in self._given or len(self._in_hand[pool]) < self._most[pool]
            )
            if key not in self._given:
                self._given[key] = self._next(pool)
            return self._given[key]

    def _next(self, pool: int) -> Given | None:
        if self._left:
            unit, packed = self._left.popitem()
            given = Given(packed)
        else:
            others = {unit: packed for hand in self._in_hand for unit, packed in hand.items()}
            unit = next((unit for unit in others if unit not in self._had[pool]), "")
            if not unit:
                return None
            given = Given(others[unit], again=True)
        self._in_hand[pool][unit] = given.packed
        self._had[pool].add(unit)
        return given

    async def done(self, unit: str) -> None:
        """A unit is finished, whoever else has it in hand."""
        async with self._change:
            for hand in self._in_hand:
                hand.pop(unit, None)
            self._change.notify_all()


def share_out(packed: Mapping[str, bytes], most: Sequence[int]) -> Any:
    """A handle of `Shares` on the driver's own machine: it lives as long as the driver."""
    shares = ray.remote(num_cpus=0)(Shares)
    here = {"ray.io/node-id": this_node()}
    return shares.options(label_selector=here, max_concurrency=1000).remote(packed, most)
