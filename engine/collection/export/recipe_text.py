"""The recipe that reads an export back, as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from engine.collection.export.cases import Row
from engine.collection.recipe import Recipe
from engine.configuration import validate


def recipe_text(dataset: Row, series: list[dict[str, Any]], words: str) -> str:
    """A recipe with the dataset's own words, checked against the grammar."""
    fields = {
        "dataset": dataset["dataset"],
        "title": dataset["title"],
        "licence": dataset["licence"],
        # another source, so that it never takes the original's place in its own collection
        "source": f"{dataset['source']} (exported by samscope)",
        "version": max(1, int(dataset["recipe_version"])),
        "series": series,
    }
    validate(fields, Recipe, "recipe", where="export")
    body = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
    return f"# {words}\n{body}"


def common_spacing(cases: list[tuple[float | None, ...]]) -> dict[str, Any]:
    """`spacing_mm` of a series where all its pictures have the same one."""
    rows = set(cases)
    if len(rows) != 1 or None in (only := next(iter(rows))):
        return {}
    return {"spacing_mm": [float(n) for n in only[-2:] if n is not None]}


def literal(text: str) -> str:
    """Text inside a template: braces would be read as placeholders."""
    return text.replace("{", "%7B").replace("}", "%7D")
