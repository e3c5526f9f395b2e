"""Which files of a folder are an image and its label, by their names alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from engine.collection.layouts.listing import picture_ending
from engine.collection.layouts.words import Role, file_reading, folder_role

Place = tuple[str, ...]

STRUCTURE = "{structure}"


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
    def stem(self) -> str:
        """The name without its ending."""
        return f"{self.prefix}{self.base}{self.suffix}"

    @property
    def path(self) -> str:
        return "/".join([*self.folders, self.stem + self.ending])

    @property
    def form(self) -> tuple[str, str, str]:
        """What files of one kind share."""
        return self.prefix, self.suffix, self.ending


@dataclass(frozen=True)
class Pair:
    """An image and a label.

    Attributes:
        label: with `{structure}` in its folders or suffix where names of structures stand there.
        structure: what stands there.
    """

    image: File
    label: File
    structure: str | None = None

    @property
    def label_path(self) -> str:
        """The label's path as it is."""
        return self.label.path.replace(STRUCTURE, self.structure or "")

    @property
    def may_fit_others(self) -> bool:
        """`{structure}` stands where it would also fit other label files of the image."""
        return self.label.suffix.endswith(STRUCTURE) and self.label.key == self.image.key


Places = dict[Place, list[File]]


def pairs_of(paths: Iterable[str]) -> list[Pair]:
    """Images with their labels, in the order of the images; for each label the first that fits:

    1. equal places and names: `images/a.png`, `masks/a_mask.png`; `x/a.png`, `x/masks/a.png`
    2. longer names: `masks/a_liver.png`
    3. folders of structures: `masks/liver/a.png`
    4. names of structures in a folder of their own: `a/ct.nii.gz`, `a/segmentations/liver.nii.gz`
    5. shorter names, shared by images: `a_t1.nii.gz`, `a_t2.nii.gz`, `a_seg.nii.gz`
    """
    files = [file for path in paths if (file := _file(path)) is not None]
    images: Places = {}
    for file in files:
        if file.role == "image":
            images.setdefault(file.key, []).append(file)
    names = {key: {file.base: file for file in group} for key, group in images.items()}
    rules = (_same, _longer, _structure_folder, _structure_names, _shared)
    pairs = []
    for label in (file for file in files if file.role == "label"):
        found = (rule(label, images, names) for rule in rules)
        pairs += next((some for some in found if some), [])
    return sorted(pairs, key=lambda pair: (pair.image.path, pair.label_path))


Names = dict[Place, dict[str, File]]


def _same(label: File, images: Places, names: Names) -> list[Pair]:
    inner = label.key[:-1] if label.key and label.key[-1] == "*" else label.key
    for key in (label.key, inner):
        if label.base in names.get(key, {}):
            return [Pair(names[key][label.base], label)]
    return []


def _longer(label: File, images: Places, names: Names) -> list[Pair]:
    """The image whose name is the longest beginning of the label's, up to `_` or `-`."""
    name = label.stem
    there = names.get(label.key, {})
    for end in range(len(name) - 1, 0, -1):
        if name[end] in "_-" and name[:end] in there:
            form = replace(label, prefix="", base=name[:end], suffix=name[end] + STRUCTURE)
            return [Pair(there[name[:end]], form, name[end + 1 :])]
    return []


def _structure_folder(label: File, images: Places, names: Names) -> list[Pair]:
    *outer, folder = label.folders or ("",)
    image = names.get(label.key[:-1], {}).get(label.base)
    if image is None or not any("*" in part for part in label.key[:-1]):
        return []
    return [Pair(image, replace(label, folders=(*outer, STRUCTURE)), folder)]


def _structure_names(label: File, images: Places, names: Names) -> list[Pair]:
    if not label.key or "*" not in label.key[-1]:
        return []
    form = replace(label, prefix="", base="", suffix=STRUCTURE)
    inside = images.get(label.key[:-1], [])
    return [
        Pair(replace(image, prefix="", base="", suffix=image.stem), form, label.stem)
        for image in inside
    ]


def _shared(label: File, images: Places, names: Names) -> list[Pair]:
    start = label.base
    return [
        Pair(replace(image, base=start, suffix=image.base[len(start) :] + image.suffix), label)
        for image in images.get(label.key, [])
        if image.base.startswith(start)
        and not image.prefix
        and (not start or image.base[len(start) : len(start) + 1] in ("_", "-", "."))
    ]


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
