"""COCO: one PNG per slice, one JSON per dataset, masks as run-length codes.

Run-length codes keep holes and overlaps exactly. Names of dataset, case and subject, spacing and
the rule of the values go along in every image's `source`; objects of data sets that number them
carry `instance_id`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pycocotools import mask as coco_masks

from engine.collection.export.cases import Row, StoredCase, StoredDataset
from engine.collection.export.recipe_text import common_spacing, literal, recipe_text
from engine.collection.export.report import ExportReport
from engine.collection.export.values import PngValues, png_values
from engine.collection.layout import folder_name
from engine.collection.readers.coco import INSTANCE

ANNOTATIONS = "annotations.json"


def coco_writer(dataset: StoredDataset) -> Callable[[Path, ExportReport], None]:
    """What writes `OUT/DATASET/`: `images/MODALITY/SUBJECT/...`, `annotations.json`, a recipe."""

    def write(out: Path, report: ExportReport) -> None:
        folder = out / folder_name(dataset.name)
        writer = _Writer(folder, report)
        for case in dataset.cases():
            writer.add(case)
        writer.finish(dataset)
        report.folders.append(folder)

    return write


class _Writer:
    """Images go to disk one by one, annotations when all cases are there."""

    def __init__(self, folder: Path, report: ExportReport) -> None:
        self._folder = folder
        self._report = report
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._categories: dict[str, int] = {}
        self._modalities: dict[str, set[str]] = {}
        self._numbered: dict[str, set[bool]] = {}
        self._series: dict[tuple[str, bool, str | None], list[tuple[float | None, ...]]] = {}

    def add(self, case: StoredCase) -> None:
        """Write the slices of a case and remember its objects."""
        values = png_values(case.image)
        self._say(values)
        stack = len(case.slices) > 1
        key = (case.modality, stack, case.split)
        self._series.setdefault(key, []).append(case.spacing_mm)
        self._report.cases += 1
        for place, row in enumerate(case.slices):
            name = f"{_folder(key)}/{_path(case, row if stack else None)}"
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(values.pixels[place])))
            self._report.files += 1
            self._images.append(_image(len(self._images) + 1, name, case, row, values))
            for thing in case.objects[place]:
                self._annotate(case, place, thing)

    def _say(self, values: PngValues) -> None:
        if values.largest_error:
            self._report.note(
                "values are rounded to 16 bits per case (scale and offset in the JSON); "
                f"off by up to {values.largest_error / values.scale:.2g} steps"
            )
        elif values.offset:
            self._report.note("values are shifted to start at 0 (offset in the JSON), else exact")

    def _annotate(self, case: StoredCase, place: int, thing: Row) -> None:
        structure, instance = thing["structure"], thing["instance"]
        category = self._categories.setdefault(structure, len(self._categories) + 1)
        self._modalities.setdefault(structure, set()).add(case.modality)
        self._numbered.setdefault(structure, set()).add(instance > 0)
        mask = case.mask(place, thing)
        code = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
        box = thing["bbox"]
        width, height = box["x1"] - box["x0"] + 1, box["y1"] - box["y0"] + 1
        self._report.objects += 1
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": len(self._images),
                "category_id": category,
                "iscrowd": 0,
                "area": thing["area_px"],
                "bbox": [box["x0"], box["y0"], width, height],
                "segmentation": {"size": list(mask.shape), "counts": code["counts"].decode()},
                **({INSTANCE: instance} if instance else {}),
            }
        )

    def finish(self, dataset: StoredDataset) -> None:
        """Write the JSON and the recipe."""
        row = dataset.row
        content = {
            "info": {
                "description": row["title"],
                "url": row["source"],
                "dataset": row["dataset"],
                "licence": row["licence"],
            },
            "licenses": [{"id": 1, "name": row["licence"], "url": row["source"]}],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [
                {"id": n, "name": s, "supercategory": ", ".join(sorted(self._modalities[s]))}
                for s, n in self._categories.items()
            ],
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        (self._folder / ANNOTATIONS).write_text(text, encoding="utf-8")
        words = "Reads this export back: every slice is a case of its own."
        recipe = recipe_text(row, self._recipe_series(), words)
        (self._folder / "recipe.yaml").write_text(recipe, encoding="utf-8")

    def _recipe_series(self) -> list[dict[str, Any]]:
        labels = self._labels()
        series = []
        for key, spacings in self._series.items():
            modality, stack, split = key
            name = "{subject}/{volume}/{slice}.png" if stack else "{subject}/{case}.png"
            series.append(
                {
                    "images": f"{literal(_folder(key))}/{name}",
                    "modality": modality,
                    **({"case": "{volume}_{slice}"} if stack else {}),
                    **({"split": literal(split)} if split else {}),
                    **common_spacing([spacing[1:] for spacing in spacings]),
                    "labels": labels,
                }
            )
        return series

    def _labels(self) -> list[dict[str, Any]]:
        """One label source for numbered structures, one for the others."""
        for structure, kinds in self._numbered.items():
            if len(kinds) > 1:
                self._report.note(f"'{structure}' is numbered on some slices only: numbered anew")
        numbered = [s for s, kinds in self._numbered.items() if True in kinds]
        plain = [s for s in self._categories if s not in numbered]
        return [
            {
                "file": ANNOTATIONS,
                "kind": "objects",
                **({"instances": True} if names is numbered else {}),
                "structures": {name: name for name in names},
                **({"ignore": others} if others else {}),
            }
            for names, others in ((numbered, plain), (plain, numbered))
            if names
        ]


def _folder(key: tuple[str, bool, str | None]) -> str:
    modality, _, split = key
    return "/".join(["images", *([folder_name(split)] if split else []), folder_name(modality)])


def _path(case: StoredCase, row: Row | None) -> str:
    subject, name = folder_name(case.subject), folder_name(case.name)
    return f"{subject}/{name}.png" if row is None else f"{subject}/{name}/{row['slice']:05d}.png"


def _image(number: int, name: str, case: StoredCase, row: Row, values: PngValues) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": name,
        "height": row["height"],
        "width": row["width"],
        "license": 1,
        "source": {
            "dataset": case.row["dataset"],
            "case": case.name,
            "subject": case.subject,
            "slice": row["slice"],
            "slice_id": row["slice_id"],
            "modality": case.modality,
            "plane": case.row["plane"],
            "split": case.split,
            "spacing_mm": list(case.spacing_mm),
            "value_scale": values.scale,
            "value_offset": values.offset,
        },
    }
