"""Templates that fit a group of files at one depth: what is the same stays, the rest gets names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FOLDERS = ("subject", "part", "group", "folder")
"""Names of placeholders for folders."""


def folder_names(sizes: dict[int, int]) -> dict[int, str]:
    """Placeholder per level of folders: the one with the most names is taken for the subject's.

    Args:
        sizes: number of different names per level, at most one level per word of `FOLDERS`.
    """
    if not sizes:
        return {}
    subject = max(sizes, key=lambda level: (sizes[level], level))
    rest = iter(FOLDERS[1:])
    return {n: FOLDERS[0] if n == subject else next(rest) for n in sorted(sizes)}


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
    columns = list(zip(*(part[:-1] for part in parts), strict=True))
    sizes = {n: len(set(column)) for n, column in enumerate(columns) if len(set(column)) > 1}
    if len(sizes) > len(FOLDERS):
        return None
    names = folder_names(sizes)
    out = [f"{{{names[n]}}}" if n in names else column[0] for n, column in enumerate(columns)]
    used = list(names.values())
    stems = [part[-1] for part in parts]
    last = "{slice}" if used and len(set(stems)) < len(stems) else "{case}"
    case = None
    if last == "{slice}":
        case = "_".join([*(f"{{{name}}}" for name in used), last])
    return Template("/".join([*out, last]) + ending, case)
