"""nnU-Net: `imagesTr/CASE_0000.ENDING`, `labelsTr/CASE.ENDING` and `dataset.json`."""

from __future__ import annotations

import re
from collections import Counter

from engine.collection.layouts.base import DECIDE, Part, Proposal, count
from engine.collection.layouts.dataset_json import DatasetJson, dataset_json, label_fields
from engine.collection.layouts.images import image_fields, modality_of
from engine.collection.layouts.listing import Listing, picture_ending
from engine.collection.layouts.looking import look_at
from engine.collection.layouts.meaning import counted

_PARTS = (("Tr", "train"), ("Ts", "test"))


def look(listing: Listing) -> Proposal | None:
    """Every channel file becomes a series of its own; cases of a subject share it."""
    said = dataset_json(listing)
    if said is None or not said.structures:
        return None
    splits = [(part, split) for part, split in _PARTS if listing.within(f"labels{part}")]
    parts, found = list[Part](), list[str]()
    for part, split in splits:
        series, line = _series(listing, said, part, split if len(splits) > 1 else None)
        parts += series
        found.append(line)
    if not parts:
        return None
    return Proposal("nnU-Net", 0.95, tuple(found), tuple(parts), said.words)


def _series(
    listing: Listing, said: DatasetJson, part: str, split: str | None
) -> tuple[list[Part], str]:
    names = listing.within(f"images{part}")
    ending = said.ending or _usual_ending(names)
    found: dict[int, list[str]] = {}
    for name in names:
        match = re.fullmatch(r"(.+)_(\d{4})" + re.escape(ending), name)
        if match:
            found.setdefault(int(match[2]), []).append(match[1])
    labels = [f"labels{part}/{name}" for name in listing.within(f"labels{part}", ending)]
    cases = {case for group in found.values() for case in group}
    line = (
        f"images{part}: {count(len(cases), 'case')}, {count(len(found), 'channel')}; "
        f"labels{part}: {count(len(labels), 'file')}"
    )
    seen = look_at(listing.root, labels, labels=True)
    fields, notes = label_fields(said, seen)
    out = []
    for number, group in sorted(found.items()):
        out.append(_channel(listing, said, part, split, ending, number, group, len(found) > 1))
    for place, one in enumerate(out):
        own = {"file": f"labels{part}/{_stem(len(found) > 1)}{ending}", **fields}
        comments = (*one.comments, *([counted(seen), *notes] if place == 0 else ()))
        out[place] = Part({**one.fields, "labels": [own]}, comments)
    return out, line


def _stem(several: bool) -> str:
    return "{subject}" if several else "{case}"


def _channel(
    listing: Listing,
    said: DatasetJson,
    part: str,
    split: str | None,
    ending: str,
    number: int,
    cases: list[str],
    several: bool,
) -> Part:
    name = said.channels.get(number, f"{number:04d}")
    images = [f"images{part}/{case}_{number:04d}{ending}" for case in sorted(cases)]
    seen = look_at(listing.root, images, labels=False)
    rest, notes = image_fields(seen, modality_of(name))
    short = re.sub(r"[^\w.-]+", "_", name) or f"{number:04d}"
    fields = {
        "images": f"images{part}/{_stem(several)}_{number:04d}{ending}",
        **({"case": f"{{subject}}_{short}"} if several else {}),
        **({"split": split} if split else {}),
        **({"where": {_stem(several).strip("{}"): "[!.]*"}} if listing.hidden else {}),
        **rest,
    }
    subject = f"{DECIDE}patients: here a case is a subject; subject: <template> if names tell more"
    comments = (
        f"channel {number} ({name}), {count(len(cases), 'image')}: {seen.summary}",
        *notes,
        subject,
    )
    return Part(fields, comments)


def _usual_ending(names: list[str]) -> str:
    endings = Counter(ending for name in names if (ending := picture_ending(name)))
    return endings.most_common(1)[0][0] if endings else ".nii.gz"
