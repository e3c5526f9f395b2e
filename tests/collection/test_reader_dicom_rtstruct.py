"""Structure sets: exact pixels of contours, and contours that have no inside."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import dicom_makers as make
import numpy as np
import pytest
from dicom_makers import ORIGIN, SPACING, VOLUME, items, labels, painted
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from oracles.contours import inside
from pydicom import Dataset, dcmread

from engine.collection.name_objects import name_objects
from engine.collection.recipe import LabelSource
from engine.collection.replica.dicom import WrittenSeries, write_rtstruct
from engine.collection.replica.outline import outlines
from engine.errors import CaseRefusedError

OBLIQUE = (0.8, 0.6, 0.0, -0.48, 0.64, 0.6)


def refused(path: Path, image: Path) -> CaseRefusedError:
    """The refusal of the file, or of its one region without a mask."""
    try:
        found = labels(path, image)
    except CaseRefusedError as refusal:
        error = refusal
    else:
        ((name, error),) = found.broken.items()
        assert name in found.names
        assert name not in {one.name for one in found.objects}
    assert str(path) in str(error)
    return error


@pytest.fixture
def written(tmp_path: Path) -> WrittenSeries:
    return make.series(tmp_path / "ct")


@pytest.fixture
def rt(tmp_path: Path, written: WrittenSeries) -> Path:
    write_rtstruct(tmp_path / "rt.dcm", written, make.masks(), seed="s")
    return tmp_path / "rt.dcm"


def draw(path: Path, polygons: list[list[tuple[float, float]]], k: int = 2) -> None:
    """Replace the first region's contours by polygons in (column, row), in slice `k`."""

    def change(data: Dataset) -> None:
        data.ROIContourSequence[0].ContourSequence = [
            items(
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourData=[
                    f"{value:.10g}"
                    for x, y in points
                    for value in (ORIGIN[0] + x * 0.8, ORIGIN[1] + y * 0.7, ORIGIN[2] + k * 2.5)
                ],
            )
            for points in polygons
        ]

    make.edit(path, change)


