"""COCO: polygons and run-length codes as the format's own tools read them; damage refuses."""

from __future__ import annotations

import contextlib
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collection.outline_makers import as_json, coco, full, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as referee

from engine.collection.readers import reader_for
from engine.collection.readers.base import ImageFile, RawImage, RawObjects
from engine.collection.readers.json_text import JSON
from engine.collection.readers.runs import mask_of_counts
from engine.errors import CaseRefusedError

SIZE = (9, 13)
TRIANGLE = [1.0, 1.0, 8.5, 1.5, 4.0, 7.25]


def read(path: Path, image: ImageFile | None = None) -> RawObjects:
    return JSON.read_labels(path, image=image or picture("/raw/a.png", *SIZE))


def refused(path: Path, image: ImageFile | None = None) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        read(path, image)
    return caught.value


def by_referee(counts: Any, size: tuple[int, int]) -> np.ndarray[Any, Any]:
    code = {"size": list(size), "counts": counts}
    if isinstance(counts, list):
        code = referee.frPyObjects(code, *size)
    return decoded(code)


def decoded(code: Any) -> np.ndarray[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its arrays do not know numpy 2 yet
        return referee.decode(code).astype(bool)


masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_both_run_length_codes_give_the_mask_they_were_made_of(mask: Any) -> None:
    code = referee.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = code["counts"].decode()
    flat = mask.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    plain = np.diff([0, *edges, flat.size]).astype(int).tolist()
    for counts in (text, plain):
        boxed = mask_of_counts(counts, mask.shape, Path("x.json"))
        got = np.zeros_like(mask)
        if boxed is not None:
            got[boxed[0]] = boxed[1]
            assert boxed[1].any(axis=0)[[0, -1]].all()
            assert boxed[1].any(axis=1)[[0, -1]].all()
        np.testing.assert_array_equal(got, mask)
        np.testing.assert_array_equal(got, by_referee(counts, mask.shape))


def test_large_counts_of_compressed_text_agree_with_the_referee() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[17:2900, 3:5] = mask[5, 100:1900] = mask[-1, -1] = 1
    text = referee.encode(np.asfortranarray(mask))["counts"].decode()
    boxed = mask_of_counts(text, (3000, 2000), Path("x.json"))
    assert boxed is not None
    np.testing.assert_array_equal(boxed[1], mask[boxed[0]].astype(bool))
    assert boxed[1].sum() == mask.sum()


points = st.floats(-5, 20, allow_nan=False).map(lambda x: round(x, 2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(points, min_size=6, max_size=16), min_size=1, max_size=3))
def test_polygons_are_drawn_as_the_referee_draws_them(tmp_path: Path, polygons: Any) -> None:
    polygons = [flat[: len(flat) // 2 * 2] for flat in polygons]
    path = coco(tmp_path / "c.json", [{"segmentation": polygons}], SIZE)
    objects = read(path)
    wanted = decoded(referee.merge(referee.frPyObjects(polygons, *SIZE)))
    np.testing.assert_array_equal(full(objects, 1, SIZE), wanted)


def test_names_and_numbers_follow_the_file(tmp_path: Path) -> None:
    outlines = [
        {"segmentation": [TRIANGLE]},
        {"segmentation": [TRIANGLE], "category_id": 9},
        {"segmentation": {"size": list(SIZE), "counts": [SIZE[0] * SIZE[1]]}},
        {"segmentation": [TRIANGLE], "iscrowd": 1},
    ]
    objects = read(coco(tmp_path / "c.json", outlines, SIZE))
    assert [(o.name, o.number) for o in objects.objects] == [
        ("cell", 1),
        ("stroma", 2),
        ("cell (crowd)", 4),
    ]
    assert objects.names == ("cell", "stroma", "cell (crowd)")


def test_instances_keep_the_numbers_all_annotations_state(tmp_path: Path) -> None:
    outlines = [{"segmentation": [TRIANGLE], "instance_id": n} for n in (5, 2)]
    assert [o.number for o in read(coco(tmp_path / "a.json", outlines, SIZE)).objects] == [5, 2]
    del outlines[1]["instance_id"]
    assert [o.number for o in read(coco(tmp_path / "b.json", outlines, SIZE)).objects] == [1, 2]


def test_an_image_without_annotations_has_no_objects(tmp_path: Path) -> None:
    objects = read(coco(tmp_path / "c.json", [], SIZE))
    assert objects.objects == ()
    assert objects.names == ("cell", "stroma")


@pytest.mark.parametrize(
    ("file_name", "fits"),
    [
        ("a.png", True),
        ("train/a.png", True),
        ("train\\a.png", True),
        ("../../train/a.png", True),
        ("./train/a.png", True),
        ("test/a.png", False),
        ("/elsewhere/train/a.png", False),
        ("in/a.png", False),
        ("a.jpg", False),
        ("..", False),
        ("/", False),
    ],
)
def test_an_image_is_found_by_the_end_of_its_path(
    tmp_path: Path, file_name: str, fits: bool
) -> None:
    path = coco(tmp_path / "c.json", [], SIZE, file_name=file_name)
    image = picture("/raw/train/a.png", *SIZE)
    if fits:
        read(path, image)
    else:
        assert refused(path, image).code == "foreign_reference"


def test_the_longest_fitting_name_wins_and_equal_ones_refuse(tmp_path: Path) -> None:
    images = [
        {"id": n, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
        for n, name in enumerate(["a.png", "train/a.png", "test/a.png"])
    ]
    outline = [{"segmentation": [TRIANGLE], "image_id": 1}]
    path = coco(tmp_path / "c.json", outline, SIZE, images=images)
    assert len(read(path, picture("/raw/train/a.png", *SIZE)).objects) == 1
    assert len(read(path, picture("/raw/test/a.png", *SIZE)).objects) == 0
    twice = coco(tmp_path / "d.json", [], SIZE, images=[images[0], {**images[0], "id": 5}])
    assert refused(twice).code == "foreign_reference"


INFINITE = math.inf
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "odd": ({"segmentation": [[1, 1, 2, 2, 3, 3, 4]]}, "bad_contour"),
    "two points": ({"segmentation": [[1, 1, 2, 2]]}, "bad_contour"),
    "box only": ({"segmentation": []}, "bad_contour"),
    "no outline": ({}, "bad_contour"),
    "nan": ({"segmentation": [[math.nan, 1, 2, 2, 3, 5]]}, "bad_contour"),
    "infinite": ({"segmentation": [[INFINITE, 1, 2, 2, 3, 5]]}, "bad_contour"),
    "huge": ({"segmentation": [[1e300, 1, 2, 2, 3, 5]]}, "bad_contour"),
    "huge whole": ({"segmentation": [[10**400, 1, 2, 2, 3, 5]]}, "bad_contour"),
    "text": ({"segmentation": [["1", 1, 2, 2, 3, 5]]}, "bad_contour"),
    "flat list": ({"segmentation": [1, 1, 2, 2, 3, 5]}, "bad_contour"),
    "size": ({"segmentation": {"size": [9, 12], "counts": [108]}}, "shape_mismatch"),
    "negative size": ({"segmentation": {"size": [-9, -13], "counts": [117]}}, "shape_mismatch"),
    "no size": ({"segmentation": {"counts": [117]}}, "unreadable_file"),
    "short": ({"segmentation": {"size": [9, 13], "counts": [10, 5]}}, "shape_mismatch"),
    "long": ({"segmentation": {"size": [9, 13], "counts": [10, 10**9]}}, "shape_mismatch"),
    "negative": ({"segmentation": {"size": [9, 13], "counts": [118, -1]}}, "unreadable_file"),
    "endless": ({"segmentation": {"size": [9, 13], "counts": [10**30]}}, "unreadable_file"),
    "bool": ({"segmentation": {"size": [9, 13], "counts": [True, 116]}}, "unreadable_file"),
    "no counts": ({"segmentation": {"size": [9, 13]}}, "unreadable_file"),
    "open text": ({"segmentation": {"size": [9, 13], "counts": "PPPP"}}, "unreadable_file"),
    "long text": ({"segmentation": {"size": [9, 13], "counts": "1" * 10**6}}, "unreadable_file"),
    "high text": ({"segmentation": {"size": [9, 13], "counts": "\x7f1"}}, "unreadable_file"),
    "wide text": ({"segmentation": {"size": [9, 13], "counts": "é1"}}, "unreadable_file"),
    "long number": (
        {"segmentation": {"size": [9, 13], "counts": "PPPPPPPPPP1"}},
        "unreadable_file",
    ),
    "negative text": ({"segmentation": {"size": [9, 13], "counts": "h3F7"}}, "shape_mismatch"),
    "no text": ({"segmentation": {"size": [9, 13], "counts": ""}}, "shape_mismatch"),
    "category": ({"segmentation": [TRIANGLE], "category_id": 4}, "unreadable_file"),
    "bool category": ({"segmentation": [TRIANGLE], "category_id": True}, "unreadable_file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_annotation_refuses_its_image(tmp_path: Path, name: str) -> None:
    annotation, code = BROKEN[name]
    assert refused(coco(tmp_path / "c.json", [annotation], SIZE)).code == code


def test_a_far_polygon_is_refused_before_its_outline_is_walked(tmp_path: Path) -> None:
    far = [[0.0, 0.0, 1.6e7, 1.0] * 2000]
    assert refused(coco(tmp_path / "c.json", [{"segmentation": far}], SIZE)).code == "too_large"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"images": [{"id": 7, "file_name": "a.png"}]}, "unreadable_file"),
        ({"images": [{"id": 7, "file_name": "a.png", "height": 9.0, "width": 13}]},
         "unreadable_file"),
        ({"images": [{"id": 7, "file_name": "a.png", "height": 13, "width": 9}]}, "shape_mismatch"),
        ({"images": [{"file_name": "a.png", "height": 9, "width": 13}]}, "unreadable_file"),
        ({"images": [{"id": [], "file_name": "a.png"}]}, "unreadable_file"),
        ({"images": [{"id": 7, "file_name": "\ud800"}]}, "unreadable_file"),
        ({"images": {}}, "unreadable_file"),
        ({"images": [3]}, "unreadable_file"),
        ({"annotations": None}, "unreadable_file"),
        ({"annotations": [{"id": 1}]}, "unreadable_file"),
        ({"categories": [{"id": 1, "name": ""}]}, "unreadable_file"),
        ({"categories": [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}]}, "unreadable_file"),
    ],
)  # fmt: skip
def test_a_broken_index_refuses(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    assert refused(coco(tmp_path / "c.json", [], SIZE, **fields)).code == code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "truncated_file"),
        (b'{"images": [', "truncated_file"),
        (b'{"images": "abc', "truncated_file"),
        (b"[" * 200_000, "unreadable_file"),
        (b'{"a":' * 200_000, "unreadable_file"),
        (b"[" + b"9" * 5000 + b"]", "unreadable_file"),
        (b"\xff\xfe\x00\xd8", "unreadable_file"),
        (b"\x89PNG\r\n", "unreadable_file"),
        (b"null", "unreadable_file"),
        (b'{"images": [], "annotations": []}', "unreadable_file"),
    ],
)
def test_what_is_no_label_file_refuses(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    assert refused(path).code == code
    assert refused(path).code == code  # remembered, and still an error


def test_a_missing_file_and_a_folder_refuse(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json").code == "missing_file"
    (tmp_path / "folder.json").mkdir()
    assert refused(tmp_path / "folder.json").code == "unreadable_file"


def test_a_file_is_parsed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(1) or real(text))
    path = coco(tmp_path / "c.json", [], SIZE)
    read(path), read(path)
    assert len(parsed) == 1
    coco(path, [{"segmentation": [TRIANGLE]}], SIZE)
    assert len(read(path).objects) == 1
    assert len(parsed) == 2


def test_volumes_frames_and_no_image_refuse(tmp_path: Path) -> None:
    path = coco(tmp_path / "c.json", [], SIZE)
    volume = ImageFile(Path("/raw/a.png"), RawImage(np.zeros((9, 13, 2)), "volume"))
    pages = ImageFile(Path("/raw/a.png"), RawImage(np.zeros((2, *SIZE)), "image", time_axis=0))
    assert refused(path, volume).code == "unsupported_layout"
    assert refused(path, pages).code == "frame_mismatch"
    with pytest.raises(CaseRefusedError):
        JSON.read_labels(path)
    with pytest.raises(CaseRefusedError):
        JSON.read(path)


def test_colour_pictures_have_the_size_of_their_pixels(tmp_path: Path) -> None:
    colour = RawImage(np.zeros((*SIZE, 3), np.uint8), "image", channel_axis=2)
    path = coco(tmp_path / "c.json", [{"segmentation": [TRIANGLE]}], SIZE)
    assert len(read(path, ImageFile(Path("/raw/a.png"), colour)).objects) == 1


def test_full_masks_of_many_annotations_are_refused_before_memory_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.collection.readers.limits.MOST_BYTES", 500_000)
    size, image = (100, 100), picture("/raw/a.png", 100, 100)
    whole = {"segmentation": {"size": [100, 100], "counts": [0, 10_000]}}
    assert len(read(coco(tmp_path / "a.json", [whole] * 40, size), image).objects) == 40
    assert refused(coco(tmp_path / "b.json", [whole] * 60, size), image).code == "too_large"


def test_a_text_of_brackets_is_refused_before_it_becomes_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.collection.readers.limits.MOST_BYTES", 2**20)
    path = tmp_path / "c.json"
    path.write_text("[" + "[]," * 20_000 + "[]]")
    assert refused(path).code == "too_large"
    assert read(coco(tmp_path / "a.json", [{"segmentation": [TRIANGLE]}], SIZE)).objects


def test_the_reader_is_found_by_the_ending() -> None:
    assert reader_for(Path("x/instances.JSON")) is JSON


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 200) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["id", "image_id", "category_id", "segmentation", "size", "counts", "name", "label",
             "file_name", "height", "width", "points", "shape_type", "mask", "group_id"]
        ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
several = st.lists(json_values, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(several, several, several)
def test_any_values_give_objects_or_a_refusal(
    tmp_path: Path, images: Any, annotations: Any, categories: Any
) -> None:
    fields = {"images": images, "annotations": annotations, "categories": categories}
    for path in (
        as_json(tmp_path / "any.json", fields),
        coco(tmp_path / "one.json", [a for a in annotations if isinstance(a, dict)], SIZE),
    ):
        with contextlib.suppress(CaseRefusedError):
            assert isinstance(read(path), RawObjects)
