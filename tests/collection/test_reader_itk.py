"""NRRD and MetaImage: values, axes and geometry as ITK has them, and every way to be bad."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from engine.collection.readers import limits, reader_for
from engine.collection.readers.base import ImageFile, RawImage, RawObjects
from engine.errors import CaseRefusedError

RNG = np.random.default_rng(3)
VOXELS = RNG.integers(-900, 900, (4, 5, 6)).astype(np.int16)  # [k, j, i]
DIRECTION = np.linalg.qr(np.array([[0.9, 0.2, -0.1], [-0.3, 1, 0.4], [0.2, -0.3, 0.8]]))[0]
ENDINGS = [".nrrd", ".nhdr", ".mha", ".mhd"]


def read(path: Path) -> RawImage:
    return reader_for(path).read(path)


def refused(path: Path, code: str) -> CaseRefusedError:
    for reading in (reader_for(path).read, reader_for(path).read_labels):
        with pytest.raises(CaseRefusedError) as caught:
            reading(path)
        assert caught.value.code == code, str(caught.value)
    return caught.value


def written(path: Path, array: NDArray[Any], compressed: bool = False, **kind: bool) -> sitk.Image:
    image = sitk.GetImageFromArray(array, **kind)
    if image.GetDimension() == 3:
        image.SetSpacing((0.5, 0.75, 3.0))
        image.SetOrigin((-20.0, 7.5, 100.0))
        image.SetDirection(DIRECTION.ravel().tolist())
    sitk.WriteImage(image, str(path), compressed)
    return image


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_values_and_place_are_those_of_itk(
    tmp_path: Path, ending: str, compressed: bool, dtype: str
) -> None:
    path = tmp_path / f"a{ending}"
    image = written(path, VOXELS.astype(dtype), compressed)
    raw = read(path)
    np.testing.assert_array_equal(raw.array, sitk.GetArrayFromImage(sitk.ReadImage(path)).T)
    assert raw.array.dtype == dtype
    assert raw.array.dtype.isnative
    assert (raw.kind, raw.time_axis, raw.channel_axis) == ("volume", None, None)
    assert raw.spacing_mm == pytest.approx((0.5, 0.75, 3.0))
    assert raw.affine is not None
    for index in ((0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3), (5, 4, 3)):
        place = (raw.affine @ [*index, 1])[:3]
        np.testing.assert_allclose(
            place, image.TransformContinuousIndexToPhysicalPoint([float(n) for n in index])
        )


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_axes_are_an_image(tmp_path: Path, ending: str) -> None:
    written(tmp_path / f"a{ending}", VOXELS[0])
    raw = read(tmp_path / f"a{ending}")
    assert raw.kind == "image"
    assert raw.affine is None
    np.testing.assert_array_equal(raw.array, VOXELS[0])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("flat", [False, True])
def test_colours(tmp_path: Path, ending: str, flat: bool) -> None:
    colours = RNG.integers(0, 255, (4, 5, 6, 3), dtype=np.uint8)
    written(tmp_path / f"a{ending}", colours[0] if flat else colours, isVector=True)
    raw = read(tmp_path / f"a{ending}")
    assert raw.channel_axis == (2 if flat else 3)
    expected = colours[0] if flat else colours.transpose(2, 1, 0, 3)
    np.testing.assert_array_equal(raw.array, expected)


@pytest.mark.parametrize("ending", ENDINGS)
def test_vectors_are_frames(tmp_path: Path, ending: str) -> None:
    vectors = RNG.random((4, 5, 6, 7)).astype(np.float32)
    written(tmp_path / f"a{ending}", vectors, isVector=True)
    raw = read(tmp_path / f"a{ending}")
    assert (raw.time_axis, raw.frames) == (3, 7)
    np.testing.assert_array_equal(raw.array, vectors.transpose(2, 1, 0, 3))


def test_four_axes_of_a_metaimage_are_a_volume_over_time(tmp_path: Path) -> None:
    frames = np.stack([VOXELS, VOXELS + 1, VOXELS * 2])
    written(tmp_path / "a.mha", frames, isVector=False)
    raw = read(tmp_path / "a.mha")
    assert (raw.time_axis, raw.frames) == (3, 3)
    np.testing.assert_array_equal(raw.frame(2), (VOXELS * 2).T)


def nrrd(path: Path, data: bytes | None, *lines: str, sizes: str = "6 5 4") -> Path:
    count = len(sizes.split())
    head = ["NRRD0005", "# made by hand", f"dimension: {count}", f"sizes: {sizes}", *lines]
    path.write_bytes("\n".join(head).encode() + b"\n\n" + (data or b""))
    return path


LITTLE = ("type: short", "endian: little")


@pytest.mark.parametrize("space", ["LPS", "right-anterior-superior", "left-anterior-superior"])
def test_spaces_of_a_nrrd_are_turned_as_itk_turns_them(tmp_path: Path, space: str) -> None:
    path = nrrd(
        tmp_path / "a.nrrd", VOXELS.tobytes(), *LITTLE, "encoding: raw", f"space: {space}",
        "space directions: (0.5,0.1,0) (-0.15,0.75,0) (0,0,3)", "space origin: (1,20,-300)",
    )  # fmt: skip
    raw, image = read(path), sitk.ReadImage(str(path))
    assert raw.affine is not None
    np.testing.assert_allclose(raw.affine[:3, 3], image.GetOrigin())
    directions = raw.affine[:3, :3] / np.array(raw.spacing_mm)
    np.testing.assert_allclose(directions.ravel(), image.GetDirection(), atol=1e-9)


def test_a_nrrd_without_space_states_no_orientation(tmp_path: Path) -> None:
    path = nrrd(
        tmp_path / "a.nrrd", VOXELS.tobytes(), *LITTLE, "encoding: raw", "spacings: 0.5 0.75 3"
    )
    raw = read(path)
    assert raw.affine is None
    assert raw.spacing_mm == (0.5, 0.75, 3.0)
    path = nrrd(
        tmp_path / "b.nrrd", VOXELS.tobytes(), *LITTLE, "encoding: raw", "space dimension: 3",
        "space directions: (2,0,0) (0,2,0) (0,0,3)", "space origin: (0,0,0)",
    )  # fmt: skip
    assert (read(path).affine, read(path).spacing_mm) == (None, (2.0, 2.0, 3.0))


@pytest.mark.parametrize("turn", [0, 1, 4])
def test_a_list_axis_may_come_first_or_last(tmp_path: Path, turn: int) -> None:
    array = RNG.integers(0, 99, (2, 6, 5, 4)).astype(np.int16)
    kinds, sizes = ["list", "domain", "domain", "domain"], [2, 6, 5, 4]
    array = np.moveaxis(array, 0, turn) if turn != 4 else np.moveaxis(array, 0, 3)
    where = min(turn, 3)
    kinds.insert(where, kinds.pop(0))
    sizes.insert(where, sizes.pop(0))
    path = nrrd(
        tmp_path / "a.nrrd", array.tobytes(order="F"), *LITTLE, "encoding: raw",
        f"kinds: {' '.join(kinds)}", sizes=" ".join(map(str, sizes)),
    )  # fmt: skip
    raw = read(path)
    assert raw.time_axis == 3
    np.testing.assert_array_equal(raw.array, np.moveaxis(array, where, 3))


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "text", "hex"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_encodings(tmp_path: Path, encoding: str, order: str) -> None:
    import bz2

    data = VOXELS.astype("<i2" if order == "little" else ">i2").tobytes()
    content = {
        "raw": data,
        "gzip": gzip.compress(data),
        "bzip2": bz2.compress(data),
        "text": " ".join(map(str, VOXELS.ravel())).encode(),
        "hex": data.hex().encode(),
    }[encoding]
    head = ("type: int16", f"endian: {order}", f"encoding: {encoding}")
    path = nrrd(tmp_path / "a.nrrd", content, *head)
    np.testing.assert_array_equal(read(path).array, VOXELS.T)
    for keep in (0.3, 0.95):
        nrrd(tmp_path / "b.nrrd", content[: int(len(content) * keep)], *head)
        refused(tmp_path / "b.nrrd", "truncated_file")


def test_skips(tmp_path: Path) -> None:
    data = VOXELS.tobytes()
    head = (*LITTLE, "encoding: raw")
    path = nrrd(tmp_path / "a.nrrd", b"line\n\1\2" + data, *head, "line skip: 1", "byte skip: 2")
    np.testing.assert_array_equal(read(path).array, VOXELS.T)
    path = nrrd(tmp_path / "b.nrrd", b"any bytes" + data, *head, "byte skip: -1")
    np.testing.assert_array_equal(read(path).array, VOXELS.T)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".nhdr", ".mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("lost", [1, 40])
def test_files_that_end_early(tmp_path: Path, ending: str, compressed: bool, lost: int) -> None:
    written(tmp_path / f"a{ending}", VOXELS, compressed)
    path = tmp_path / f"a{ending}"
    data = next(iter(reader_for(path).companions(path)), path)
    data.write_bytes(data.read_bytes()[:-lost])
    refused(path, "truncated_file")
    data.unlink()
    refused(path, "missing_file")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_a_flipped_bit_in_compressed_data(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    written(path, VOXELS, True)
    content = bytearray(path.read_bytes())
    content[-7] ^= 16
    path.write_bytes(content)
    assert refused(path, "unreadable_file")


@pytest.mark.parametrize(("ending", "data"), [(".nhdr", "a.raw"), (".mhd", "a.raw")])
def test_companions_are_the_data(tmp_path: Path, ending: str, data: str) -> None:
    path = tmp_path / f"a{ending}"
    assert reader_for(path).companions(path) == ()
    written(path, VOXELS)
    assert reader_for(path).companions(path) == (tmp_path / data,)
    written(tmp_path / "a.nrrd", VOXELS)
    assert reader_for(path).companions(tmp_path / "a.nrrd") == ()


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "x/a.raw", "..", "x\\a.raw"])
@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_data_elsewhere_are_refused(tmp_path: Path, ending: str, name: str) -> None:
    path = tmp_path / f"a{ending}"
    written(path, VOXELS)
    path.write_bytes(path.read_bytes().replace(b"a.raw", name.encode()))
    refused(path, "unsafe_path")
    with pytest.raises(CaseRefusedError):
        reader_for(path).companions(path)


@pytest.mark.parametrize("name", ["LIST", "LIST 2", "a%03d.raw 1 4 1"])
@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_data_in_many_files_are_refused(tmp_path: Path, ending: str, name: str) -> None:
    path = tmp_path / f"a{ending}"
    written(path, VOXELS)
    path.write_bytes(path.read_bytes().replace(b"a.raw", name.encode()))
    refused(path, "unsupported_layout")


def test_headers_that_claim_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = (*LITTLE, "encoding: gzip")
    path = nrrd(tmp_path / "a.nrrd", gzip.compress(b""), *head, sizes="65000 65000 65000")
    refused(path, "too_large")
    written(tmp_path / "b.mha", VOXELS)
    content = (tmp_path / "b.mha").read_bytes()
    (tmp_path / "b.mha").write_bytes(content.replace(b"6 5 4", b"99999 99999 99"))
    refused(tmp_path / "b.mha", "too_large")
    bomb = gzip.compress(bytes(2**24))
    path = nrrd(tmp_path / "c.nrrd", bomb, *head)  # small by its header, large by its data
    refused(path, "unreadable_file")
    monkeypatch.setattr(limits, "MOST_BYTES", 1000)
    refused(nrrd(tmp_path / "d.nrrd", bytes(2000), *LITTLE, "encoding: raw", sizes="10 10 10"),
            "too_large")  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        ("type: short", "encoding: raw"),  # no order of bytes
        ("type: block", "encoding: raw"),
        ("type: float", "endian: little", "encoding: zip"),
        (*LITTLE, "encoding: raw", "byte skip: some"),
        (*LITTLE, "encoding: raw", "no field at all"),
        (*LITTLE, "encoding: raw", "kinds: domain"),
        (*LITTLE, "encoding: raw", "space directions: (1,0,0) (0,1)"),
        (*LITTLE, "encoding: raw", "spacings: 1 2"),
        (*LITTLE,),
    ],
)
def test_damaged_nrrd_headers(tmp_path: Path, lines: tuple[str, ...]) -> None:
    refused(nrrd(tmp_path / "a.nrrd", VOXELS.tobytes(), *lines), "unreadable_file")


@pytest.mark.parametrize("first", ["0,0,0", "0,1,0", "nan,0,0", "inf,0,0"])
def test_singular_directions(tmp_path: Path, first: str) -> None:
    path = nrrd(
        tmp_path / "a.nrrd", VOXELS.tobytes(), *LITTLE, "encoding: raw", "space: LPS",
        f"space directions: ({first}) (0,1,0) (0,0,1)",
    )  # fmt: skip
    refused(path, "bad_geometry")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"MET_SHORT", b"MET_STRING", "unreadable_file"),
        (b"NDims = 3", b"NDims = 4", "unreadable_file"),
        (b"ElementSpacing = 0.5", b"ElementSpacing = 0", "bad_geometry"),
        (b"ElementSpacing = 0.5", b"ElementSpacing = -1", "bad_geometry"),
        (b"ElementSpacing = 0.5", b"ElementSpacing = 1e-320", "bad_geometry"),
        (b"Offset = -20", b"Offset = 1e300", "bad_geometry"),
        (b"ElementSpacing = 0.5 ", b"ElementSpacing = ", "unreadable_file"),
        (b"DimSize = 6 5 4", b"DimSize = 6 5 0", "unsupported_layout"),
        (b"DimSize = 6 5 4", b"DimSize = 6 5 -4", "unsupported_layout"),
        (b"CenterOfRotation", b"ElementToIntensityFunctionSlope = 2\nX", "unsupported_layout"),
        (b"ObjectType = Image", b"ObjectType = Tube", "unreadable_file"),
    ],
)
def test_damaged_metaimage_headers(tmp_path: Path, old: bytes, new: bytes, code: str) -> None:
    path = tmp_path / "a.mha"
    written(path, VOXELS)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    refused(path, code)


def test_a_metaimage_without_a_matrix_states_no_orientation(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    written(path, VOXELS)
    path.write_bytes(path.read_bytes().replace(b"TransformMatrix", b"SomethingElse"))
    assert read(path).affine is None
    assert read(path).spacing_mm == (0.5, 0.75, 3.0)


@pytest.mark.parametrize("ending", ENDINGS)
def test_values_that_are_not_finite(tmp_path: Path, ending: str) -> None:
    array = VOXELS.astype(np.float32)
    array[1, 2, 3] = np.nan
    written(tmp_path / f"a{ending}", array)
    refused(tmp_path / f"a{ending}", "non_finite")


@pytest.mark.parametrize("ending", [*ENDINGS, ".seg.nrrd"])
@pytest.mark.parametrize("content", [b"", b"NRRD0004\n", b"x" * 400, b"\0" * 99, b"DimSize = 1"])
def test_something_else(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    refused(path, "missing_file")
    path.write_bytes(content)
    refused(path, "unreadable_file")


def segmentation(path: Path, array: NDArray[np.uint8], **keys: object) -> Path:
    """`array` [i, j, k] or [layer, i, j, k] as 3D Slicer writes it."""
    layered = array.ndim == 4
    return nrrd(
        path, array.tobytes(order="F"), "type: unsigned char", "encoding: raw", "space: LPS",
        f"space directions: {'none ' * layered}(2,0,0) (0,2,0) (0,0,3)",
        f"space origin: ({keys.pop('origin', '0,0,0')})",
        f"kinds: {'list ' * layered}domain domain domain",
        *(f"{key}:={value}" for key, value in keys.items()),
        sizes=" ".join(map(str, array.shape)),
    )  # fmt: skip


GRID = RawImage(
    np.zeros((6, 5, 4), np.int16), "volume", (2.0, 2.0, 3.0), np.diag([2.0, 2.0, 3.0, 1.0])
)
TWO = {
    "Segment0_ID": "Segment_1", "Segment0_Name": "left kidney", "Segment0_LabelValue": 1,
    "Segment0_Layer": 0, "Segment1_ID": "Segment_2", "Segment1_Name": "tumour",
    "Segment1_LabelValue": 2, "Segment1_Layer": 0,
}  # fmt: skip


def objects(path: Path, grid: RawImage = GRID) -> dict[str, NDArray[np.bool_]]:
    found = reader_for(path).read_labels(path, image=ImageFile(path.parent / "image.nrrd", grid))
    assert isinstance(found, RawObjects)
    masks = {}
    for each in found.objects:
        mask = np.zeros(grid.array.shape, dtype=bool)
        mask[each.box] = each.mask
        masks[each.name] = mask
    return masks


def test_segments_have_the_names_of_the_header(tmp_path: Path) -> None:
    array = RNG.integers(0, 3, (6, 5, 4), dtype=np.uint8)
    masks = objects(segmentation(tmp_path / "a.seg.nrrd", array, **TWO))
    assert list(masks) == ["left kidney", "tumour"]
    np.testing.assert_array_equal(masks["left kidney"], array == 1)
    np.testing.assert_array_equal(masks["tumour"], array == 2)


def test_segments_of_several_layers_may_overlap(tmp_path: Path) -> None:
    array = RNG.integers(0, 2, (2, 6, 5, 4), dtype=np.uint8)
    keys = TWO | {"Segment1_LabelValue": 1, "Segment1_Layer": 1}
    masks = objects(segmentation(tmp_path / "a.seg.nrrd", array, **keys))
    np.testing.assert_array_equal(masks["left kidney"], array[0] == 1)
    np.testing.assert_array_equal(masks["tumour"], array[1] == 1)
    old = {k: v for k, v in TWO.items() if not k.endswith(("Value", "Layer"))}
    masks = objects(segmentation(tmp_path / "b.seg.nrrd", array, **old))
    np.testing.assert_array_equal(masks["tumour"], array[1] == 1)


def test_a_cropped_segmentation_is_placed_where_it_was_drawn(tmp_path: Path) -> None:
    array = np.ones((2, 2, 2), dtype=np.uint8)
    path = segmentation(tmp_path / "a.seg.nrrd", array, origin="4,2,6", **TWO)
    expected = np.zeros((6, 5, 4), dtype=bool)
    expected[2:4, 1:3, 2:4] = True
    np.testing.assert_array_equal(objects(path)["left kidney"], expected)
    for origin in ("4,3,6", "10,2,6", "-2,0,0"):
        segmentation(path, array, origin=origin, **TWO)
        with pytest.raises(CaseRefusedError) as caught:
            objects(path)
        assert caught.value.code == "geometry_mismatch"


def test_empty_segments_keep_their_name(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "a.seg.nrrd", np.ones((6, 5, 4), np.uint8), **TWO)
    found = reader_for(path).read_labels(path)
    assert isinstance(found, RawObjects)
    assert found.names == ("left kidney", "tumour")
    assert [(o.name, o.number) for o in found.objects] == [("left kidney", 1)]


def test_values_without_a_segment(tmp_path: Path) -> None:
    path = segmentation(tmp_path / "a.seg.nrrd", np.full((6, 5, 4), 3, np.uint8), **TWO)
    with pytest.raises(CaseRefusedError) as caught:
        objects(path)
    assert caught.value.code == "unknown_label_value"


def test_segments_that_contradict_themselves(tmp_path: Path) -> None:
    array = np.ones((6, 5, 4), np.uint8)
    for keys in (
        TWO | {"Segment1_LabelValue": 1},
        TWO | {"Segment1_Layer": 1},
        TWO | {"Segment1_LabelValue": 0},
    ):
        path = segmentation(tmp_path / "a.seg.nrrd", array, **keys)
        with pytest.raises(CaseRefusedError) as caught:
            objects(path)
        assert caught.value.code == "unsupported_layout"


def test_without_segments_it_is_a_label_map(tmp_path: Path) -> None:
    array = RNG.integers(0, 3, (6, 5, 4), dtype=np.uint8)
    path = segmentation(tmp_path / "a.seg.nrrd", array)
    raw = reader_for(path).read_labels(path)
    assert isinstance(raw, RawImage)
    np.testing.assert_array_equal(raw.array, array)
