"""`samscope datasets`: which data sets have a recipe, and what each recipe knows and does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.collection import template
from engine.collection.raw import open_recipe, recipe_names
from engine.collection.recipe import LabelSource, Recipe
from engine.commands.say import count, out
from engine.results.export import export

_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("cosmos", pa.string()),
        pa.field("modalities", pa.string()),
        pa.field("structures", pa.int32()),  # null: file names say them
        pa.field("status", pa.string()),  # real | replica | null
        pa.field("unsure", pa.int32()),
        pa.field("licence", pa.string()),
        pa.field("title", pa.string()),
    ]
)
_SHOWN = ["name", "title", "modalities", "structures", "status", "unsure"]
_LONGEST = 32  # characters of a table's cell: the columns must fit a terminal

Tree = dict[str, "Tree"]


def datasets_command(name: str | None, fmt: str, *, everything: bool) -> int:
    """List the data sets of COSMOS 1050K, all recipes, or one recipe whole."""
    if name is not None and fmt == "table":
        for line in _whole(_opened(name)):
            out(line)
        return 0
    if name is not None:
        opened = _opened(name)
        rows = [_row(opened.dataset, opened)]
    else:
        recipes = {name: open_recipe(name) for name in recipe_names()}
        rows = [_row(n, r) for n, r in recipes.items() if everything or r.cosmos is not None]
    listed = pa.Table.from_pylist(rows, _SCHEMA)
    if fmt == "table":
        rows = [{key: _cut(value) for key, value in row.items()} for row in rows]
        listed = pa.Table.from_pylist(rows, _SCHEMA).select(_SHOWN)
        out("unsure: how many things a recipe could not establish; `samscope datasets NAME` tells")
    export(listed, fmt, sys.stdout.buffer)
    return 0


def _opened(name: str) -> Recipe:
    """A recipe by its name, file, or the data set's name in COSMOS."""
    if name not in recipe_names() and not Path(name).suffix:
        for other in recipe_names():
            recipe = open_recipe(other)
            if name.lower() in ((recipe.cosmos or "").lower(), recipe.dataset.lower()):
                return recipe
    return open_recipe(name)


def _row(name: str, recipe: Recipe) -> dict[str, Any]:
    structures = _structures(recipe)
    return {
        "name": name,
        "cosmos": recipe.cosmos,
        "modalities": ", ".join(_modalities(recipe)),
        "structures": None if structures is None else len(structures),
        "status": recipe.checked,
        "unsure": len(recipe.unsure),
        "licence": recipe.licence,
        "title": recipe.title,
    }


def _cut(value: Any) -> Any:
    return (
        f"{value[: _LONGEST - 1]}…" if isinstance(value, str) and len(value) > _LONGEST else value
    )


def _modalities(recipe: Recipe) -> list[str]:
    """Each once, in the recipe's order."""
    return list(
        dict.fromkeys(
            modality
            for series in recipe.series
            for modality in (
                [channel.modality or series.modality for channel in series.channels.values()]
                or [series.modality]
            )
        )
    )


def _structures(recipe: Recipe) -> list[str] | None:
    """All structures, in the recipe's order; None where file names say them."""
    labels = [label for series in recipe.series for label in series.labels]
    if any("structure" in template.placeholders(label.file) for label in labels):
        return None
    return list(dict.fromkeys(name for label in labels for name in label.fixed_structures))


def _whole(recipe: Recipe) -> Iterator[str]:
    """Everything a person wants to know before they fetch the data set."""
    yield f"{recipe.dataset}: {recipe.title}"
    facts = {
        "cosmos": recipe.cosmos,
        "modalities": ", ".join(_modalities(recipe)),
        "licence": recipe.licence,
        "paper": recipe.paper,
        "source": recipe.source,
        "get": recipe.get,
        "layout from": recipe.layout_from,
        "checked": {
            "real": "on files of the data set",
            "replica": "on a generated miniature only (samscope replica)",
        }.get(recipe.checked or ""),
    }
    for word, text in facts.items():
        if text is not None:
            yield f"  {word:12} {' '.join(text.split())}"
    yield "files, below the folder you give to samscope ingest"
    yield from _drawn(_tree(recipe), "  ")
    structures = _structures(recipe)
    if structures is None:
        yield "structures: as the files are named"
    else:
        yield f"{count(len(structures), 'structure')}: {', '.join(structures)}"
    for title, sentences in (("unsure", recipe.unsure), ("left out", recipe.excluded)):
        if sentences:
            yield title
            yield from (f"  - {' '.join(sentence.split())}" for sentence in sentences)
    if recipe.skip:
        yield "skipped cases"
        yield from (f"  - {case}: {reason}" for case, reason in recipe.skip.items())


def _tree(recipe: Recipe) -> Tree:
    """Folders and files of all templates; what a file is stands behind its name."""
    root: Tree = {}
    for series in recipe.series:
        _plant(root, series.images, f"image, {series.modality}")
        for label in series.labels:
            _plant(root, label.file, _meaning(label))
    return root


def _plant(root: Tree, path: str, what: str) -> None:
    *folders, last = path.removesuffix("/").split("/")
    for folder in folders:
        root = root.setdefault(f"{folder}/", {})
    slash = "/" if path.endswith("/") else ""
    root.setdefault(f"{last}{slash}\0{what}", {})


def _meaning(label: LabelSource) -> str:
    names = label.fixed_structures
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"label, {shown or '{structure}'}" + (" (may be absent)" if label.optional else "")


def _drawn(tree: Mapping[str, Tree], indent: str) -> Iterator[str]:
    for name, below in tree.items():
        file, _, what = name.partition("\0")
        yield f"{indent}{file}" + (f"   {what}" if what else "")
        yield from _drawn(below, indent + "  ")
