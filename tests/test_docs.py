"""The recipes that the documentation shows are recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from engine.analysis import QUESTIONS
from engine.collection.recipe import Recipe
from engine.configuration import validate

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("docs/recipes.md", "CONTRIBUTING.md")
SHOWN = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    if block.startswith("dataset:")
]


def test_there_are_some() -> None:
    assert [page for page, _ in SHOWN].count("docs/recipes.md") == 3
    assert "CONTRIBUTING.md" in dict(SHOWN)


@pytest.mark.parametrize(("page", "block"), SHOWN, ids=[page for page, _ in SHOWN])
def test_a_recipe_of_the_docs_is_valid(page: str, block: str) -> None:
    validate(yaml.safe_load(block), Recipe, "recipe", where=page)


def test_every_question_is_in_the_docs_with_an_example() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| `ask RUN (\w+)[^`]*` \|$",
        (ROOT / "docs/questions.md").read_text(),
        re.MULTILINE,
    )
    assert all(name == asked for name, asked in rows)
    assert [name for name, _ in rows] == list(QUESTIONS)
