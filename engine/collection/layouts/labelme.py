"""LabelMe: a JSON file beside every picture, or in a folder of their own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.collection.layouts.base import DECIDE, Part, Proposal, count, one_line
from engine.collection.layouts.folders import common_template
from engine.collection.layouts.images import image_fields
from engine.collection.layouts.listing import Listing, picture_ending
from engine.collection.layouts.looking import look_at
from engine.collection.readers.json_text import read_label_file
from engine.collection.readers.labelme import LabelMeFile
from engine.errors import CaseRefusedError

_NAMES = 2_000
"""Files that are opened for the names of their labels; a name not seen refuses its case."""


def look(listing: Listing) -> Proposal | None:
    """One series per ending and folder of pictures with a JSON file of the same name."""
    files = [path for path in listing.files if path.lower().endswith(".json")]
    names = _labels(listing, files[:_NAMES])
    if not names:
        return None
    by_stem: dict[str, list[str]] = {}
    for path in files:
        by_stem.setdefault(path.rpartition("/")[2][: -len(".json")], []).append(path)
    groups: dict[tuple[str, str, str], list[str]] = {}
    for path in listing.pictures:
        folder, _, name = path.rpartition("/")
        ending = picture_ending(path) or ""
        jsons = by_stem.get(name[: len(name) - len(ending)], [])
        if jsons:
            beside = min(jsons, key=lambda p: (p.rpartition("/")[0] != folder, p))
            groups.setdefault((folder, beside.rpartition("/")[0], ending), []).append(path)
    parts = [p for key, group in sorted(groups.items()) if (p := _part(listing, key, group, names))]
    if not parts:
        return None
    paired = sum(map(len, groups.values()))
    found = f"{len(files)} LabelMe files, {paired} with a picture of the same name"
    return Proposal("LabelMe", 0.55 + 0.35 * paired / len(files), (found,), tuple(parts), {})


def _labels(listing: Listing, files: list[str]) -> Counter[str]:
    """Shapes per label; none where the files are not LabelMe's."""
    names: Counter[str] = Counter()
    strange = 0
    for path in files:
        try:
            file = read_label_file(listing.root / path)
        except CaseRefusedError:
            file = None
        if not isinstance(file, LabelMeFile):
            strange += 1
            if strange > 20 and not names:
                break
            continue
        names.update(one_line(str(shape.get("label"))) for shape in file.shapes)
    return names


def _part(
    listing: Listing, key: tuple[str, str, str], group: list[str], names: Counter[str]
) -> Part | None:
    _, labels, ending = key
    template = common_template(group, ending)
    if template is None or "{" in labels:
        return None
    seen = look_at(listing.root, group, labels=False)
    fields, notes = image_fields(seen, None)
    stem = template.images.rpartition("/")[2][: -len(ending)]
    source: dict[str, Any] = {
        "file": f"{labels}/{stem}.json" if labels else f"{stem}.json",
        "kind": "objects",
        "instances": True,
        "structures": {name: name for name in sorted(names)},
    }
    comments = (
        f"{count(len(group), 'image')}: {seen.summary}",
        f"shapes: {', '.join(f'{name} ({number})' for name, number in sorted(names.items()))}",
        *notes,
        f"{DECIDE}one object per shape (instances), or their union per picture?",
        f"{DECIDE}patients: subject: <template>, else every picture is one",
    )
    return Part({"images": template.images, **fields, "labels": [source]}, comments)
