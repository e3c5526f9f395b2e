"""From files to curated cases: volumes, frames, images, and every refusal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from raw_makers import nifti, recipe, series

from engine.cli import run
from engine.collection.case import CuratedCase
from engine.collection.raw import find_cases, read_case, validate
from engine.collection.reasons import REASONS
from engine.collection.recipe import Recipe
from engine.errors import CaseRefusedError, UserError

# stored axes point to P, S, R (RAS affine); 1 x 1 x 3 mm: sagittal slices
AFFINE = np.array([[0, 0, 3.0, -30], [-1, 0, 0, 30], [0, 1, 0, -20], [0, 0, 0, 1]])
VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
MASK = {"file": "l.nii.gz", "kind": "mask", "structure": "cord"}


def volume_recipe(*labels: dict[str, Any], **fields: Any) -> Recipe:
    return recipe(series("i.nii.gz", *(labels or (MASK,)), case="v", **fields))


def cases(made: Recipe, root: Path) -> list[CuratedCase]:
    return [case for spec in find_cases(made, root) for case in read_case(made, spec, root)]


def refused(made: Recipe, root: Path) -> CaseRefusedError:
    with pytest.raises(CaseRefusedError) as caught:
        cases(made, root)
    assert caught.value.code in REASONS
    return caught.value


def mask_of(case: CuratedCase, structure: str) -> NDArray[np.bool_]:
    (m,) = [m for m in case.meaning if m.structure == structure]
    mask: NDArray[np.bool_] = case.labels[m.layer] == m.value
    return mask


def save(path: Path, pixels: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_a_volume_is_oriented_together_with_its_labels(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", (VOXELS % 7 == 3).astype(np.uint8), AFFINE)
    (case,) = cases(volume_recipe(), tmp_path)
    assert (case.dataset, case.case, case.subject) == ("made_up", "v", "v")
    assert (case.plane, case.modality) == ("sagittal", "CT")
    # sagittal [x, z, y]: stored (P, S, R) -> slices towards L (R reversed), rows S reversed
    np.testing.assert_array_equal(case.image, VOXELS.transpose(2, 1, 0)[::-1, ::-1])
    assert case.image.dtype == np.int16
    np.testing.assert_array_equal(mask_of(case, "cord"), case.image % 7 == 3)
    assert case.spacing_mm == pytest.approx((3, 1, 1))
    assert case.affine is not None
    # voxel (0, 0, 0) of the result is the stored (0, 4, 5): RAS (-15, 30, -16), LPS (15, -30, -16)
    np.testing.assert_allclose(case.affine[:3, 3], (15, -30, -16), atol=1e-5)
    np.testing.assert_allclose(case.affine[:3, 0], (3, 0, 0), atol=1e-6)


def test_sources_carry_checksums_image_first(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", (VOXELS > 9).astype(np.uint8), AFFINE)
    (case,) = cases(volume_recipe(), tmp_path)
    assert [source.path for source in case.sources] == ["i.nii.gz", "l.nii.gz"]
    for source in case.sources:
        content = (tmp_path / source.path).read_bytes()
        assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_the_recipe_names_the_plane(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", (VOXELS > 9).astype(np.uint8), AFFINE)
    (case,) = cases(volume_recipe(plane="axial"), tmp_path)
    assert case.plane == "axial"
    assert case.image.shape == (5, 4, 6)


def test_overlapping_labels_take_layers(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", (VOXELS > 60).astype(np.uint8), AFFINE)
    nifti(tmp_path / "levels.nii.gz", (VOXELS // 40).astype(np.float64), AFFINE)
    levels = {"file": "levels.nii.gz", "kind": "values", "structures": {"c2": 1, "c3": 2}}
    (case,) = cases(volume_recipe(MASK, levels), tmp_path)
    assert case.labels.shape == (2, *case.image.shape)
    np.testing.assert_array_equal(mask_of(case, "cord"), case.image > 60)
    np.testing.assert_array_equal(mask_of(case, "c2"), case.image // 40 == 1)
    np.testing.assert_array_equal(mask_of(case, "c3"), case.image // 40 == 2)


def four_d(root: Path, label_frames: int | None) -> NDArray[np.int16]:
    frames = np.stack([VOXELS, VOXELS + 200, VOXELS + 400], axis=-1)
    nifti(root / "i.nii.gz", frames, AFFINE)
    label = (VOXELS > 60).astype(np.uint8)
    if label_frames is not None:
        label = np.stack([np.greater(VOXELS, 30 * n) for n in range(label_frames)], -1).astype("u1")
    nifti(root / "l.nii.gz", label, AFFINE)
    return frames


def test_a_skip_that_names_a_moment_and_not_the_case_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    four_d(raw, None)
    for skipped, unmet in (("v_t000", True), ("v", False)):
        made = volume_recipe().model_dump(mode="json", exclude_defaults=True)
        (tmp_path / "r.yaml").write_text(json.dumps({**made, "skip": {skipped: "bad"}}))
        assert run(["validate", str(tmp_path / "r.yaml"), str(raw)]) == 0
        assert (f"not in the raw folder: {skipped}" in capsys.readouterr().err) is unmet


def test_time_points_become_cases_of_one_subject(tmp_path: Path) -> None:
    four_d(tmp_path, None)
    found = cases(volume_recipe(), tmp_path)
    assert [case.case for case in found] == ["v_t000", "v_t001", "v_t002"]
    assert {case.subject for case in found} == {"v"}
    for n, case in enumerate(found):
        assert case.image.min() == 200 * n
        np.testing.assert_array_equal(mask_of(case, "cord"), case.image - 200 * n > 60)
        assert case.affine is not None


def test_labels_of_their_own_per_time_point(tmp_path: Path) -> None:
    four_d(tmp_path, 3)
    for n, case in enumerate(cases(volume_recipe(), tmp_path)):
        np.testing.assert_array_equal(mask_of(case, "cord"), case.image - 200 * n > 30 * n)


def test_channels_have_names_and_modalities(tmp_path: Path) -> None:
    four_d(tmp_path, None)
    channels = {0: {"name": "flair", "modality": "T2-FLAIR"}, 1: "t1", 2: "t2"}
    found = cases(volume_recipe(channels=channels), tmp_path)
    assert [(c.case, c.modality) for c in found] == [
        ("v_flair", "T2-FLAIR"),
        ("v_t1", "CT"),
        ("v_t2", "CT"),
    ]


def test_channels_are_frames_by_number_in_any_order(tmp_path: Path) -> None:
    frames = four_d(tmp_path, 3)
    for channels in ({0: "a", 1: "b", 2: "c"}, {2: "c", 1: "b", 0: "a"}):
        found = {case.case: case for case in cases(volume_recipe(channels=channels), tmp_path)}
        for n, name in enumerate(("v_a", "v_b", "v_c")):
            case = found[name]
            turned = frames[..., n].transpose(2, 1, 0)[::-1, ::-1]
            np.testing.assert_array_equal(case.image, turned)
            np.testing.assert_array_equal(mask_of(case, "cord"), turned - 200 * n > 30 * n)


@pytest.mark.parametrize("channels", [{0: "a", 1: "b"}, {0: "a", 1: "b", 3: "c"}])
def test_channels_must_be_those_of_the_file(tmp_path: Path, channels: dict[int, str]) -> None:
    four_d(tmp_path, None)
    assert refused(volume_recipe(channels=channels), tmp_path).code == "frame_mismatch"


def test_frames_of_the_label_must_fit(tmp_path: Path) -> None:
    four_d(tmp_path, 2)
    assert refused(volume_recipe(), tmp_path).code == "frame_mismatch"


def test_the_recipe_states_an_orientation_where_the_files_do_not(tmp_path: Path) -> None:
    affine = np.diag([2.0, 2, 5, 1])
    nifti(tmp_path / "i.nii.gz", VOXELS, affine, coded=False)
    nifti(tmp_path / "l.nii.gz", (VOXELS > 9).astype(np.uint8), affine, coded=False)
    error = refused(volume_recipe(), tmp_path)
    assert error.code == "unknown_orientation"
    assert "orientation:" in str(error)
    (case,) = cases(volume_recipe(orientation="RAS"), tmp_path)
    np.testing.assert_array_equal(case.image, VOXELS.transpose(2, 1, 0)[:, ::-1, ::-1])
    assert case.spacing_mm == pytest.approx((5, 2, 2))


def test_shape_mismatch(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", np.ones((4, 5, 7), dtype=np.uint8), AFFINE)
    error = refused(volume_recipe(), tmp_path)
    assert error.code == "shape_mismatch"
    assert "4 x 5 x 6" in str(error)
    assert "4 x 5 x 7" in str(error)


@pytest.mark.parametrize(
    ("change", "says"), [("shift", "origin"), ("flip", "direction"), ("scale", "spacing")]
)
def test_geometry_mismatch(tmp_path: Path, change: str, says: str) -> None:
    affine = AFFINE.copy()
    if change == "shift":
        affine[0, 3] += 0.01
    else:
        affine[:3, 2] *= -1 if change == "flip" else 1.01
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    nifti(tmp_path / "l.nii.gz", (VOXELS > 9).astype(np.uint8), affine)
    error = refused(volume_recipe(), tmp_path)
    assert error.code == "geometry_mismatch"
    assert f"image and label differ in {says}" in str(error)  # and not as turned to the image's
    assert "l.nii.gz" in str(error)


OTHERWISE = AFFINE @ np.array([[-1.0, 0, 0, 7], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
PICTURE = np.arange(8 * 6, dtype=np.int16).reshape(8, 6, 1)
FLAT = {"flat": True, "case": "v"}


def test_flat_pictures_lie_where_their_headers_say(tmp_path: Path) -> None:
    """Data and header of the label both run the other way: it is drawn in the same place."""
    label = (PICTURE % 7 == 3).astype(np.uint8)
    nifti(tmp_path / "i.nii.gz", PICTURE, AFFINE)
    nifti(tmp_path / "l.nii.gz", label[::-1], OTHERWISE)
    (case,) = cases(recipe(series("i.nii.gz", MASK, **FLAT)), tmp_path)
    np.testing.assert_array_equal(case.image[0], PICTURE[:, :, 0].T)
    np.testing.assert_array_equal(mask_of(case, "cord"), case.image % 7 == 3)


def test_flat_pictures_of_two_places_do_not_pair(tmp_path: Path) -> None:
    away = AFFINE.copy()
    away[0, 3] += 1
    nifti(tmp_path / "i.nii.gz", PICTURE, AFFINE)
    nifti(tmp_path / "l.nii.gz", (PICTURE > 9).astype(np.uint8), away)
    error = refused(recipe(series("i.nii.gz", MASK, **FLAT)), tmp_path)
    assert error.code == "geometry_mismatch"
    assert "differ in origin" in str(error)
    assert "i.nii.gz and l.nii.gz" in str(error)


@pytest.mark.parametrize("stated", ["i.nii.gz", "l.nii.gz"])
def test_flat_pictures_of_which_one_states_a_place_are_read_as_stored(
    tmp_path: Path, stated: str
) -> None:
    for name, array in (("i.nii.gz", PICTURE), ("l.nii.gz", (PICTURE > 9).astype(np.uint8))):
        nifti(tmp_path / name, array, OTHERWISE, coded=name == stated)
    (case,) = cases(recipe(series("i.nii.gz", MASK, **FLAT)), tmp_path)
    np.testing.assert_array_equal(mask_of(case, "cord"), case.image > 9)


def test_an_unknown_value_and_a_float_label(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    label = np.zeros(VOXELS.shape, dtype=np.float32)
    label[0, 0, 0] = 3
    nifti(tmp_path / "l.nii.gz", label, AFFINE)
    made = volume_recipe({**MASK, "kind": "values", "structures": {"a": 2}, "structure": None})
    assert refused(made, tmp_path).code == "unknown_label_value"
    label[0, 0, 0] = 1.5
    nifti(tmp_path / "l.nii.gz", label, AFFINE)
    assert refused(made, tmp_path).code == "dtype_mismatch"
    label[0, 0, 0] = np.nan
    nifti(tmp_path / "l.nii.gz", label, AFFINE)
    assert refused(made, tmp_path).code == "non_finite"


def test_excluded_specs_raise_their_code(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    assert refused(volume_recipe(), tmp_path).code == "missing_label"


IMAGES = series("i/{case}.png", {"file": "m/{case}.png", "kind": "mask", "structure": "lungs"})
RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (6, 8), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
BITS = (GREY > 128).astype(np.uint8) * 255


@pytest.mark.parametrize("pixels", [GREY, RGB])
def test_an_image_is_a_case_of_one_slice(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    save(tmp_path / "i/a.png", pixels)
    save(tmp_path / "m/a.png", BITS)
    (case,) = cases(recipe({**IMAGES, "spacing_mm": [0.2, 0.3]}), tmp_path)
    np.testing.assert_array_equal(case.image, pixels[None])
    np.testing.assert_array_equal(mask_of(case, "lungs"), BITS[None] > 0)
    assert (case.plane, case.affine, case.spacing_mm) == ("image", None, (None, 0.2, 0.3))
    (plain,) = cases(recipe(IMAGES), tmp_path)
    assert plain.spacing_mm == (None, None, None)


def test_numbers_of_two_files_are_not_one_object(tmp_path: Path) -> None:
    """Object 1 of the first file would be united with object 1 of the second."""
    for name in ("i/a.png", "m/a_1.png", "m/a_2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / name)
    label = {"file": "m/{case}_{any}.png", "kind": "instances", "structure": "cell"}
    made = recipe(series("i/{case}.png", label))
    (spec,) = find_cases(made, tmp_path)
    with pytest.raises(CaseRefusedError, match="several files number") as caught:
        read_case(made, spec, tmp_path)
    assert caught.value.code == "unsupported_layout"
    label = {"file": "m/{case}_{structure}.png", "kind": "instances"}
    made = recipe(series("i/{case}.png", label))
    (spec,) = find_cases(made, tmp_path)
    (case,) = read_case(made, spec, tmp_path)
    assert {(one.structure, one.instance) for one in case.meaning} == {("1", 1), ("2", 1)}


def test_one_structure_from_two_entries_of_labels_refuses(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", GREY)
    save(tmp_path / "v/a.png", BITS // 255)
    save(tmp_path / "m/a/liver.png", BITS)
    save(tmp_path / "m/a/spleen.png", BITS)
    values = {"file": "v/{case}.png", "kind": "values", "structures": {"liver": 1}}
    files = {"file": "m/{case}/{structure}.png", "kind": "mask"}
    error = refused(recipe(series("i/{case}.png", values, files)), tmp_path)
    assert error.code == "unsupported_layout"
    for word in ("v/a.png", "m/a/liver.png", "'liver'"):
        assert word in str(error)
    (tmp_path / "m/a/liver.png").unlink()
    (case,) = cases(recipe(series("i/{case}.png", values, files)), tmp_path)
    assert [one.structure for one in case.meaning] == ["liver", "spleen"]


def test_one_structure_from_two_kinds_of_file_names_refuses(tmp_path: Path) -> None:
    for name in ("i/a.png", "m/a/liver.png", "n/a/liver.png"):
        save(tmp_path / name, BITS)
    labels = [{"file": f"{folder}/{{case}}/{{structure}}.png", "kind": "mask"} for folder in "mn"]
    error = refused(recipe(series("i/{case}.png", *labels)), tmp_path)
    assert error.code == "unsupported_layout"
    assert "m/a/liver.png and n/a/liver.png" in str(error)


def test_an_image_and_a_volume_do_not_pair(tmp_path: Path) -> None:
    nifti(tmp_path / "i.nii.gz", VOXELS, AFFINE)
    save(tmp_path / "l.png", BITS)
    made = volume_recipe({**MASK, "file": "l.png"})
    assert refused(made, tmp_path).code == "geometry_mismatch"


def test_image_shape_mismatch(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", GREY)
    save(tmp_path / "m/a.png", BITS.T.copy())
    assert refused(recipe(IMAGES), tmp_path).code == "shape_mismatch"


def test_components_of_a_structure_are_one_object(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", GREY)
    left, right = BITS.copy(), BITS.copy()
    left[:, 4:], right[:, :5] = 0, 0
    for name, mask in (("hip_0", left), ("hip_1", right), ("body_0", np.full_like(BITS, 255))):
        save(tmp_path / f"m/a_{name}.png", mask)
    made = recipe(
        series("i/{case}.png", {"file": "m/{case}_{structure}_{component}.png", "kind": "mask"})
    )
    (case,) = cases(made, tmp_path)
    assert [m.structure for m in case.meaning] == ["body", "hip"]
    np.testing.assert_array_equal(mask_of(case, "hip")[0], (left | right) > 0)
    assert mask_of(case, "body").all()


@pytest.mark.parametrize(("frames", "names"), [("cases", ["s_t000", "s_t001"]), ("slices", ["s"])])
def test_page_stacks(tmp_path: Path, frames: str, names: list[str]) -> None:
    stack = np.stack([GREY, GREY[::-1]])
    tifffile.imwrite(tmp_path / "i.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "l.tif", (stack > 128).astype(np.uint8), photometric="minisblack")
    label = {"file": "l.tif", "kind": "mask", "structure": "membrane"}
    found = cases(recipe(series("i.tif", label, case="s", frames=frames)), tmp_path)
    assert [case.case for case in found] == names
    np.testing.assert_array_equal(np.concatenate([case.image for case in found]), stack)
    for case in found:
        np.testing.assert_array_equal(mask_of(case, "membrane"), case.image > 128)
        assert case.plane == "image"


@pytest.mark.parametrize("frames", ["cases", "slices"])
@pytest.mark.parametrize("kind", ["mask", "instances"])
def test_one_page_of_labels_is_that_of_all_pages(tmp_path: Path, frames: str, kind: str) -> None:
    stack = np.stack([GREY, GREY[::-1], GREY.T.reshape(GREY.shape)])
    page = np.zeros_like(GREY)
    page[1:4, 2:7] = np.eye(3, 5, dtype=np.uint8) * 3
    tifffile.imwrite(tmp_path / "i.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "l.tif", page, photometric="minisblack")
    label = {"file": "l.tif", "kind": kind, "structure": "membrane"}
    found = cases(recipe(series("i.tif", label, case="s", frames=frames)), tmp_path)
    masks = np.concatenate([mask_of(case, "membrane") for case in found])
    np.testing.assert_array_equal(masks, np.stack([page > 0] * 3))
    assert {one.instance for case in found for one in case.meaning} == {0 if kind == "mask" else 3}


def test_a_page_of_labels_for_all_pages_and_a_page_for_each_unite(tmp_path: Path) -> None:
    """Two files of one structure, of one page and of three."""
    stack = np.zeros((3, 6, 8), np.uint8)
    stack[2, 5, 7] = 1
    tifffile.imwrite(tmp_path / "i.tif", np.stack([GREY] * 3), photometric="minisblack")
    tifffile.imwrite(tmp_path / "l_1.tif", np.eye(6, 8, dtype=np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "l_2.tif", stack, photometric="minisblack")
    label = {"file": "l_{any}.tif", "kind": "mask", "structure": "membrane"}
    (case,) = cases(recipe(series("i.tif", label, case="s", frames="slices")), tmp_path)
    np.testing.assert_array_equal(mask_of(case, "membrane"), np.eye(6, 8) + stack > 0)


def test_grey_stored_as_colour_is_grey_in_the_case(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", np.stack([GREY] * 3, axis=-1))
    save(tmp_path / "m/a.png", BITS)
    (case,) = cases(recipe(IMAGES), tmp_path)
    np.testing.assert_array_equal(case.image, GREY[None])


SLICES = recipe(
    series("{case}/slices/", {"file": "{case}/masks/", "kind": "mask", "structure": "s"},
           orientation="LPS", spacing_mm=[5.0, 2.0, 3.0])
)  # fmt: skip


def put_slices(root: Path, slices: list[str], masks: list[str]) -> None:
    for folder, names in (("slices", slices), ("masks", masks)):
        for n, name in enumerate(names):
            save(root / f"a/{folder}/{name}.png", np.full((4, 5), n % 2, np.uint8))


def test_a_slice_and_another_mask_missing_is_not_a_pair(tmp_path: Path) -> None:
    """As many files on both sides; mask 3 would lie on slice 4."""
    put_slices(tmp_path, ["IMG-001", "IMG-002", "IMG-004", "IMG-005"],
               ["IMG-001", "IMG-002", "IMG-003", "IMG-005"])  # fmt: skip
    error = refused(SLICES, tmp_path)
    assert error.code == "shape_mismatch"
    assert "slice IMG-004.png beside label IMG-003.png" in str(error)
    assert "a/masks/" in str(error)


def test_slices_and_masks_of_other_numbers_pair_in_their_order(tmp_path: Path) -> None:
    for n, (slice_name, mask_name) in enumerate((("s2", "m0"), ("s4", "m1"), ("s6", "m2")), 1):
        save(tmp_path / f"a/slices/{slice_name}.png", np.full((4, 5), n, np.uint8))
        save(tmp_path / f"a/masks/{mask_name}.png", np.eye(4, 5, n, dtype=np.uint8))
    (case,) = cases(SLICES, tmp_path)
    assert case.image[:, 0, 0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(
        mask_of(case, "s"), np.stack([np.eye(4, 5, n) > 0 for n in (1, 2, 3)])
    )
    assert case.spacing_mm == (5.0, 2.0, 3.0)


def test_validate_reports_every_case(tmp_path: Path) -> None:
    for name in "abcde":
        save(tmp_path / f"i/{name}.png", GREY)
        save(tmp_path / f"m/{name}.png", BITS)
    save(tmp_path / "m/b.png", np.zeros_like(BITS))
    save(tmp_path / "m/c.png", GREY)
    (tmp_path / "m/d.png").unlink()
    made = recipe(IMAGES, skip={"e": "blurred"})
    reports = list(validate(made, tmp_path))
    assert [(r.case, r.status, r.code) for r in reports] == [
        ("a", "ok", None),
        ("b", "excluded", "empty_case"),
        ("c", "refused", "unknown_label_value"),
        ("d", "refused", "missing_label"),
        ("e", "excluded", "recipe_skip"),
    ]
    assert reports[0].structures == ("lungs",)
    assert reports[0].n_slices == 1
    assert "blurred" in reports[4].detail


def test_validate_catches_frames_that_share_a_name(tmp_path: Path) -> None:
    four_d(tmp_path, None)
    nifti(tmp_path / "other.nii.gz", VOXELS, AFFINE)
    made = recipe(series("i.nii.gz", MASK, case="v"), series("other.nii.gz", MASK, case="v_t001"))
    with pytest.raises(UserError, match="v_t001"):
        list(validate(made, tmp_path))


def test_a_file_no_reader_knows_is_the_recipes_mistake(tmp_path: Path) -> None:
    (tmp_path / "i.xyz").write_bytes(b"")
    (tmp_path / "l.nii.gz").write_bytes(b"")
    with pytest.raises(UserError, match="no reader"):
        cases(recipe(series("i.xyz", MASK, case="v")), tmp_path)
