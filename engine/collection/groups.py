"""Waiting room of single images: they leave in closed groups of equal shape and dtype."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.collection.case import CuratedCase
from engine.collection.fragments import Origin

GROUP_IMAGES = 32
PENDING_BYTES = 256 * 2**20
"""Raw bytes that may wait; beyond it the largest group leaves early, so memory stays bounded."""


@dataclass(frozen=True)
class Waiting:
    """A single image and where it came from.

    Attributes:
        home: the group it lay in before its group was made anew; None for a new image.
    """

    case: CuratedCase
    origin: Origin
    home: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Images with equal keys share an array."""
        image = self.case.image
        return (image.shape[1:], image.dtype.name, self.home or "")

    @property
    def raw_bytes(self) -> int:
        return self.case.image.nbytes + self.case.labels.nbytes


class ImageGroups:
    """Images by key, in the order they came.

    The order in which groups leave depends only on the images that wait, so an ingest that was
    killed and resumed forms the same groups as one that was not.
    """

    def __init__(self, size: int = GROUP_IMAGES, budget_bytes: int = PENDING_BYTES) -> None:
        self._size = size
        self._budget = budget_bytes
        self._waiting: dict[tuple[object, ...], list[Waiting]] = {}

    def add(self, image: Waiting) -> Iterator[list[Waiting]]:
        """Let an image wait; yields the groups that must leave now."""
        group = self._waiting.setdefault(image.key, [])
        group.append(image)
        if len(group) >= self._size:
            yield self._waiting.pop(image.key)
        while self._bytes() > self._budget:
            yield self._waiting.pop(max(self._waiting, key=self._weight))

    def flush(self) -> Iterator[list[Waiting]]:
        """Yields what still waits, by the order of each group's first image."""
        while self._waiting:
            yield self._waiting.pop(next(iter(self._waiting)))

    def _weight(self, key: tuple[object, ...]) -> int:
        return sum(image.raw_bytes for image in self._waiting[key])

    def _bytes(self) -> int:
        return sum(self._weight(key) for key in self._waiting)
