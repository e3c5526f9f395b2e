"""Medical Segmentation Decathlon: `imagesTr/CASE.nii.gz`, perhaps 4-D, and `dataset.json`."""

from __future__ import annotations

import re
from typing import Any

from engine.collection.layouts.base import DECIDE, Part, Proposal, count
from engine.collection.layouts.dataset_json import dataset_json, label_fields
from engine.collection.layouts.images import image_fields, modality_of
from engine.collection.layouts.listing import Listing, picture_ending
from engine.collection.layouts.looking import Seen, look_at
from engine.collection.layouts.meaning import counted


def look(listing: Listing) -> Proposal | None:
    """One series; frames of a 4-D file are its channels."""
    said = dataset_json(listing)
    labels = listing.within("labelsTr")
    images = set(listing.within("imagesTr"))
    both = sorted(name for name in labels if name in images and picture_ending(name))
    if said is None or not said.structures or not both:
        return None
    ending = picture_ending(both[0]) or ""
    seen = look_at(listing.root, [f"imagesTr/{name}" for name in both], labels=False)
    masks = look_at(listing.root, [f"labelsTr/{name}" for name in both], labels=True)
    channels = said.channels if len(said.channels) > 1 else {}
    own = modality_of(next(iter(said.channels.values()), "")) if not channels else "MRI"
    rest, notes = image_fields(seen, own)
    fields: dict[str, Any] = {"images": f"imagesTr/{{case}}{ending}", **rest}
    if listing.hidden:
        fields["where"] = {"case": "[!.]*"}
    if channels:
        notes = _channels(fields, channels, seen)
    meaning, more = label_fields(said, masks)
    fields["labels"] = [{"file": f"labelsTr/{{case}}{ending}", **meaning}]
    subject = f"{DECIDE}patients: here a case is a subject; subject: <template> if names tell more"
    comments = (
        f"{count(len(both), 'image')}: {seen.summary}",
        *notes,
        counted(masks),
        *more,
        subject,
    )
    found = f"imagesTr: {len(images)} images, labelsTr: {len(labels)} labels, {len(both)} in both"
    part = Part(fields, comments)
    return Proposal("Medical Segmentation Decathlon", 0.9, (found,), (part,), said.words)


def _channels(fields: dict[str, Any], channels: dict[int, str], seen: Seen) -> list[str]:
    """Put the channels of 4-D files into a series; returns the comments."""
    fields["channels"] = {}
    unsure = []
    for number, name in channels.items():
        modality = modality_of(name)
        short = re.sub(r"[^\w.-]+", "_", name) or str(number)
        fields["channels"][number] = (
            {"name": short, "modality": modality} if modality else {"name": short}
        )
        unsure += [] if modality else [name]
    comments = [f"{DECIDE}the modality of the series and of {', '.join(unsure)}"] if unsure else []
    if seen.frames and seen.frames != {len(channels)}:
        frames = ", ".join(map(str, sorted(seen.frames)))
        comments.append(f"{DECIDE}files hold {frames} frames, dataset.json names {len(channels)}")
    return comments
