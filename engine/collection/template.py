"""Path templates of recipes: `images/{subject}_{slice}.png` finds files and names what it found.

A placeholder stands for one or more characters of one path component and takes as many as it can
(`{subject}_{slice}` reads `amos_0004_75` as subject `amos_0004`, slice `75`). The same placeholder
twice must stand for the same text; `{any}` may differ each time and is not kept. Hidden files and
folders (`.name`) fit no placeholder at their beginning.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.collection.raw_folder import RawFolder, as_folder

_FIELD = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
ANY = "any"

Fields = Mapping[str, str]


@dataclass(frozen=True)
class Match:
    """A file that fits: `path` relative to the searched folder with `/`; `fields` as read."""

    path: str
    fields: dict[str, str]


def placeholders(template: str) -> tuple[str, ...]:
    """Names in the order of their first appearance, `any` included."""
    return tuple(dict.fromkeys(_FIELD.findall(template)))


def check(template: str) -> str:
    """The template itself.

    Raises:
        ValueError: stray braces, an absolute path, `..`, or backslashes. A final `/` is allowed:
            such a template names folders.
    """
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError(f"'{template}' has braces around something that is no {{name}}")
    parts = template.removesuffix("/").split("/")
    if "\\" in template or template.startswith("/") or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(
            f"'{template}' must be a relative path with '/' and without '.', '..' or empty parts"
        )
    return template


def fill(template: str, fields: Fields) -> str:
    """The template with all known placeholders replaced; unknown ones stay."""
    return _FIELD.sub(lambda m: fields.get(m[1], m[0]) if m[1] != ANY else m[0], template)


def literal(template: str) -> str:
    """The template without its placeholders."""
    return _FIELD.sub("", template)


def search(root: Path | RawFolder, template: str, known: Fields | None = None) -> Iterator[Match]:
    """Files below `root` that fit, with their fields, in the order of their paths.

    A template that ends in `/` finds folders, and so do the paths of its matches.

    Args:
        known: placeholders whose text is given; they are part of every match's fields.
    """
    tree, start = as_folder(root), dict(known or {})
    parts = template.removesuffix("/").split("/")
    found = _descend(tree, "", parts, start, template.endswith("/"))
    yield from sorted(found, key=lambda match: match.path)


def _descend(
    tree: RawFolder, done: str, parts: list[str], fields: dict[str, str], folders: bool
) -> Iterator[Match]:
    head, *rest = parts
    for name, inner in _names(tree, done, head, fields):
        path = f"{done}/{name}" if done else name
        if rest:
            yield from _descend(tree, path, rest, inner, folders)
        elif folders and tree.is_folder(path):
            yield Match(f"{path}/", inner)
        elif not folders and tree.is_file(path):
            yield Match(path, inner)


def _names(
    tree: RawFolder, folder: str, part: str, fields: dict[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, fields) of the entries of `folder` that fit one path component of a template."""
    if not _FIELD.search(fill(part, fields)):
        yield fill(part, fields), fields
        return
    pattern, fixed = _pattern(part, fields), _fixed(part, fields)
    for name in tree.names(folder):
        if not _could_fit(name, fixed):
            continue
        if name.startswith(".") and not part.startswith("."):
            continue  # `._scan.nii.gz` of a copied disk is no scan
        match = pattern.fullmatch(name)
        if match is not None:
            yield name, {**fields, **match.groupdict()}


def _pattern(part: str, fields: Fields) -> re.Pattern[str]:
    out, seen, last = [], set[str](), 0
    for field in _FIELD.finditer(part):
        out.append(re.escape(part[last : field.start()]))
        name, last = field[1], field.end()
        if name in fields:
            out.append(re.escape(fields[name]))
        elif name == ANY:
            out.append(".+")
        elif name in seen:
            out.append(f"(?P={name})")
        else:
            out.append(f"(?P<{name}>.+)")
            seen.add(name)
    return re.compile("".join(out) + re.escape(part[last:]), re.DOTALL)


def _fixed(part: str, fields: Fields) -> list[str]:
    """The texts around placeholders, one more than there are; known ones are filled in."""
    return _FIELD.sub("\0", fill(part, fields)).split("\0")


def _could_fit(name: str, fixed: list[str]) -> bool:
    """Whether `fixed` occur in this order with something between them.

    A pattern of many placeholders would try every way to divide a long name before it gives up.
    """
    first, *middle = fixed[:-1]
    if not name.startswith(first):
        return False
    at = len(first) + 1
    for text in middle:
        at = name.find(text, at) + len(text) + 1
        if at <= len(text):
            return False
    return len(name) - len(fixed[-1]) >= at and name.endswith(fixed[-1])


def nearest_existing(root: Path | RawFolder, template: str) -> str:
    """The longest existing folder along the template, and the name closest to what comes next."""
    tree, folder = as_folder(root), ""
    for part in template.removesuffix("/").split("/"):
        below = f"{folder}/{part}" if folder else part
        if not _FIELD.search(part) and tree.is_folder(below):
            folder = below
            continue
        names = tree.names(folder)
        close = difflib.get_close_matches(_FIELD.sub("", part), names, n=1, cutoff=0.4)
        shown = close or names[:3]
        more = f" (of {len(names)} entries)" if len(names) > len(shown) else ""
        where = f"{tree.where}/{folder}" if folder else tree.where
        return f"{where} with {', '.join(shown) if shown else 'nothing in it'}{more}"
    return f"{tree.where}/{folder}"
