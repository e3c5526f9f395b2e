"""Which files of a folder are an image and its label, by their names alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.collection.layouts.listing import picture_ending
from engine.collection.layouts.words import Role, file_reading, folder_role

Place = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file taken apart: `folders / prefix + base + suffix + ending`.

    Attributes:
        key: folders with `*` where their name says the role.
        role: as a name says; an image where none does.
    """

    folders: Place
    key: Place
    role: Role
    prefix: str
    base: str
    suffix: str
    ending: str

    @property
    def path(self) -> str:
        return "/".join([*self.folders, f"{self.prefix}{self.base}{self.suffix}{self.ending}"])

    @property
    def form(self) -> tuple[str, str, str]:
        """What files of one kind share."""
        return self.prefix, self.suffix, self.ending


@dataclass(frozen=True)
class Pair:
    """An image and a label; `structure` where the label's name goes on after the image's."""

    image: File
    label: File
    structure: str | None = None

    @property
    def label_path(self) -> str:
        """The label's path, with what its name says beyond the image's."""
        label = self.label
        stem = f"{label.prefix}{label.base}{label.suffix}{self.structure or ''}"
        return "/".join([*label.folders, stem + label.ending])


def pairs_of(paths: Iterable[str]) -> list[Pair]:
    """Images with their labels, in the order of the images.

    Equal places and names first (`images/a.png`, `masks/a_mask.png`); else labels whose names
    begin with the image's (`masks/a_liver.png`).
    """
    files = [file for path in paths if (file := _file(path)) is not None]
    images: dict[tuple[Place, str], File] = {}
    for file in files:
        if file.role == "image":
            images.setdefault((file.key, file.base), file)
    labels = [file for file in files if file.role == "label"]
    exact = [
        Pair(images[file.key, file.base], file)
        for file in labels
        if (file.key, file.base) in images
    ]
    longer = [
        pair
        for file in labels
        if (file.key, file.base) not in images and (pair := _longer(file, images))
    ]
    return sorted(exact + longer, key=lambda pair: (pair.image.path, pair.label.path))


def _longer(label: File, images: dict[tuple[Place, str], File]) -> Pair | None:
    """The image whose name is the longest beginning of the label's, up to `_` or `-`."""
    name = f"{label.prefix}{label.base}{label.suffix}"
    for end in range(len(name) - 1, 0, -1):
        if name[end] in "_-" and (label.key, name[:end]) in images:
            rest = File(label.folders, label.key, "label", "", name[:end], name[end], label.ending)
            return Pair(images[label.key, name[:end]], rest, name[end + 1 :])
    return None


def _file(path: str) -> File | None:
    ending = picture_ending(path)
    if ending is None or "{" in path or "}" in path:
        return None
    *folders, name = path.split("/")
    stem = name[: len(name) - len(ending)]
    key = list[str]()
    said: Role | None = None
    for folder in folders:
        found = folder_role(folder)
        said = found[0] if found else said  # the innermost folder knows best
        key.append(found[1] if found else folder)
    reading = file_reading(stem)
    if reading is None or (said == "label" and reading.role == "image"):
        return File(tuple(folders), tuple(key), said or "image", "", stem, "", ending)
    role = reading.role
    return File(
        tuple(folders), tuple(key), role, reading.prefix, reading.base, reading.suffix, ending
    )
