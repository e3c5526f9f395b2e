"""MedSAM's npz files: arrays `imgs` and `gts` in one file.

A volume is [z, y, x] without a place in the patient, a picture [y, x] or [y, x, 3].
"""

from __future__ import annotations

import zipfile
from collections import Counter
from typing import Any

from engine.collection.layouts.base import DECIDE, Part, Proposal, count
from engine.collection.layouts.folders import common_template
from engine.collection.layouts.images import image_fields
from engine.collection.layouts.listing import Listing
from engine.collection.layouts.looking import look_at, sample
from engine.collection.layouts.meaning import proposed_meaning
from engine.collection.layouts.shapes import Shape, image_axes, npy_shape
from engine.collection.readers.base import How

_IMAGE, _LABEL = "imgs", "gts"


def look(listing: Listing) -> Proposal | None:
    """One series per kind of array and depth of folders."""
    files = [path for path in listing.files if path.lower().endswith(".npz")]
    groups: dict[str, list[str]] = {}
    for path in files:
        shapes = _shapes(listing, path)
        axes = image_axes(*shapes) if shapes else None
        if axes is not None:
            groups.setdefault(axes, []).append(path)
    depth = Counter((axes, path.count("/")) for axes, group in groups.items() for path in group)
    parts = []
    for (axes, deep), _ in depth.most_common():
        group = [path for path in groups[axes] if path.count("/") == deep]
        part = _part(listing, group, axes)
        parts += [part] if part else []
    if not parts:
        return None
    fitting = sum(depth.values())
    found = f"{fitting} npz files with {_IMAGE} and {_LABEL}, of {len(files)}"
    return Proposal(
        "npz with imgs and gts", 0.5 + 0.4 * fitting / len(files), (found,), tuple(parts), {}
    )


def _shapes(listing: Listing, path: str) -> tuple[Shape, Shape] | None:
    """Shapes of image and label, from their headers; None where one is missing."""
    try:
        with zipfile.ZipFile(listing.root / path) as archive:
            shapes = []
            for name in (_IMAGE, _LABEL):
                with archive.open(f"{name}.npy") as stream:
                    shapes.append(npy_shape(stream))  # type: ignore[arg-type]  # reads bytes
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return None
    return shapes[0], shapes[1]


def _part(listing: Listing, group: list[str], axes: str) -> Part | None:
    template = common_template(group, group[0][-4:])
    if template is None:
        return None
    how, of_label = How(_IMAGE, axes), How(_LABEL, axes[:2] if axes == "yxc" else axes)
    seen = look_at(listing.root, group, how, labels=False)
    masks = look_at(listing.root, group, of_label, labels=True)
    fields, notes = image_fields(seen, None)
    meaning, more = proposed_meaning(masks, lossy=False)
    source = {"file": template.images, "array": _LABEL, "axes": of_label.axes, **meaning}
    body: dict[str, Any] = {
        "images": template.images,
        "array": _IMAGE,
        "axes": axes,
        **({"case": template.case} if template.case else {}),
        **fields,
        "labels": [source],
    }
    subject = f"{DECIDE}patients: subject: <template>, else every file is one"
    shown = ", ".join(sample(group, 2))
    return Part(
        body, (f"{count(len(group), 'file')} ({shown}): {seen.summary}", *notes, *more, subject)
    )
