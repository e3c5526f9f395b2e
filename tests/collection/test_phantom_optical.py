"""Families seen through lenses: exact masks through their recipes, and enough variety."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from engine.collection.case import CuratedCase
from engine.collection.phantoms.base import Family, Shot, subject_generator
from engine.collection.phantoms.optical import cell, colon, electron, eye, skin, tissue
from engine.collection.phantoms.optical.pictures import SMALLEST_PX, View, outline, strokes, tidy
from engine.collection.raw import find_cases, open_recipe, read_case

FAMILIES = [module.FAMILY for module in (eye, skin, colon, tissue, electron, cell)]
SUBJECTS = [f"train-{number:04d}" for number in range(5)]
LEVELS = {"fluorescence": np.uint16}
JPEG = {"fundus", "dermoscopy", "colonoscopy"}

Masks = dict[tuple[str, int], np.ndarray]


def drawn(family: Family, subject: str, seed: int = 0) -> tuple[Shot, ...]:
    return family.draw(subject_generator(family.name, subject, seed))


remembered = cache(drawn)
"""For tests that only look; some of them look at the same subjects."""


def objects(shot: Shot) -> Masks:
    """(structure, instance) -> mask; instance 0 for masks."""
    found = {(name, 0): mask for name, mask in shot.masks.items()}
    for name, numbers in shot.instances.items():
        found |= {(name, int(n)): numbers == n for n in np.unique(numbers[numbers > 0])}
    return found


def stored(case: CuratedCase) -> Masks:
    return {
        (meaning.structure, meaning.instance): case.labels[meaning.layer, 0] == meaning.value
        for meaning in case.meaning
    }


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    chosen: Family = request.param
    return chosen


@pytest.fixture(scope="module")
def subjects(family: Family) -> dict[str, tuple[Shot, ...]]:
    return {subject: remembered(family, subject) for subject in SUBJECTS}


def test_recipe_reads_back_exact_masks_and_subjects(
    family: Family, subjects: dict[str, tuple[Shot, ...]], tmp_path: Path
) -> None:
    for subject, shots in subjects.items():
        family.write(tmp_path, subject, shots)
    recipe = open_recipe(family.dataset)
    assert recipe.dataset == family.dataset
    assert recipe.licence == "CC0-1.0"
    expected = {
        f"{subject}_{shot.name}": (subject, shot)
        for subject, shots in subjects.items()
        for shot in shots
    }
    specs = find_cases(recipe, tmp_path)
    assert {spec.case for spec in specs} == set(expected)
    for spec in specs:
        subject, shot = expected[spec.case]
        assert spec.excluded is None
        assert spec.subject == subject
        (case,) = read_case(recipe, spec, tmp_path)
        assert (case.case, case.subject) == (spec.case, subject)
        assert case.modality == shot.modality
        check_pixels(family, case.image[0], shot.image)
        masks = objects(shot)
        assert stored(case).keys() == masks.keys()
        for key, mask in stored(case).items():
            np.testing.assert_array_equal(mask, masks[key], err_msg=f"{spec.case} {key}")


def check_pixels(family: Family, read: np.ndarray, shot: np.ndarray) -> None:
    assert read.shape == shot.shape
    if family.name in JPEG:
        assert np.abs(read.astype(float) - shot).mean() < 6
    else:
        np.testing.assert_array_equal(read, shot)


def test_equal_seeds_give_equal_bytes(family: Family, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        family.write(tmp_path / folder, "demo-0003", drawn(family, "demo-0003"))
    first, second = tmp_path / "first", tmp_path / "second"
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert len(files) >= 4
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_shots_have_the_form_of_their_field(
    family: Family, subjects: dict[str, tuple[Shot, ...]]
) -> None:
    colour = family.name not in ("electron", "fluorescence")
    for shots in subjects.values():
        assert len(shots) == 2
        assert len({shot.name for shot in shots}) == 2
        assert {shot.modality for shot in shots} == set(family.modalities)
        for shot in shots:
            assert "_" not in shot.name  # the recipes take the last part of a file's name
            assert shot.image.dtype == LEVELS.get(family.name, np.uint8)
            assert shot.image.ndim == (3 if colour else 2)
            assert 256 <= min(shot.image.shape[:2]) <= max(shot.image.shape[:2]) <= 340
            assert shot.image.std() > 0


@pytest.mark.parametrize("seed", [0, 1])
def test_masks_have_no_strays(family: Family, seed: int) -> None:
    for subject in SUBJECTS:
        for shot in remembered(family, subject, seed):
            found = objects(shot)
            assert 1 <= len(found) <= 13
            for key, mask in found.items():
                assert mask.dtype == np.bool_
                assert mask.shape == shot.image.shape[:2]
                parts, count = label(mask, structure=np.ones((3, 3)))
                assert count >= 1, key
                assert np.bincount(parts.ravel())[1:].min() >= SMALLEST_PX, key
                if key[1]:
                    assert count == 1, key


def test_instances_do_not_outnumber_what_a_reader_can_show(
    subjects: dict[str, tuple[Shot, ...]],
) -> None:
    for shots in subjects.values():
        for shot in shots:
            for numbers in shot.instances.values():
                assert numbers.dtype == np.uint16
                values = np.unique(numbers[numbers > 0])
                np.testing.assert_array_equal(values, np.arange(1, len(values) + 1))
                assert 1 <= len(values) <= 12


def test_objects_span_sizes_and_stand_out(
    family: Family, subjects: dict[str, tuple[Shot, ...]]
) -> None:
    areas, contrasts = [], []
    for shots in subjects.values():
        for shot in shots:
            levels = shot.image.astype(float)
            grey = levels @ (0.299, 0.587, 0.114) if levels.ndim == 3 else levels
            for mask in objects(shot).values():
                around = binary_dilation(mask, iterations=4) & ~mask
                areas.append(mask.sum())
                contrasts.append(abs(grey[mask].mean() - grey[around].mean()) / grey.std())
    assert max(areas) > 8 * min(areas)
    middle = np.quantile(areas, [0.2, 0.8])
    assert middle[0] > 150
    assert middle[1] < 20_000
    assert np.median(contrasts) > 0.25
    assert np.mean(np.array(contrasts) < 0.03) < 0.15


def test_subjects_differ(subjects: dict[str, tuple[Shot, ...]]) -> None:
    sizes = {tuple(int(m.sum()) for m in objects(shots[0]).values()) for shots in subjects.values()}
    means = {round(float(shots[0].image.mean()), 2) for shots in subjects.values()}
    assert len(sizes) == len(means) == len(SUBJECTS)


def test_nested_structures_lie_inside() -> None:
    inner = {"optic_cup": "optic_disc", "lesion_core": "lesion", "lesion_veil": "lesion"}
    seen = set()
    for family in (eye.FAMILY, skin.FAMILY):
        for number in range(12):
            for shot in remembered(family, f"train-{number:04d}"):
                for part in inner.keys() & shot.masks.keys():
                    seen.add(part)
                    assert not np.any(shot.masks[part] & ~shot.masks[inner[part]])
    assert seen == inner.keys()


@pytest.mark.parametrize(
    ("family", "structures"),
    [
        (eye.FAMILY, set(eye.COLOURS)),
        (skin.FAMILY, {"lesion", "lesion_core", "lesion_veil", "hair"}),
        (colon.FAMILY, set(colon.VALUES)),
        (tissue.FAMILY, {"gland", "gland_lumen", "nucleus", "tumour", "fat", "vessel"}),
        (
            electron.FAMILY,
            {"nucleus", "nucleolus", "mitochondrion", "myelin", "lysosome", "vesicles"},
        ),
        (cell.FAMILY, {"nucleus", "cell"}),
    ],
    ids=lambda value: value.name if isinstance(value, Family) else "",
)
def test_every_structure_turns_up(family: Family, structures: set[str]) -> None:
    seen: set[str] = set()
    for number in range(16):
        for shot in remembered(family, f"train-{number:04d}"):
            seen |= shot.masks.keys() | shot.instances.keys()
        if seen == structures:
            break
    assert seen == structures


def test_view_maps_pixels_and_points_alike() -> None:
    view = View((31, 45), (3.0, -7.0), 1.7, 33.0, mirror=True)
    points = view.where().reshape(2, -1).T
    back = view.pixels(points)
    expected = np.indices((31, 45)).reshape(2, -1).T
    np.testing.assert_allclose(back, expected, atol=1e-9)


def test_outline_is_an_ellipse_without_waves() -> None:
    rng = np.random.default_rng(0)
    ellipse = outline(rng, (10.0, 20.0), (4.0, 9.0), rough=0.0, turn_deg=0.0)
    where = np.asarray(np.indices((24, 44)), dtype=np.float64)
    exact = np.hypot((where[0] - 10) / 4, (where[1] - 20) / 9)
    np.testing.assert_array_equal(ellipse.field(where) <= 1.0, exact <= 1.0)
    part = ellipse.window((24, 44))
    assert not np.any(np.delete(exact, np.r_[part[1]], axis=1) <= 1.0)


def test_strokes_cover_their_width_and_leave_the_picture() -> None:
    path = np.column_stack([np.full(2, 20.0), [-30.0, 80.0]])
    mask = strokes((40, 50), [(path, 3.2)]) >= 0.5
    assert mask.any(axis=1).sum() == 7
    assert mask.any(axis=0).all()
    assert not strokes((40, 50), []).any()


def test_tidy_drops_small_components() -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[2:12, 2:12] = True
    mask[20:25, 20:25] = True
    assert tidy(mask).sum() == 100
