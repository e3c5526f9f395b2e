"""YAML as plain data: no tags that run code, nothing repeated, nothing that unfolds without end.

PyYAML keeps the last of two equal keys and says nothing: `{1: liver, 1: spleen}` would lose a
structure. And a kilobyte of anchors can stand for more words than fit into memory.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MOST_WORDS = 1_000_000
"""Of a file with its anchors unfolded; the largest recipe has some thousands."""


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that is written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                value = self.construct_object(key)  # 1, 01 and true are one key of a mapping
                if value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"'{key.value}' is written twice", key.start_mark
                    )
                seen.add(value)
        return super().construct_mapping(node, deep)


def read_plain(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        yaml.YAMLError: not YAML, a tag, a repeated key, an anchor within itself, nested too deeply,
            or more than `MOST_WORDS` when unfolded.
    """
    try:
        value = yaml.load(text, _PlainLoader)
        if _words(value, {}) > MOST_WORDS:
            raise yaml.YAMLError(f"its anchors unfold to more than {MOST_WORDS:,} words")
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    return value


def _words(value: object, known: dict[int, int | None]) -> int:
    """How many values a value holds, those behind anchors counted each time."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = None
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_words(part, known) for part in parts)
    count = known[id(value)]
    if count is None:
        raise yaml.YAMLError("an anchor stands within itself")
    return count
