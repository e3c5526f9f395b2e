"""Pairs: `images/` and `masks/`, `imagesTr/` and `labelsTr/`, `x.png` and `x_mask.png`, ..."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from glob import escape
from typing import Any

from engine.collection.layouts.base import DECIDE, Part, Proposal, count
from engine.collection.layouts.folders import FOLDERS, folder_names
from engine.collection.layouts.images import image_fields, modality_of
from engine.collection.layouts.listing import Listing
from engine.collection.layouts.looking import look_at
from engine.collection.layouts.meaning import proposed_meaning
from engine.collection.layouts.pairing import STRUCTURE, File, Pair, pairs_of
from engine.collection.layouts.shapes import colour_axes
from engine.collection.readers.base import How
from engine.collection.template import search

_LOSSY = (".jpg", ".jpeg")
_MOST_SERIES = 12
_SHOWN = 12
_LISTED = 30  # images whose names are written out where no pattern tells them from labels

Kind = tuple[Any, ...]


def look(listing: Listing) -> Proposal | None:
    """One series per kind of image and label."""
    pairs = _spelled_out(pairs_of(listing.pictures))
    groups: dict[Kind, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(_kind(pair), []).append(pair)
    ranked = sorted(groups.values(), key=len, reverse=True)[:_MOST_SERIES]
    series: dict[Kind, list[list[Pair]]] = {}
    for group in ranked:
        series.setdefault(_image_kind(group[0]), []).append(group)
    parts = [part for some in series.values() if (part := _part(listing, some))]
    if not parts:
        return None
    used = {path for pair in pairs for path in (pair.image.path, pair.label_path)}
    images = {pair.image.path for pair in pairs}
    share = len(used) / len(listing.pictures)
    found = [
        f"{count(len(images), 'image')} with a label, "
        f"of {count(len(listing.pictures), 'picture file')}"
    ]
    left = [path for path in listing.pictures if path not in used]
    if left:
        found.append(f"in no pair: {len(left)} files, such as {left[0]}")
    return Proposal(
        "pairs of images and labels", 0.3 + 0.45 * share, tuple(found), tuple(parts), {}
    )


def _spelled_out(pairs: list[Pair]) -> list[Pair]:
    """`{structure}` would also fit other label files of its images: there each gets its name."""
    exact = {_image_kind(pair) for pair in pairs if pair.structure is None}
    return [
        Pair(pair.image, replace(pair.label, suffix=_filled(pair)))
        if pair.may_fit_others and _image_kind(pair) in exact
        else pair
        for pair in pairs
    ]


def _filled(pair: Pair) -> str:
    return pair.label.suffix.replace(STRUCTURE, pair.structure or "")


def _image_kind(pair: Pair) -> Kind:
    return pair.image.form, len(pair.image.folders), _fixed(pair.image)


def _kind(pair: Pair) -> Kind:
    return (
        _image_kind(pair),
        pair.label.form,
        _fixed(pair.label),
        len(pair.label.folders),
        pair.structure is None,
    )


def _fixed(file: File) -> tuple[Any, ...]:
    """Folders whose names say the role: they never become placeholders."""
    return tuple(
        (place, folder)
        for place, (folder, key) in enumerate(zip(file.folders, file.key, strict=True))
        if "*" in key
    )


def _part(listing: Listing, groups: list[list[Pair]]) -> Part | None:
    """A series: the images of all groups, a label source for each group."""
    pairs = [pair for group in groups for pair in group]
    images = sorted({pair.image.path for pair in pairs})
    names = _placeholders(pairs)
    if names is None:
        return None
    template, case = _image_template(pairs, names)
    axes = _npy_axes(listing, pairs[0])
    seen = look_at(listing.root, images, How(None, axes), labels=False)
    tag = pairs[0].image.suffix.strip("_-. ")
    fields, notes = image_fields(seen, modality_of(tag))
    if axes:
        fields["axes"] = axes
    comments = [f"{count(len(images), 'image')}: {seen.summary}", *notes]
    labels = []
    for number, group in enumerate(groups):
        file = _label_template(group[0], names, _own(pairs))
        source, more = _source(listing, group, file, number, len(groups) > 1)
        if len({pair.image.path for pair in group}) < len(images):
            source["optional"] = True
        labels.append(source)
        comments += more
    if "{subject}" not in template:
        comments.append(f"{DECIDE}patients: here a case is a subject; subject: <template>")
    else:
        comments.append(f"{DECIDE}is the folder {{subject}} the patient?")
    kept_out = _kept_out(listing, template, pairs)
    if "unless" in kept_out:
        comments.append("unless: keeps out the labels, which the template of images fits too")
    if "where" in kept_out:
        comments.append("where: names the images there are; ADD those that come later")
    body = {
        "images": template,
        **({"case": case} if case else {}),
        **kept_out,
        **fields,
        "labels": labels,
    }
    return Part(body, tuple(comments), tag)


def _npy_axes(listing: Listing, pair: Pair) -> str | None:
    """Arrays do not say what their axes are; a label with one axis less shows colours."""
    if pair.image.ending.lower() != ".npy" or pair.label.ending.lower() != ".npy":
        return None
    return colour_axes(listing.root / pair.image.path, listing.root / pair.label_path)


def _kept_out(listing: Listing, template: str, pairs: list[Pair]) -> dict[str, Any]:
    """`unless` or `where`: what keeps out files the template fits and that are no images.

    By the ending of the labels' names, so that images which come later are found; a list of
    names only where images end like labels.
    """
    if "{case}" not in template:
        return {}
    labels = {pair.label_path for pair in pairs}
    if not labels.intersection(match.path for match in search(listing.root, template)):
        return {}
    bases = sorted({pair.image.base for pair in pairs})
    ends = sorted({pair.label.suffix for pair in pairs})
    if all(ends) and not any(base.endswith(end) for base in bases for end in ends):
        return {"unless": {"case": [f"*{escape(end)}" for end in ends]}}
    return {"where": {"case": [escape(base) for base in bases]}} if len(bases) <= _LISTED else {}


def _placeholders(pairs: list[Pair]) -> dict[int, str] | None:
    """Placeholder per level of folders that is not the same for all images.

    The level with the most names is taken for the subject's, the deepest of equals.
    """
    columns = list(zip(*(pair.image.folders for pair in pairs), strict=True))
    bases = tuple(pair.image.base for pair in pairs)
    names = {n: "case" for n, column in enumerate(columns) if column == bases}
    varying = [n for n, column in enumerate(columns) if len(set(column)) > 1 and n not in names]
    names = {n: name for n, name in names.items() if len(set(columns[n])) > 1}
    if len(varying) > len(FOLDERS):
        return None
    return names | folder_names({n: len(set(columns[n])) for n in varying})


def _image_template(pairs: list[Pair], names: dict[int, str]) -> tuple[str, str | None]:
    """(images, case): a case is named by what differs."""
    image = pairs[0].image
    own = _own(pairs)
    name = f"{image.prefix}{own}{image.suffix}{image.ending}"
    folders = [f"{{{names[n]}}}" if n in names else f for n, f in enumerate(image.folders)]
    template = "/".join([*folders, name])
    if not names and own != "{case}":
        return template, name[: len(name) - len(image.ending)]
    if own == "{case}" and len({p.image.base for p in pairs}) == len({p.image.path for p in pairs}):
        return template, None
    levels = [f"{{{name}}}" for name in names.values() if name != "case" or own != "{case}"]
    return template, "_".join([*levels, *(["{case}"] if own == "{case}" else [])])


def _own(pairs: list[Pair]) -> str:
    """What stands for the base of the names: themselves where they are all the same."""
    bases = {pair.image.base for pair in pairs}
    base = bases.pop()
    in_image_folder = any("*" in key for key in pairs[0].image.key)
    alone = in_image_folder and len({pair.image.path for pair in pairs}) == 1
    return "{case}" if bases or (alone and base) else base


def _source(
    listing: Listing, group: list[Pair], file: str, number: int, several: bool
) -> tuple[dict[str, Any], list[str]]:
    paths = sorted(pair.label_path for pair in group)
    label = group[0].label
    seen = look_at(listing.root, paths, labels=True)
    meaning, comments = proposed_meaning(seen, label.ending.lower() in _LOSSY)
    source: dict[str, Any] = {"file": file, **meaning}
    if STRUCTURE in source["file"]:
        counts = Counter(str(pair.structure) for pair in group)
        source = {"file": source["file"], "kind": "mask"}
        if "threshold" in meaning:
            source["threshold"] = meaning["threshold"]
        shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common(_SHOWN))
        comments = [f"{count(len(counts), 'structure')} by file name: {shown}"]
    elif several and source.get("structure"):
        word = f"{label.prefix}{label.suffix}".strip("_-. ")
        source["structure"] = f"{word or 'object'}_{number + 1}"
    elif several and isinstance(source.get("structures"), dict):
        named = source["structures"].items()
        source["structures"] = {f"label_{number + 1}_{name}": value for name, value in named}
    return source, [f"{source['file']}: {seen.summary}", *comments]


def _label_template(pair: Pair, names: dict[int, str], own: str) -> str:
    label = pair.label
    middle = own if label.base else ""
    folders = [
        f"{{{names[n]}}}" if n in names and "*" not in label.key[n] else folder
        for n, folder in enumerate(label.folders)
    ]
    return "/".join([*folders, f"{label.prefix}{middle}{label.suffix}{label.ending}"])
