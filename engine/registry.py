"""One generic, lazy registry: strategies, metrics, factors, readers and models all use it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from engine.errors import UserError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to objects, imported on first use.

    Args:
        kind: what the registry holds, in the singular; appears in error messages.
        entries: name -> "package.module:attribute".
    """

    def __init__(self, kind: str, entries: dict[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def register(self, name: str, target: str) -> None:
        """Add an entry. Raises UserError when `name` is taken by another target."""
        taken = self._entries.get(name)
        if taken is not None and taken != target:
            raise UserError(
                f"{self.kind} '{name}' is registered twice",
                where=target,
                got=taken,
                remedy=f"give one {self.kind} another name",
            )
        self._entries[name] = target

    def get(self, name: str) -> T:
        """The object behind `name`. Raises UserError naming the nearest valid name."""
        target = self._entries.get(name)
        if target is None:
            raise UserError(
                f"unknown {self.kind} '{name}'", got=name, remedy=nearest(name, self._entries)
            )
        module, _, attribute = target.partition(":")
        return cast(T, getattr(importlib.import_module(module), attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries
