"""What a series says about its images: plane and place, frames, modality."""

from __future__ import annotations

import re
from typing import Any

from engine.collection.layouts.base import DECIDE
from engine.collection.layouts.looking import Seen
from engine.collection.recipe import UNKNOWN

_MODALITIES = {
    "ct": "CT", "cbct": "CT", "mr": "MRI", "mri": "MRI", "t1": "T1W", "t1w": "T1W",
    "t1gd": "T1-Gd", "t1ce": "T1-Gd", "t1c": "T1-Gd", "t2": "T2W", "t2w": "T2W",
    "flair": "T2-FLAIR", "t2flair": "T2-FLAIR", "adc": "ADC", "dwi": "DW", "pet": "PET",
    "xray": "X-ray", "cxr": "X-ray", "us": "ultrasound", "ultrasound": "ultrasound",
}  # fmt: skip


def modality_of(name: str) -> str | None:
    """The modality a channel's name means, in the words of the shipped recipes; None if unsure."""
    return _MODALITIES.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def image_fields(seen: Seen, modality: str | None) -> tuple[dict[str, Any], list[str]]:
    """(fields of a series, comments) that follow from its images."""
    fields: dict[str, Any] = {"modality": modality or UNKNOWN}
    comments = []
    if modality is None:
        comments.append(f"{DECIDE}the modality, such as CT, MRI, T2W, ultrasound, X-ray, fundus")
    if seen.kinds == {"volume"} and seen.single_slice:
        fields["flat"] = True
        comments.append("one slice per file: read as pictures, not as volumes (flat)")
    elif "volume" in seen.kinds and not seen.placed:
        fields["orientation"] = "LPS"
        comments.append(f"{DECIDE}the files do not say where left and right are; LPS is a guess")
        comments.append(f"{DECIDE}spacing_mm: [slice, row, column], if the files do not say it")
    if max(seen.frames, default=1) > 1:
        frames = ", ".join(map(str, sorted(seen.frames)))
        comments.append(f"{DECIDE}files hold {frames} frames: one case each; or frames: slices")
    return fields, comments
