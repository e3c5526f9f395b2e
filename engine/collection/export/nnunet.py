"""nnU-Net v2: `imagesTr/CASE_0000.*`, `labelsTr/CASE.*` and `dataset.json` per kind of image.

A dataset whose cases differ in modality or in colour becomes one folder for each. Volumes are
NIfTI with their spacing and place in the patient, pictures PNG, or flat NIfTI where PNG cannot
hold their values. Structures that overlap are regions: lists of numbers. The format has no
instances: objects of a structure are united. Where subjects have other names than their cases,
files are named `SUBJECT--CASE`, which also shows what to keep together in a split.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from engine.collection.export.cases import StoredCase, StoredDataset
from engine.collection.export.nesting import Together, structures_at
from engine.collection.export.recipe_text import common_spacing, literal, recipe_text
from engine.collection.export.report import ExportReport
from engine.collection.layout import folder_name
from engine.collection.orient import Plane, affine_of_plane
from engine.errors import UserError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SEPARATORS = ("--", "---", "~~", "@@")


@dataclass(frozen=True)
class Kind:
    """What all cases of one nnU-Net dataset share."""

    modality: str
    picture: bool
    colours: bool


@dataclass
class Group:
    """What is known of a kind before its files are written.

    Attributes:
        names: (subject, case) of its cases.
        splits: official splits of the cases in `Tr` and in `Ts`.
        png: every value so far fits a PNG as it is.
    """

    names: list[tuple[str, str]] = field(default_factory=list)
    splits: dict[str, set[str | None]] = field(default_factory=dict)
    planes: Counter[str] = field(default_factory=Counter)
    spacings: list[tuple[float | None, ...]] = field(default_factory=list)
    together: Together = field(default_factory=Together)
    png: bool = True
    instances: bool = False


def nnunet_writer(dataset: StoredDataset) -> Callable[[Path, ExportReport], None]:
    """What writes `OUT/DatasetNNN_NAME/` for each kind of case, each with a `recipe.yaml`.

    Raises:
        UserError: colour pictures whose values no PNG holds.
    """
    groups: dict[Kind, Group] = {}
    for case in dataset.cases():
        _look(groups.setdefault(kind_of(case), Group()), case)
    for kind, group in groups.items():
        _check(kind, group, dataset.name)

    def write(out: Path, report: ExportReport) -> None:
        folders = {k: _Folder(dataset, k, g, groups, out, report) for k, g in groups.items()}
        for case in dataset.cases():
            folders[kind_of(case)].add(case)
        for folder in folders.values():
            folder.finish()

    return write


def kind_of(case: StoredCase) -> Kind:
    """The kind of a case."""
    return Kind(case.modality, case.is_picture, case.colours)


def _look(group: Group, case: StoredCase) -> None:
    group.names.append((case.subject, case.name))
    group.splits.setdefault(_part(case), set()).add(case.split)
    group.planes[case.row["plane"]] += 1
    group.spacings.append(case.spacing_mm)
    group.png = group.png and _fits_png(case)
    for place, things in enumerate(case.objects):
        masks = [(thing["structure"], case.mask(place, thing)) for thing in things]
        group.together.add(masks, case.labels.shape[2:])
        group.instances = group.instances or any(thing["instance"] for thing in things)


def _part(case: StoredCase) -> str:
    """The official test cases keep apart, as the format has it."""
    return "Ts" if case.split == "test" else "Tr"


def _fits_png(case: StoredCase) -> bool:
    if case.image.dtype.kind not in "bui":
        return False
    return bool(int(case.image.min()) >= 0 and int(case.image.max()) < 2**16)


def _check(kind: Kind, group: Group, dataset: str) -> None:
    if kind.colours and not group.png:
        raise UserError(
            "nnU-Net holds colours as PNG only",
            where=dataset,
            got="colour pictures with negative, fractional or large values",
            remedy="export with --to coco",
        )


class _Folder:
    """One nnU-Net dataset being written."""

    def __init__(
        self,
        dataset: StoredDataset,
        kind: Kind,
        group: Group,
        groups: dict[Kind, Group],
        out: Path,
        report: ExportReport,
    ) -> None:
        self._dataset = dataset
        self._kind = kind
        self._group = group
        self._report = report
        self._folder = out / _dataset_name(dataset.name, kind, list(groups), len(report.folders))
        self._separator = _separator(group.names)
        self._ending = ".png" if kind.picture and group.png else ".nii.gz"
        self._count = Counter[str]()
        for part in group.splits:
            for name in ("images", "labels"):
                (self._folder / f"{name}{part}").mkdir(parents=True, exist_ok=True)
        report.folders.append(self._folder)

    def add(self, case: StoredCase) -> None:
        """Write a case; of pictures, every slice is a case."""
        self._report.cases += 1
        self._report.objects += sum(map(len, case.objects))
        labels = np.stack([self._label(case, place) for place in range(len(case.slices))])
        name, part = self._name(case), _part(case)
        if not case.is_picture:
            self._write(part, name, case.image, labels, affine_of(case))
            return
        many = len(case.slices) > 1
        for place, row in enumerate(case.slices):
            one = f"{name}_s{row['slice']:03d}" if many else name
            own = slice(place, place + 1)
            self._write(part, one, case.image[own], labels[own], _flat_affine(case))

    def _label(self, case: StoredCase, place: int) -> NDArray[np.unsignedinteger]:
        """The label map of a slice."""
        masks = [(thing["structure"], case.mask(place, thing)) for thing in case.objects[place]]
        height, width = case.labels.shape[2:]
        sets, at = structures_at(masks, (height, width))
        numbers = self._group.together.numbers
        codes = [numbers.get(members, 0) for members in sets]  # 0: no pixel has it in the end
        label = np.array(codes, dtype=np.uint16)[at]
        return label if len(numbers) > 2**8 else label.astype(np.uint8)

    def _name(self, case: StoredCase) -> str:
        name = folder_name(case.name)
        return f"{folder_name(case.subject)}{self._separator}{name}" if self._separator else name

    def _write(
        self,
        part: str,
        name: str,
        image: NDArray[np.generic],
        label: NDArray[np.unsignedinteger],
        affine: NDArray[np.float64],
    ) -> None:
        self._count[part] += 1
        self._report.files += 2
        files = ((f"images{part}/{name}_0000", image), (f"labels{part}/{name}", label))
        for path, array in files:
            target = self._folder / f"{path}{self._ending}"
            if self._ending == ".png":
                target.write_bytes(imagecodecs.png_encode(_png_pixels(array[0])))
            else:
                _write_nifti(target, array, affine)

    def finish(self) -> None:
        """Write `dataset.json` and the recipe."""
        members = self._group.together.members()
        row = self._dataset.row
        regions = any(len(numbers) > 1 for numbers in members.values())
        content = {
            "name": row["dataset"],
            "description": row["title"],
            "reference": row["source"],
            "licence": row["licence"],
            "channel_names": self._channels(),
            "labels": {
                "background": 0,
                **{s: n if len(n) > 1 else n[0] for s, n in members.items()},
            },
            **({"regions_class_order": list(range(1, len(members) + 1))} if regions else {}),
            "numTraining": self._count["Tr"],
            "file_ending": self._ending,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (self._folder / "dataset.json").write_text(text, encoding="utf-8")
        recipe = recipe_text(
            row,
            [self._series(part, members) for part in self._group.splits],
            "Reads this export back.",
        )
        (self._folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
        if self._group.instances:
            self._note("nnU-Net has no instances: objects of a structure are united")
        if self._group.together.crosses:
            self._note(
                "structures cross: labels are exact regions, but nnU-Net predicts one structure "
                "where they overlap"
            )
        elif regions:
            self._note("structures lie within others: labels are regions")

    def _note(self, words: str) -> None:
        self._report.note(words, len(self._group.names))

    def _channels(self) -> dict[str, str]:
        if self._kind.colours:
            return {"0": "R", "1": "G", "2": "B"}
        return {"0": self._kind.modality}

    def _series(self, part: str, members: dict[str, list[int]]) -> dict[str, Any]:
        name = "{case}" if self._separator is None else f"{{subject}}{self._separator}{{case}}"
        planes = list(self._group.planes)
        flat = self._kind.picture and self._ending != ".png"
        if not self._kind.picture and len(planes) > 1:
            self._note("volumes lie in several planes: the recipe leaves the plane to them")
        splits = sorted(self._group.splits[part], key=str)
        if len(splits) > 1:
            self._note("official splits other than test are not kept")
        return {
            "images": f"images{part}/{name}_0000{self._ending}",
            "modality": self._kind.modality,
            **({"split": literal(splits[0])} if len(splits) == 1 and splits[0] else {}),
            **({"flat": True} if flat else {}),
            **({"plane": planes[0]} if not self._kind.picture and len(planes) == 1 else {}),
            **(
                common_spacing([s[1:] for s in self._group.spacings])
                if self._ending == ".png"
                else {}
            ),
            "labels": [
                {
                    "file": f"labels{part}/{name}{self._ending}",
                    "kind": "values",
                    "structures": members,
                }
            ],
        }


def _separator(names: list[tuple[str, str]]) -> str | None:
    """What stands between subject and case in file names; None where subjects are cases."""
    if all(subject == case for subject, case in names):
        return None
    free = (s for s in _SEPARATORS if all(s not in folder_name(case) for _, case in names))
    return next(free, "-" * 8)


def _dataset_name(name: str, kind: Kind, kinds: list[Kind], number: int) -> str:
    parts = [name]
    if len({k.modality for k in kinds}) > 1:
        parts.append(kind.modality)
    if len({(k.picture, k.colours) for k in kinds if k.modality == kind.modality}) > 1:
        parts.append("pictures" if kind.picture else "volumes")
        parts.append("colour" if kind.colours else "grey")
    return f"Dataset{number + 1:03d}_" + re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_")


def _png_pixels(array: NDArray[np.generic]) -> NDArray[np.unsignedinteger]:
    """8 bits where the dtype has them, else 16."""
    if array.dtype in (np.bool_, np.uint8):
        return np.ascontiguousarray(array, dtype=np.uint8)
    return np.ascontiguousarray(array, dtype=np.uint16)


def affine_of(case: StoredCase) -> NDArray[np.float64]:
    """(slice, y, x) to LPS mm; from plane and spacing where the collection has no affine."""
    if case.affine is not None:
        return case.affine
    plane: Plane = case.row["plane"]
    return affine_of_plane(plane, [1.0 if n is None else n for n in case.spacing_mm])


def _flat_affine(case: StoredCase) -> NDArray[np.float64]:
    _, row, column = case.spacing_mm
    return np.diag([1.0, row or 1.0, column or 1.0, 1.0])


def _write_nifti(target: Path, array: NDArray[np.generic], affine: NDArray[np.float64]) -> None:
    """[slice, y, x] as NIfTI [x, y, slice], RAS."""
    if array.dtype in (np.bool_, np.float16):
        array = array.astype(np.uint8 if array.dtype == np.bool_ else np.float32)
    ras = _LPS_TO_RAS @ affine[:, [2, 1, 0, 3]]
    image: Any = nib.Nifti1Image(  # type: ignore[no-untyped-call]
        np.transpose(array, (2, 1, 0)), ras, dtype=array.dtype
    )
    image.header.set_xyzt_units("mm")
    nib.save(image, target)
