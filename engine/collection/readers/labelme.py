"""LabelMe annotations: one JSON file per picture, with polygons, rectangles, circles and masks.

Coordinates count from the outer corner of the first pixel, so the centre of pixel (0, 0) is at
(0.5, 0.5); a pixel belongs to a shape if its centre lies inside. Shapes of one label with the same
`group_id` are parts of one object. Lines and points have no inside and refuse the case.
"""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from engine.collection.readers.base import ImageFile, RawObjects, refuse
from engine.collection.readers.limits import admit
from engine.collection.readers.objects import (
    Boxed,
    Gathered,
    a_name,
    check_size,
    crop,
    picture_size,
    shown,
)
from engine.collection.readers.winding import Points, bad_contour, mask_of_polygon, points_of

Shape = Mapping[str, object]


@dataclass(frozen=True)
class LabelMeFile:
    """A parsed file."""

    path: Path
    image_path: str
    size: tuple[object, object]
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, fields: dict[str, object], path: Path) -> LabelMeFile:
        """Take what is needed of a parsed JSON. Raises CaseRefusedError `unreadable_file`."""
        shapes = fields["shapes"]
        if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
            raise refuse("unreadable_file", "'shapes' is no list", path, got=shown(shapes))
        name = a_name(fields["imagePath"], path, "imagePath")
        size = (fields.get("imageHeight"), fields.get("imageWidth"))
        return cls(path, name, size, tuple(shapes))

    def objects(self, image: ImageFile | None) -> RawObjects:
        """The objects of the picture, in the order of their first shapes.

        Raises:
            CaseRefusedError: `foreign_reference` where `imagePath` names another picture (its
                ending may differ), `shape_mismatch`, `bad_contour`, `unreadable_file`.
        """
        size = picture_size(image, self.path)
        if image is not None:
            self._check_image(image.path)
        check_size(self.size, size, self.path, "the file")
        gathered, names = Gathered(self.path), list[str]()
        places: dict[tuple[object, object], int] = {}
        for place, shape in enumerate(self.shapes, 1):
            name = a_name(shape.get("label"), self.path, f"the label of shape {place}")
            group = shape.get("group_id")
            part = (name, place) if group is None else (name, shown(group))
            number = places.setdefault(part, len(places) + 1)
            names.append(name)
            gathered.add(name, number, self._mask(shape, place, size))
        return _united(gathered, names)

    def _check_image(self, image: Path) -> None:
        name = PurePosixPath(self.image_path.replace("\\", "/")).name
        if PurePosixPath(name).stem.lower() != image.stem.lower():
            raise refuse(
                "foreign_reference",
                "the file is about another image",
                self.path,
                got=f"imagePath {shown(self.image_path, 200)}",
                expected=image.name,
                remedy="correct imagePath if the image was renamed",
            )

    def _mask(self, shape: Shape, place: int, size: tuple[int, int]) -> Boxed | None:
        kind = shape.get("shape_type", "polygon")
        what = f"shape {place} ({shown(kind, 30)})"
        if kind == "polygon":
            points = points_of(shape.get("points"), self.path, what)
            return mask_of_polygon(points, size, self.path, what)
        if kind not in ("rectangle", "circle", "mask"):
            raise bad_contour(self.path, what, shown(kind), "polygon, rectangle, circle or mask")
        points = points_of(shape.get("points"), self.path, what, least=2)
        if len(points) != 2:
            raise bad_contour(self.path, what, f"{len(points)} points", "2 points")
        if kind == "rectangle":
            (ax, ay), (bx, by) = points.tolist()
            corners = np.array([[ax, ay], [bx, ay], [bx, by], [ax, by]])
            return mask_of_polygon(corners, size, self.path, what)
        if kind == "circle":
            return _disc(points, size, self.path)
        return _pasted(shape.get("mask"), points, size, self.path, what)


def _disc(points: Points, size: tuple[int, int], path: Path) -> Boxed | None:
    """Pixel centres within the circle round the first point through the second."""
    height, width = size
    centre, radius = points[0], float(np.hypot(*(points[1] - points[0])))
    low = np.clip(np.floor(centre - radius).astype(int), 0, [width, height])
    high = np.clip(np.ceil(centre + radius).astype(int) + 1, 0, [width, height])
    if (low >= high).any():
        return None
    admit((int(high[1] - low[1]), int(high[0] - low[0])), 8, path)
    x = np.arange(low[0], high[0]) + 0.5 - centre[0]
    y = np.arange(low[1], high[1]) + 0.5 - centre[1]
    inside = x[np.newaxis] ** 2 + y[:, np.newaxis] ** 2 <= radius**2
    return crop(inside, int(low[1]), int(low[0]))


def _pasted(
    text: object, points: Points, size: tuple[int, int], path: Path, what: str
) -> Boxed | None:
    """A PNG in base64, from the first point to the second, both inclusive."""
    x0, y0, x1, y1 = (int(n) for n in np.rint(points).ravel())
    if not (0 <= x0 <= x1 < size[1] and 0 <= y0 <= y1 < size[0]):
        raise bad_contour(path, what, f"pixels {x0}, {y0} to {x1}, {y1}", "a box in the image")
    mask = _png(text, path, what)
    if mask.shape != (y1 - y0 + 1, x1 - x0 + 1):
        raise refuse(
            "shape_mismatch",
            f"the mask of {what} does not fill its box",
            path,
            got=f"{mask.shape[0]} x {mask.shape[1]} pixels",
            expected=f"{y1 - y0 + 1} x {x1 - x0 + 1}",
        )
    return crop(mask, y0, x0)


def _png(text: object, path: Path, what: str) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    try:
        content = base64.b64decode(text, validate=True)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # only the size matters, and that is checked next
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                admit((image.height, image.width), 4, path)
                return np.asarray(image.convert("L")) > 0
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        binascii.Error,
        Image.DecompressionBombError,
    ) as error:
        raise refuse(
            "unreadable_file",
            f"the mask of {what} cannot be decoded",
            path,
            got=shown(str(error)),
            expected="a PNG in base64",
        ) from error


def _united(gathered: Gathered, names: list[str]) -> RawObjects:
    """Parts of one object joined: they share a number."""
    parts: dict[int, list[tuple[str, Boxed]]] = {}
    for one in gathered.objects:
        y, x = one.box
        parts.setdefault(one.number, []).append((one.name, ((y, x), one.mask)))
    joined = Gathered(gathered.path)
    for number, group in parts.items():
        joined.add(group[0][0], number, _union([boxed for _, boxed in group], gathered.path))
    return joined.result(names)


def _union(group: list[Boxed], path: Path) -> Boxed:
    if len(group) == 1:
        return group[0]
    y0, x0 = (min(box[axis].start for box, _ in group) for axis in (0, 1))
    y1, x1 = (max(box[axis].stop for box, _ in group) for axis in (0, 1))
    admit((y1 - y0, x1 - x0), 1, path)
    mask = np.zeros((y1 - y0, x1 - x0), dtype=np.bool_)
    for (rows, columns), part in group:
        mask[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0] |= part
    return (slice(y0, y1), slice(x0, x1)), mask
