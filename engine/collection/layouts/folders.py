"""Templates that fit a group of files at one depth: what is the same stays, the rest gets names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMES = ("subject", "part", "group", "folder")


@dataclass(frozen=True)
class Template:
    """A template of images, and of the case's name where that is not `{case}`."""

    images: str
    case: str | None


def common_template(paths: Sequence[str], ending: str) -> Template | None:
    """The template of files with one ending at one depth.

    Returns:
        None where a name has braces, which templates read as placeholders.
    """
    if any("{" in path or "}" in path for path in paths):
        return None
    parts = [path[: len(path) - len(ending)].split("/") for path in paths]
    folders = list(zip(*(part[:-1] for part in parts), strict=True))
    names = iter(_NAMES)
    out, used = [], list[str]()
    for column in folders:
        if len(set(column)) == 1:
            out.append(column[0])
            continue
        name = next(names, None)
        if name is None:
            return None
        used.append(name)
        out.append(f"{{{name}}}")
    stems = [part[-1] for part in parts]
    last = "{slice}" if used and len(set(stems)) < len(stems) else "{case}"
    case = None
    if last == "{slice}":
        case = "_".join([*(f"{{{name}}}" for name in used), last])
    return Template("/".join([*out, last]) + ending, case)
