"""LabelMe: pixel centres inside, one inside only, masks in their box; damage refuses."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collection.outline_makers import full, labelme, picture
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.collection.readers.base import RawObjects
from engine.collection.readers.json_text import JSON
from engine.errors import CaseRefusedError

SIZE = (9, 13)


def read(path: Path, image: str = "/raw/a.png") -> RawObjects:
    return JSON.read_labels(path, image=picture(image, *SIZE))


def refused(path: Path, image: str = "/raw/a.png") -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path, image)
    return caught.value.code


def png_text(mask: Any) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def shape(kind: str, *points: tuple[float, float], **fields: Any) -> dict[str, Any]:
    return {"shape_type": kind, "points": [list(p) for p in points], **fields}


def winding(x: float, y: float, polygon: list[tuple[float, float]]) -> tuple[int, float]:
    """Turns of a polygon round a point by summed angles, and the least distance to its lines."""
    total, near = 0.0, math.inf
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        ux, uy, vx, vy = ax - x, ay - y, bx - x, by - y
        total += math.atan2(ux * vy - uy * vx, ux * vx + uy * vy)
        length = (bx - ax) ** 2 + (by - ay) ** 2
        t = 0.0 if length == 0 else max(0.0, min(1.0, -(ux * (bx - ax) + uy * (by - ay)) / length))
        near = min(near, math.hypot(ux + t * (bx - ax), uy + t * (by - ay)))
    return round(total / (2 * math.pi)), near


coordinates = st.tuples(
    st.floats(-4, 18).map(lambda v: round(v, 1)), st.floats(-4, 14).map(lambda v: round(v, 1))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(coordinates, min_size=3, max_size=7))
def test_a_pixel_belongs_where_its_centre_lies_inside(tmp_path: Path, polygon: Any) -> None:
    turns = np.zeros(SIZE, int)
    for y, x in np.ndindex(SIZE):
        turns[y, x], distance = winding(x + 0.5, y + 0.5, polygon)
        assume(distance > 1e-6)
    path = labelme(tmp_path / "a.json", [shape("polygon", *polygon)], SIZE)
    if (np.abs(turns) == 2).any():
        assert refused(path) == "bad_contour"
    else:
        np.testing.assert_array_equal(full(read(path), 1, SIZE), turns != 0)


def test_neighbouring_outlines_share_no_pixel_and_leave_none(tmp_path: Path) -> None:
    left = shape("polygon", (0, 0), (5.5, 0), (5.5, 9), (0, 9))
    right = shape("polygon", (5.5, 0), (13, 0), (13, 9), (5.5, 9))
    objects = read(labelme(tmp_path / "a.json", [left, right], SIZE))
    one, two = full(objects, 1, SIZE), full(objects, 2, SIZE)
    assert not (one & two).any()
    assert (one | two).all()


def test_a_figure_of_eight_has_an_inside_and_a_double_turn_has_not(tmp_path: Path) -> None:
    eight = shape("polygon", (1, 1), (11, 7), (11, 1), (1, 7))
    assert full(read(labelme(tmp_path / "a.json", [eight], SIZE)), 1, SIZE).sum() > 20
    square = [(1, 1), (8, 1), (8, 8), (1, 8)]
    twice = shape("polygon", *square, *square)
    assert refused(labelme(tmp_path / "b.json", [twice], SIZE)) == "bad_contour"


def test_rectangles_circles_and_masks(tmp_path: Path) -> None:
    stamp = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    shapes = [
        shape("rectangle", (6.2, 5.9), (2.4, 1.6)),
        shape("circle", (6.5, 4.5), (6.5, 7.4)),
        shape("mask", (4, 3), (6, 4), mask=png_text(stamp)),
        shape("mask", (4.2, 2.9), (6, 4), mask=png_text(stamp.astype(bool))),
        shape("circle", (-50, -50), (-49, -50)),
    ]
    objects = read(labelme(tmp_path / "a.json", shapes, SIZE))
    wanted = np.zeros(SIZE, bool)
    wanted[2:6, 2:6] = True
    np.testing.assert_array_equal(full(objects, 1, SIZE), wanted)
    y, x = np.mgrid[:9, :13]
    np.testing.assert_array_equal(full(objects, 2, SIZE), np.hypot(x - 6, y - 4) <= 2.9)
    for number in (3, 4):
        wanted = np.zeros(SIZE, bool)
        wanted[3:5, 4:7] = stamp
        np.testing.assert_array_equal(full(objects, number, SIZE), wanted)
    assert [o.number for o in objects.objects] == [1, 2, 3, 4]


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    box = ((1, 1), (3, 3))
    shapes = [
        shape("rectangle", *box, group_id=4),
        shape("rectangle", (5, 5), (7, 7)),
        shape("rectangle", (8, 2), (10, 4), group_id=4),
        shape("rectangle", *box, group_id=4, label="stroma"),
        shape("rectangle", (20, 20), (22, 22), label="outside"),
    ]
    objects = read(labelme(tmp_path / "a.json", shapes, SIZE))
    assert [(o.name, o.number, int(o.mask.sum())) for o in objects.objects] == [
        ("cell", 1, 8),
        ("cell", 2, 4),
        ("stroma", 3, 4),
    ]
    assert objects.names == ("cell", "stroma", "outside")


TRIANGLE = ((1, 1), (8, 1), (4, 7))
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "line": (shape("line", (1, 1), (5, 5)), "bad_contour"),
    "point": (shape("point", (1, 1)), "bad_contour"),
    "linestrip": (shape("linestrip", *TRIANGLE), "bad_contour"),
    "kind": (shape("polygon", *TRIANGLE) | {"shape_type": ["mask"]}, "bad_contour"),
    "two points": (shape("polygon", (1, 1), (5, 5)), "bad_contour"),
    "odd pair": (shape("polygon", (1, 1), (5, 5), (1,)), "bad_contour"),  # type: ignore[arg-type]
    "nan": (shape("polygon", (1, 1), (5, 5), (1, math.nan)), "bad_contour"),
    "far": (shape("polygon", (1, 1), (5, 5), (1, 1e9)), "bad_contour"),
    "no points": ({"shape_type": "polygon"}, "bad_contour"),
    "corners": (shape("rectangle", *TRIANGLE), "bad_contour"),
    "no label": (shape("polygon", *TRIANGLE, label=None), "unreadable_file"),
    "surrogate": (shape("polygon", *TRIANGLE, label="\ud800"), "unreadable_file"),
    "mask outside": (shape("mask", (4, 3), (13, 4), mask=""), "bad_contour"),
    "mask reversed": (shape("mask", (6, 3), (4, 4), mask=""), "bad_contour"),
    "no mask": (shape("mask", (4, 3), (6, 4)), "unreadable_file"),
    "no base64": (shape("mask", (4, 3), (6, 4), mask="!!"), "unreadable_file"),
    "no png": (shape("mask", (4, 3), (6, 4), mask="QUJD"), "unreadable_file"),
    "cut png": (
        shape("mask", (4, 3), (6, 4), mask=png_text(np.ones((2, 3), np.uint8))[:60]),
        "unreadable_file",
    ),
    "other size": (
        shape("mask", (4, 3), (6, 4), mask=png_text(np.ones((3, 3), np.uint8))),
        "shape_mismatch",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_shape_refuses(tmp_path: Path, name: str) -> None:
    broken, code = BROKEN[name]
    assert refused(labelme(tmp_path / "a.json", [broken], SIZE)) == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"imagePath": "b.png"}, "foreign_reference"),
        ({"imagePath": None}, "unreadable_file"),
        ({"imageHeight": None}, "unreadable_file"),
        ({"imageHeight": 10}, "shape_mismatch"),
        ({"shapes": {}}, "unreadable_file"),
        ({"shapes": [1]}, "unreadable_file"),
    ],
)
def test_a_file_about_another_image_refuses(
    tmp_path: Path, fields: dict[str, Any], code: str
) -> None:
    path = labelme(tmp_path / "a.json", [], SIZE)
    assert read(path).objects == ()
    assert refused(labelme(tmp_path / "b.json", [], SIZE, **fields)) == code


@pytest.mark.parametrize("name", ["..\\images\\A.JPG", "../x/a.png", "a"])
def test_the_folder_and_ending_of_image_path_may_differ(tmp_path: Path, name: str) -> None:
    read(labelme(tmp_path / "a.json", [], SIZE, imagePath=name))


def test_a_png_that_claims_more_than_memory_refuses(tmp_path: Path) -> None:
    text = png_text(np.ones((2, 3), np.uint8))
    content = bytearray(base64.b64decode(text))
    content[16:24] = (10**5).to_bytes(4, "big") * 2
    huge = base64.b64encode(bytes(content)).decode()
    path = labelme(tmp_path / "a.json", [shape("mask", (4, 3), (6, 4), mask=huge)], SIZE)
    assert refused(path) in ("too_large", "unreadable_file")
