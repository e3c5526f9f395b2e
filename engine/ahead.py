"""Making the next thing ready while the last one is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_END = object()


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made by one other thread while the one before it is used.

    Never more than one is waiting. What making an item raises is raised in that item's place.
    """
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="one-ahead") as thread:
        coming = thread.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, source, _END)
            yield item  # type: ignore[misc]
