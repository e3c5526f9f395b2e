"""The one call of this room: a folder in, the text of a recipe out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from engine.collection.find import CaseSpec, find_cases
from engine.collection.layouts import coco, labelme, medsam_npz, msd, nnunet, pairs
from engine.collection.layouts.base import Layout, Proposal, recipe_text
from engine.collection.layouts.listing import Listing
from engine.collection.recipe import Recipe
from engine.configuration import validate
from engine.errors import UserError

LAYOUTS: Mapping[str, Layout] = {
    "nnU-Net: dataset.json, imagesTr/CASE_0000.*, labelsTr/CASE.*": nnunet.look,
    "Medical Segmentation Decathlon: dataset.json, imagesTr/CASE.*, labelsTr/CASE.*": msd.look,
    "COCO: a .json with images, annotations and categories": coco.look,
    "LabelMe: a .json with shapes for every image": labelme.look,
    "npz files with the arrays imgs and gts": medsam_npz.look,
    "images and labels told by names: images/ and masks/, x.png and x_mask.png, ...": pairs.look,
}


@dataclass(frozen=True)
class Proposed:
    """A recipe for a folder.

    Attributes:
        text: YAML with comments; a valid recipe.
        recipe: the same, loaded.
        layout: the layout it describes.
        others: layouts that would fit too.
        cases: what the recipe finds in the folder.
        decisions: what only a person knows, each once.
    """

    text: str
    recipe: Recipe
    layout: str
    others: tuple[str, ...]
    cases: tuple[CaseSpec, ...]
    decisions: tuple[str, ...]


def propose(folder: Path, name: str | None = None) -> Proposed:
    """Look at a folder and propose a recipe for it.

    Args:
        name: of the data set; None: the folder's.

    Raises:
        UserError: no such folder, or no layout fits; the message says what was looked for.
    """
    listing = Listing.of(folder)
    dataset = name or _name(folder)
    found = [proposal for look in LAYOUTS.values() if (proposal := look(listing))]
    found.sort(key=lambda proposal: -proposal.certainty)
    for place, proposal in enumerate(found):
        others = tuple(other.layout for other in found[place + 1 :])
        for version in (proposal, proposal.with_distinct_cases()):
            text = recipe_text(version, dataset, others)
            recipe = validate(yaml.safe_load(text), Recipe, "recipe", where="proposal")
            cases = _cases(recipe, folder)
            if not all(case.excluded for case in cases):
                return Proposed(
                    text, recipe, proposal.layout, others, cases, tuple(proposal.decisions)
                )
    raise _nothing(listing, found)


def _cases(recipe: Recipe, folder: Path) -> tuple[CaseSpec, ...]:
    """What a proposed recipe finds; nothing where its series share names of cases."""
    try:
        return tuple(find_cases(recipe, folder))
    except UserError:
        return ()


def _name(folder: Path) -> str:
    """The folder's name as a dataset's: lower case, `_` between words."""
    return re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "dataset"


def _nothing(listing: Listing, tried: list[Proposal]) -> UserError:
    endings = sorted({Path(path).suffix.lower() or "none" for path in listing.files})
    inside = sorted({path.split("/")[0] for path in listing.files if "/" in path})
    words = "; ".join(LAYOUTS)
    return UserError(
        "no known layout fits the folder",
        where=str(listing.root),
        got=f"{len(listing.files)} files with endings {', '.join(endings[:12])}"
        + (f", folders {', '.join(inside[:8])}" if inside else "")
        + (f"; looked like {tried[0].layout}, but no case came of it" if tried else ""),
        expected=words,
        remedy="give a folder inside or above it, or write a recipe by hand: a series says "
        "images: and labels: with {placeholders}",
    )
