"""Pictures, COCO and LabelMe files made on the fly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import ImageFile, RawImage, RawObjects


def picture(path: Path | str, height: int, width: int) -> ImageFile:
    """A grey picture that need not exist: outline formats look at its name and size only."""
    return ImageFile(Path(path), RawImage(np.zeros((height, width), np.uint8), "image"))


def full(objects: RawObjects, number: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The whole-image mask of one object; all False where it has no pixel."""
    mask = np.zeros(size, np.bool_)
    for one in objects.objects:
        if one.number == number:
            mask[one.box] = one.mask
    return mask


def coco(
    path: Path,
    outlines: list[dict[str, Any]],
    size: tuple[int, int],
    *,
    file_name: str = "a.png",
    **fields: Any,
) -> Path:
    """A COCO file about one image with id 7; annotations get ids and the category 3, `cell`."""
    content = {
        "images": [{"id": 7, "file_name": file_name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 3, "name": "cell"}, {"id": 9, "name": "stroma"}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 3, "iscrowd": 0, **one}
            for n, one in enumerate(outlines, 100)
        ],
        **fields,
    }
    return as_json(path, content)


def labelme(path: Path, drawn: list[dict[str, Any]], size: tuple[int, int], **fields: Any) -> Path:
    """A LabelMe file about `a.png`; shapes get the label `cell`."""
    content = {
        "version": "5.0",
        "imagePath": "a.png",
        "imageHeight": size[0],
        "imageWidth": size[1],
        "shapes": [{"label": "cell", "group_id": None, **shape} for shape in drawn],
        **fields,
    }
    return as_json(path, content)


def as_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
