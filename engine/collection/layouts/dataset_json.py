"""`dataset.json`, as the Medical Segmentation Decathlon began it and nnU-Net continues it."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.collection.layouts.base import DECIDE, one_line
from engine.collection.layouts.listing import Listing
from engine.collection.layouts.looking import Seen
from engine.collection.readers.json_text import parse_json
from engine.errors import CaseRefusedError

NAME = "dataset.json"
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class DatasetJson:
    """The parts that matter here.

    Attributes:
        structures: name to value or values; background left out.
        ignore: values of the label `ignore`.
        channels: names by number.
        ending: of the image files, where it is said.
        words: title, licence, source.
    """

    structures: dict[str, list[int]]
    ignore: list[int]
    channels: dict[int, str]
    ending: str | None
    words: dict[str, str] = field(default_factory=dict)


def dataset_json(listing: Listing) -> DatasetJson | None:
    """The file at the root of a folder; None where it is missing or says no labels."""
    path = listing.root / NAME
    if NAME not in listing.files or path.stat().st_size > _MOST_BYTES:
        return None
    try:
        content = parse_json(path.read_bytes(), path)
    except CaseRefusedError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        return None
    structures, ignore = dict[str, list[int]](), list[int]()
    for key, value in content["labels"].items():
        name, numbers = (str(value), _numbers(key)) if _numbers(key) else (key, _numbers(value))
        numbers = [number for number in numbers if number != 0]
        if name == "ignore":
            ignore += numbers
        elif numbers and name:
            structures[one_line(name)] = numbers
    channels = content.get("channel_names", content.get("modality"))
    ending = content.get("file_ending")
    return DatasetJson(
        structures,
        ignore,
        _channels(channels),
        ending if isinstance(ending, str) else None,
        _words(content),
    )


def _numbers(value: object) -> list[int]:
    """Whole numbers of `3`, `"3"` or `[1, 2]`; none for anything else."""
    parts = value if isinstance(value, list) else [value]
    out = []
    for part in parts:
        text = str(part)
        if isinstance(part, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
            return []
        out.append(int(text))
    return out


def _channels(value: object) -> dict[int, str]:
    if not isinstance(value, dict):
        return {}
    found = {
        _numbers(key)[0]: one_line(str(name), 40) for key, name in value.items() if _numbers(key)
    }
    return dict(sorted(found.items()))


def _words(content: dict[str, object]) -> dict[str, str]:
    out = {}
    for ours, theirs in (
        ("title", ("description", "name")),
        ("licence", ("licence", "license")),
        ("source", ("reference", "release")),
    ):
        for key in theirs:
            text = content.get(key)
            if ours not in out and isinstance(text, str) and one_line(text):
                out[ours] = one_line(text)
    return out


def label_fields(said: DatasetJson, seen: Seen) -> tuple[dict[str, object], list[str]]:
    """(`kind`, `structures`, `ignore`; comments) of labels that `dataset.json` names."""
    structures = {n: v[0] if len(v) == 1 else v for n, v in said.structures.items()}
    fields: dict[str, object] = {"kind": "values", "structures": structures}
    comments = []
    if said.ignore:
        fields["ignore"] = said.ignore
        comments.append("pixels of the label 'ignore' were not labelled; here they are background")
    known = {v for values in said.structures.values() for v in values}.union(said.ignore, {0})
    strange = sorted(value for value in seen.values if value not in known)
    if strange:
        shown = ", ".join(f"{v} ({seen.values[v]:,} px)" for v in strange[:10])
        comments.append(f"{DECIDE}value {shown} is in label files but not in {NAME}")
    unseen = sorted(name for name, values in said.structures.items()
                    if seen.opened and not any(seen.values[v] for v in values))  # fmt: skip
    if unseen:
        comments.append(f"in no sampled label file: {', '.join(unseen[:10])}")
    return fields, comments