def ring(path: Path, image: Path) -> np.ndarray:
    """The first region's mask in slice 2; empty where it has no pixel."""
    found = labels(path, image)
    for error in found.broken.values():
        raise error
    masks = painted(found, VOLUME.shape)
    return masks.get("ring", np.zeros(VOLUME.shape, dtype=bool))[2]


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE])
def test_masks_are_those_that_were_drawn(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    series = make.series(tmp_path / "ct", orientation=orientation, names=list("edcba"))
    write_rtstruct(tmp_path / "rt.dcm", series, make.masks(), seed="s")
    raw = labels(tmp_path / "rt.dcm", tmp_path / "ct")
    assert raw.names == ("ring", "other", "nothing")
    assert [(one.name, one.number) for one in raw.objects] == [("ring", 1), ("other", 2)]
    for name, mask in painted(raw, VOLUME.shape).items():
        np.testing.assert_array_equal(mask, make.masks()[name])


points = st.tuples(st.integers(-8, 56), st.integers(-8, 44)).map(lambda p: (p[0] / 4, p[1] / 4))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(polygons=st.lists(st.lists(points, min_size=3, max_size=5), min_size=1, max_size=2))
@example(polygons=[[(0.0, 0.0), (0.0, 0.0), (3.75, 2.75)]])  # there and back on one line
def test_pixels_are_those_of_the_oracle(
    tmp_path: Path, rt: Path, polygons: list[list[tuple[float, float]]]
) -> None:
    """Quarter pixels: many points and lines go exactly through centres."""
    draw(rt, polygons)
    try:
        ours = ring(rt, tmp_path / "ct")
    except CaseRefusedError:
        assume(False)
    exact = [[(Fraction(x), Fraction(y)) for x, y in polygon] for polygon in polygons]
    np.testing.assert_array_equal(ours, inside(exact, (9, 12)))


@settings(max_examples=50)
@given(st.lists(st.booleans(), min_size=42, max_size=42))
def test_outlines_of_any_mask_hold_the_mask(bits: list[bool]) -> None:
    mask = np.reshape(bits, (6, 7))
    exact = [[(Fraction(x), Fraction(y)) for x, y in line.tolist()] for line in outlines(mask)]
    np.testing.assert_array_equal(inside(exact, (6, 7)), mask)


def test_a_hole_with_a_channel_and_a_hole_of_its_own_are_the_same(tmp_path: Path, rt: Path) -> None:
    outer = [(0.5, 0.5), (8.5, 0.5), (8.5, 7.5), (0.5, 7.5)]
    hole = [(2.5, 2.5), (5.5, 2.5), (5.5, 5.5), (2.5, 5.5)]
    draw(rt, [outer, hole])
    apart = ring(rt, tmp_path / "ct")
    draw(rt, [[*outer, outer[0], *[hole[n] for n in (0, 3, 2, 1, 0)], outer[0]]])
    np.testing.assert_array_equal(ring(rt, tmp_path / "ct"), apart)
    assert apart.sum() == 8 * 7 - 3 * 3


def test_regions_that_share_a_line_share_no_pixel(tmp_path: Path, rt: Path) -> None:
    """The line goes through pixel centres: each belongs to one side."""
    left, right = [(1, 1), (5, 1), (5, 6), (1, 6)], [(5, 1), (9, 1), (9, 6), (5, 6)]
    draw(rt, [left])
    one = ring(rt, tmp_path / "ct")
    draw(rt, [right])
    two = ring(rt, tmp_path / "ct")
    assert not (one & two).any()
    draw(rt, [[(1, 1), (9, 1), (9, 6), (1, 6)]])
    np.testing.assert_array_equal(one | two, ring(rt, tmp_path / "ct"))


def test_a_contour_may_reach_beyond_the_image(tmp_path: Path, rt: Path) -> None:
    draw(rt, [[(-50, -50), (500, -50), (500, 500), (-50, 500)]])
    assert ring(rt, tmp_path / "ct").all()
    draw(rt, [[(20, 20), (30, 20), (30, 30)]])
    assert not ring(rt, tmp_path / "ct").any()


def test_a_contour_off_its_slice_by_rounding(tmp_path: Path, rt: Path) -> None:
    make.contours(rt, lambda c: _shift(c, 0.04))
    np.testing.assert_array_equal(
        painted(labels(rt, tmp_path / "ct"), VOLUME.shape)["ring"], make.masks()["ring"]
    )


def _shift(contour: Dataset, by: float, every: int = 3) -> None:
    values = [float(v) for v in contour.ContourData]
    values[2::every] = [value + by for value in values[2::every]]
    contour.ContourData = values


def _cut(contour: Dataset, count: int) -> None:
    contour.ContourData = contour.ContourData[:count]


CHANGES: dict[str, Callable[[Dataset], object]] = {
    "open": lambda c: setattr(c, "ContourGeometricType", "OPEN_PLANAR"),
    "a point": lambda c: setattr(c, "ContourGeometricType", "POINT"),
    "not planar": lambda c: setattr(c, "ContourGeometricType", "CLOSED_NONPLANAR"),
    "no type": lambda c: delattr(c, "ContourGeometricType"),
    "between two slices": lambda c: _shift(c, 1.2),
    "a slice too high": lambda c: _shift(c, 25.0),
    "a slice too low": lambda c: _shift(c, -25.0),
    "through the slices": lambda c: _shift(c, 0.3, every=6),
    "two points": lambda c: _cut(c, 6),
    "half a point": lambda c: _cut(c, 10),
    "far away": lambda c: setattr(c, "ContourData", [1e9, *c.ContourData[1:]]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_contours_without_an_inside(tmp_path: Path, rt: Path, change: str) -> None:
    make.contours(rt, CHANGES[change])
    error = refused(rt, tmp_path / "ct")
    assert error.code == "bad_contour"
    assert "ring" in str(error)


def test_a_point_spares_the_other_regions(tmp_path: Path, rt: Path) -> None:
    """Plans mark an isocentre; a recipe that ignores it gets the organs."""
    whole = {one.name for one in labels(rt, tmp_path / "ct").objects}
    make.contours(rt, CHANGES["a point"])
    found = labels(rt, tmp_path / "ct")
    (broken,) = found.broken
    assert {one.name for one in found.objects} == whole - {broken}
    assert len(whole) > 1
    names = {name: name for name in found.names if name != broken}
    source = {"file": "rt.dcm", "kind": "objects", "structures": names}
    wanted = {**source, "structures": {**names, "wanted": broken}}
    shape = VOLUME.shape[::-1]
    spared = LabelSource.model_validate({**source, "ignore": [broken]})
    made = name_objects(spared, found, None, shape, "rt.dcm")
    assert {part.structure for part in made} == whole - {broken}
    with pytest.raises(CaseRefusedError, match=broken):
        name_objects(LabelSource.model_validate(wanted), found, None, shape, "rt.dcm")


@pytest.mark.parametrize("word", ["nan", "inf", "1e400", "one", ""])
def test_points_that_are_no_numbers(tmp_path: Path, rt: Path, word: str) -> None:
    first = str(dcmread(rt).ROIContourSequence[0].ContourSequence[0].ContourData[0]).encode()
    at = rt.read_bytes().index(b"CLOSED_PLANAR")
    head, rest = rt.read_bytes()[:at], rt.read_bytes()[at:]
    rt.write_bytes(head + rest.replace(first, word.encode().ljust(len(first)), 1))
    assert refused(rt, tmp_path / "ct").code in ("bad_contour", "unreadable_file")


def test_a_contour_that_goes_round_twice(tmp_path: Path, rt: Path) -> None:
    square = [(0.5, 0.5), (6.5, 0.5), (6.5, 6.5), (0.5, 6.5)]
    small = [(0.5, 0.5), (3.5, 0.5), (3.5, 3.5), (0.5, 3.5)]
    draw(rt, [[*square, *small]])
    assert refused(rt, tmp_path / "ct").code == "bad_contour"


@pytest.mark.parametrize("second", [
    [(0.5, 0.5), (6.5, 0.5), (6.5, 6.5), (0.5, 6.5)], [(3.5, 3.5), (8.5, 3.5), (8.5, 7.5)],
])  # fmt: skip
def test_contours_that_cross_each_other(
    tmp_path: Path, rt: Path, second: list[tuple[float, float]]
) -> None:
    """Neither a hole nor apart: adding and taking away give different pixels."""
    draw(rt, [[(0.5, 0.5), (6.5, 0.5), (6.5, 6.5), (0.5, 6.5)], second])
    assert refused(rt, tmp_path / "ct").code == "bad_contour"


def test_another_frame_of_reference(tmp_path: Path, rt: Path) -> None:
    def change(data: Dataset) -> None:
        for region in data.StructureSetROISequence:
            region.ReferencedFrameOfReferenceUID = "1.2.3"

    make.edit(rt, change)
    assert refused(rt, tmp_path / "ct").code == "foreign_reference"


def test_another_series(tmp_path: Path, rt: Path) -> None:
    make.series(tmp_path / "other", seed="b")
    assert refused(rt, tmp_path / "other").code == "foreign_reference"


def test_the_same_slices_in_another_series(tmp_path: Path, rt: Path) -> None:
    for path in (tmp_path / "ct").iterdir():
        make.set_to(path, SeriesInstanceUID="1.2.3")
    assert refused(rt, tmp_path / "ct").code == "foreign_reference"


def test_contours_that_point_at_objects_of_nobody(tmp_path: Path, rt: Path) -> None:
    for n, path in enumerate(sorted((tmp_path / "ct").iterdir())):
        make.set_to(path, SOPInstanceUID=f"1.2.3.{n}")
    assert refused(rt, tmp_path / "ct").code == "foreign_reference"


def test_contours_of_a_region_without_a_name(tmp_path: Path, rt: Path) -> None:
    make.edit(rt, lambda data: data.StructureSetROISequence.pop(0))
    assert refused(rt, tmp_path / "ct").code in ("bad_contour", "foreign_reference")


def test_a_picture_has_no_structure_set(tmp_path: Path, rt: Path) -> None:
    picture = make.picture(tmp_path / "p.dcm", VOLUME[0].astype(np.uint8))
    assert refused(rt, picture).code in ("bad_contour", "foreign_reference")


def test_spacing_of_the_makers() -> None:
    assert SPACING == (2.5, 0.7, 0.8)  # `draw` counts on it
