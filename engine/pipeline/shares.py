"""Who does which unit where helpers work beside a stream; small, as it is a process of its own."""

from __future__ import annotations

from collections.abc import Sequence


class Shares:
    """Who does which unit of a list: the stream from its front, helpers from its end.

    Args:
        unit_ids: in the order in which the stream gets them.
    """

    def __init__(self, unit_ids: Sequence[str]) -> None:
        self._places = {unit_id: place for place, unit_id in enumerate(unit_ids)}
        self._untaken = len(unit_ids)
        self._begun: dict[int, None] = {}  # in that order
        self._taken: set[int] = set()
        self._finished: set[int] = set()

    def begin(self, unit_id: str) -> bool:
        """The stream is at this unit; False: it is finished."""
        place = self._places[unit_id]
        if place in self._finished:
            return False
        self._begun.setdefault(place)
        return True

    def take(self) -> int | None:
        """A place for a helper, each once; None: there is no other.

        The last one that nobody has begun; where there is none, the one that the stream has been at
        for longest, in case its evaluator never comes to an end.
        """
        while self._untaken > 0:
            self._untaken -= 1
            if self._untaken not in self._begun:
                return self._take(self._untaken)
        for place in self._begun:
            if place not in self._taken and place not in self._finished:
                return self._take(place)
        return None

    def finish(self, unit_id: str) -> None:
        """A unit is committed, whoever did it."""
        self._finished.add(self._places[unit_id])

    def _take(self, place: int) -> int:
        self._taken.add(place)
        return place
