"""Who does which unit where helpers work beside a stream; small, as it is a process of its own."""

from __future__ import annotations

from collections.abc import Sequence


class Shares:
    """Who does which unit of a list: the stream, or a helper that finished it before.

    Args:
        unit_ids: in the order in which the stream gets them.
    """

    def __init__(self, unit_ids: Sequence[str]) -> None:
        self._places = {unit_id: place for place, unit_id in enumerate(unit_ids)}
        self._untaken = len(unit_ids)
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    def begin(self, unit_id: str) -> bool:
        """The stream is at this unit; False: a helper has finished it."""
        place = self._places[unit_id]
        if place in self._finished:
            return False
        self._begun.add(place)
        return True

    def take(self) -> int | None:
        """The last place that nobody has begun, for a helper; None: there is no other."""
        while self._untaken > 0:
            self._untaken -= 1
            if self._untaken not in self._begun:
                return self._untaken
        return None

    def finish(self, place: int) -> bool:
        """A helper has committed the unit at this place; False: the stream does it as well."""
        if place in self._begun:
            return False
        self._finished.add(place)
        return True
