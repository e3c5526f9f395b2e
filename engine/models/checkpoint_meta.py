"""What a checkpoint of samscope says of its weights' past, checked before anyone leans on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def parse_meta(text: str) -> dict[str, Any]:
    """The record in a file's header.

    Raises:
        ValueError: not JSON, or `trained_on`, `trained_subjects` or `subjects` are no names.
    """
    meta = json.loads(text)
    if not isinstance(meta, dict):
        raise ValueError(f"its record is not a mapping but {type(meta).__name__}")
    for field in ("trained_on", "trained_subjects"):
        _names(field, meta.get(field, []))
    subjects = meta.get("subjects", {})
    if not isinstance(subjects, Mapping):
        raise ValueError("'subjects' is not a mapping")
    for part, names in subjects.items():
        _names(f"subjects.{part}", names)
    return meta


def _names(field: str, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"'{field}' is not a list of names")
