"""Names of folders and files that say image or label: `images/`, `x_mask`, `gt-7`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["image", "label"]

_IMAGE = r"images?|imgs?|orig(?:inals?)?|raw|scans?|inputs?|jpegimages|pictures?"
_LABEL = (
    r"seg[_-]manual|masks?|labels?|segs?|segmentations?|gts?|ground[_ -]?truths?|truths?"
    r"|annotations?|annots?|manuals?\d?|targets?|segmentationclass|lbls?|msks?"
)
_SPLIT = r"(?=$|[_\-. ]|[A-Z0-9])"
_BEFORE = r"(?:^|(?<=[_\-. ])|(?<=[a-z])(?=[A-Z]))"
_WORD: dict[Role, re.Pattern[str]] = {
    "label": re.compile(f"{_BEFORE}(?i:{_LABEL}){_SPLIT}"),
    "image": re.compile(f"{_BEFORE}(?i:{_IMAGE}){_SPLIT}"),
}
_SEPARATORS = "_-. "


@dataclass(frozen=True)
class Reading:
    """A name taken apart: `prefix + base + suffix`, one of the outer two says the role."""

    role: Role
    prefix: str
    base: str
    suffix: str


def folder_role(name: str) -> tuple[Role, str] | None:
    """(role, the name with `*` for the word); None where a folder's name says neither."""
    for role, word in _WORD.items():
        match = word.search(name)
        if match:
            return role, f"{name[: match.start()]}*{name[match.end() :]}".lower()
    return None


def file_reading(stem: str) -> Reading | None:
    """The role a file's name says at its end or its beginning; None where it says neither."""
    for role, word in _WORD.items():
        found = list(word.finditer(stem))
        if not found:
            continue
        last, first = found[-1], found[0]
        if last.end() == len(stem):
            base = stem[: last.start()].rstrip(_SEPARATORS)
            return Reading(role, "", base, stem[len(base) :])
        if first.start() == 0:
            base = stem[first.end() :].lstrip(_SEPARATORS)
            return Reading(role, stem[: len(stem) - len(base)], base, "")
    return None
