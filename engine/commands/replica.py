"""`samscope replica`: miniatures of data sets, to try their recipes on."""

from __future__ import annotations

import os
from pathlib import Path

from engine.collection.raw import open_recipe, recipe_names
from engine.collection.recipe import Recipe
from engine.collection.replica import write_replica
from engine.collection.replica.spec import has_replica
from engine.commands.say import count, out
from engine.errors import UserError, nearest, system_words

NOTE = "REPLICA.txt"
"""Lies in every replica: nobody should take one for the data set."""

_WORDS = """\
A generated miniature of the file layout of {title} ({dataset}).
These files are phantoms made by samscope: they show no patient and are not that data set.
Dedicated to the public domain (CC0-1.0).
"""


def replica_command(recipe: str | None, folder: Path | None, *, everything: bool) -> int:
    """Write the replica of a recipe, or of all that have one; returns the exit code.

    Raises:
        UserError: neither or both asked for, no replica, or a folder with other files in it.
    """
    if (recipe is None) is not everything:
        raise UserError(
            "name one recipe, or say --all",
            got="both" if everything else "neither",
            remedy="samscope datasets lists the recipes",
        )
    if recipe is not None:
        _one(recipe, folder or Path("replicas") / open_recipe(recipe).dataset)
        return 0
    for name in recipe_names():
        if has_replica(open_recipe(name)):
            _one(name, (folder or Path("replicas")) / name)
    return 0


def _one(name: str, folder: Path) -> None:
    recipe = open_recipe(name)
    if not has_replica(recipe):
        able = [one for one in recipe_names() if has_replica(open_recipe(one))]
        raise UserError(
            f"the recipe of {recipe.dataset} has no replica: for every series",
            where=name,
            remedy=nearest(name, able) if able else None,
        )
    _prepare(folder, recipe)
    made = write_replica(recipe, folder)
    files = sum(
        sum(1 for _ in (folder / path).iterdir()) if path.endswith("/") else 1
        for path in made.files
    )
    cases = count(len(made.cases), "case")
    out(f"{recipe.dataset}: {cases} in {count(files, 'file')} -> {folder}")
    out(f"  samscope ingest {name} {folder} --out {folder.parent / 'collection.zarr'}")


def _prepare(folder: Path, recipe: Recipe) -> None:
    """Make the folder; one that holds something else is left alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.listdir(folder) and not (folder / NOTE).is_file():
            raise UserError(
                "the folder is not empty, and what is in it is no replica",
                where=str(folder),
                expected="an empty or a new folder",
                remedy="choose another --out",
            )
        (folder / NOTE).write_text(
            _WORDS.format(title=recipe.title, dataset=recipe.dataset), encoding="utf-8"
        )
    except OSError as error:
        raise UserError(
            "the folder cannot be written",
            where=str(folder),
            got=system_words(error),
            remedy="choose another --out",
        ) from error
