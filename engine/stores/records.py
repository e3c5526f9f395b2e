"""Small objects that several processes change in turns: JSON and the tag of its version."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from engine.errors import CorruptDataError
from engine.stores.objects import ObjectStore

T = TypeVar("T")


def read_record(
    store: ObjectStore,
    name: str,
    parse: Callable[[dict[str, Any]], T],
    *,
    what: str,
    expected: str,
    remedy: str,
) -> tuple[T, str] | None:
    """A record and its tag, to be given back when it is replaced; None where there is none.

    Args:
        parse: makes it of what lies there; raises ValueError or TypeError where it is no such.
        what, expected, remedy: words for that.

    Raises:
        CorruptDataError: something else lies under that name.
    """
    try:
        data, tag = store.fetch(name)
    except FileNotFoundError:
        return None
    try:
        return parse(json.loads(data)), str(tag)
    except (ValueError, TypeError) as error:
        raise CorruptDataError(
            what, where=store.location(name), got=error, expected=expected, remedy=remedy
        ) from error
