"""Path templates of recipes: `images/{subject}_{slice}.png` finds files and names what it found.

A placeholder stands for one or more characters of one path component and takes as many as it can
(`{subject}_{slice}` reads `amos_0004_75` as subject `amos_0004`, slice `75`). The same placeholder
twice must stand for the same text; `{any}` may differ each time and is not kept.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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
        ValueError: stray braces, an absolute path, `..`, or backslashes.
    """
    rest = _FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValueError(f"'{template}' has braces around something that is no {{name}}")
    parts = template.split("/")
    if "\\" in template or template.startswith("/") or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(
            f"'{template}' must be a relative path with '/' and without '.', '..' or empty parts"
        )
    return template


def fill(template: str, fields: Fields) -> str:
    """The template with all known placeholders replaced; unknown ones stay."""
    return _FIELD.sub(lambda m: fields.get(m[1], m[0]) if m[1] != ANY else m[0], template)


def search(root: Path, template: str, known: Fields | None = None) -> Iterator[Match]:
    """Files below `root` that fit, with their fields, in the order of their paths.

    Args:
        known: placeholders whose text is given; they are part of every match's fields.
    """
    start = dict(known or {})
    found = _descend(root, "", template.split("/"), start)
    yield from sorted(found, key=lambda match: match.path)


def _descend(root: Path, done: str, parts: list[str], fields: dict[str, str]) -> Iterator[Match]:
    head, *rest = parts
    for name, inner in _names(root / done, head, fields):
        path = f"{done}/{name}" if done else name
        if rest:
            yield from _descend(root, path, rest, inner)
        elif (root / path).is_file():
            yield Match(path, inner)


def _names(folder: Path, part: str, fields: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, fields) of the entries of `folder` that fit one path component of a template."""
    if not _FIELD.search(fill(part, fields)):
        name = fill(part, fields)
        if (folder / name).exists():
            yield name, fields
        return
    if not folder.is_dir():
        return
    pattern = _pattern(part, fields)
    for entry in sorted(folder.iterdir()):
        match = pattern.fullmatch(entry.name)
        if match is not None:
            yield entry.name, {**fields, **match.groupdict()}


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


def nearest_existing(root: Path, template: str) -> str:
    """The longest existing folder along the template, and the name closest to what comes next."""
    folder = root
    for part in template.split("/"):
        if not _FIELD.search(part) and (folder / part).is_dir():
            folder = folder / part
            continue
        names = sorted(entry.name for entry in folder.iterdir())
        close = difflib.get_close_matches(_FIELD.sub("", part), names, n=1, cutoff=0.4)
        shown = close or names[:3]
        more = f" (of {len(names)} entries)" if len(names) > len(shown) else ""
        return f"{folder} with {', '.join(shown) if shown else 'nothing in it'}{more}"
    return str(folder)
