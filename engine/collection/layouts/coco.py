"""COCO: pictures anywhere, outlines in JSON files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from engine.collection.layouts.base import DECIDE, Part, Proposal, count
from engine.collection.layouts.folders import common_template
from engine.collection.layouts.images import image_fields
from engine.collection.layouts.listing import Listing, picture_ending
from engine.collection.layouts.looking import look_at
from engine.collection.readers.coco import CROWD, INSTANCE, CocoFile
from engine.collection.readers.json_text import read_label_file
from engine.collection.template import search
from engine.errors import CaseRefusedError

_MOST_FILES = 40


def look(listing: Listing) -> Proposal | None:
    """One series per COCO file and place of its pictures."""
    parts, found = list[Part](), list[str]()
    known = matched = 0
    for path in _candidates(listing):
        try:
            file = read_label_file(listing.root / path)
        except CaseRefusedError:
            continue
        if isinstance(file, CocoFile) and any(file.images):
            images = _images(file, listing)
            known += sum(map(len, file.images.values()))
            matched += len(images)
            found.append(f"{path}: {len(images)} of its images are here")
            parts += _parts(path, file, images, listing)
    if not parts:
        return None
    share = matched / max(known, 1)
    return Proposal("COCO", 0.6 + 0.35 * share, tuple(found), tuple(parts), {})


def _candidates(listing: Listing) -> list[str]:
    """JSON files, fewest folders deep first: one per image would be another layout."""
    found = [path for path in listing.files if path.lower().endswith(".json")]
    return sorted(found, key=lambda path: (path.count("/"), path))[:_MOST_FILES]


def _images(file: CocoFile, listing: Listing) -> list[str]:
    """Pictures of the folder that the file lists."""
    out = []
    for path in listing.pictures:
        try:
            file.entry(listing.root / path)
        except CaseRefusedError:
            continue
        out.append(path)
    return out


def _parts(path: str, file: CocoFile, images: list[str], listing: Listing) -> Iterator[Part]:
    groups: dict[tuple[str, int], list[str]] = {}
    for image in images:
        key = (picture_ending(image) or "", image.count("/"))
        groups.setdefault(key, []).append(image)
    labels, notes = _labels(path, file)
    for (ending, _), group in sorted(groups.items()):
        template = common_template(group, ending)
        if template is None:
            continue
        fields: dict[str, Any] = {"images": template.images}
        if template.case:
            fields["case"] = template.case
        seen = look_at(listing.root, group, labels=False)
        rest, more = image_fields(seen, None)
        listed = set(group)
        strange = [m.path for m in search(listing.root, template.images) if m.path not in listed]
        if strange:
            words = f"not in {path}, but images fits them: {count(len(strange), 'file')}"
            more.append(f"{DECIDE}{words}, such as {strange[0]}; they would be refused")
        subject = f"{DECIDE}patients: subject: <template>, else every picture is one"
        comments = (f"{count(len(group), 'image')}: {seen.summary}", *notes, *more, subject)
        yield Part({**fields, **rest, "labels": labels}, comments)


def _labels(path: str, file: CocoFile) -> tuple[list[dict[str, Any]], list[str]]:
    every = [entry for group in file.annotations.values() for entry in group]
    counts = Counter(str(file.categories.get(entry.get("category_id"))) for entry in every)
    names = list(dict.fromkeys(file.categories.values()))
    crowds = Counter(
        str(file.categories.get(entry.get("category_id"))) + CROWD
        for entry in every
        if entry.get("iscrowd") in (1, True)
    )
    numbered = any(INSTANCE in entry for entry in every)
    notes = [f"annotations: {', '.join(f'{name} ({counts[name]})' for name in names)}"]
    if not numbered:
        notes.append(f"{DECIDE}one object per annotation (instances), or their union per picture?")
    if crowds:
        words = ", ".join(f"{name} ({number})" for name, number in crowds.items())
        notes.append(f"{DECIDE}crowds, several objects under one outline: {words}; left out here")
    out: dict[str, Any] = {"file": path, "kind": "objects", "instances": True}
    out["structures"] = {name: name for name in names}
    if crowds:
        out["ignore"] = list(crowds)
    return _split(out, every, file), notes


def _split(source: dict[str, Any], every: Sequence[Any], file: CocoFile) -> list[dict[str, Any]]:
    """Two sources where the file numbers the objects of some categories only."""
    numbered = {file.categories.get(e.get("category_id")) for e in every if INSTANCE in e}
    plain = [name for name in source["structures"] if name not in numbered]
    if not numbered or not plain:
        return [source]
    ignore = source.get("ignore", [])
    return [
        {
            **source,
            "structures": {n: n for n in source["structures"] if n in numbered},
            "ignore": [*ignore, *plain],
        },
        {
            "file": source["file"],
            "kind": "objects",
            "structures": {name: name for name in plain},
            "ignore": [*ignore, *sorted(map(str, numbered))],
        },
    ]
