"""Trunks in CT and MR, radiographs and sonograms: exact on disk, varied, fit to be learned from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import label

from engine.collection.case import CuratedCase
from engine.collection.phantoms.anatomy import grid, smooth_noise
from engine.collection.phantoms.base import Family, Shot, subject_generator
from engine.collection.phantoms.beams import ultrasound, xray
from engine.collection.phantoms.beams.outlines import Easel
from engine.collection.phantoms.beams.probe import Tissues, linear, sonogram
from engine.collection.phantoms.beams.projection import Film
from engine.collection.phantoms.trunk import abdomen_ct, abdomen_mr
from engine.collection.phantoms.trunk.canvas import labels_of, masks_of
from engine.collection.raw import find_cases, open_recipe, read_case

FAMILIES = {
    f.name: f for f in (module.FAMILY for module in (abdomen_ct, abdomen_mr, xray, ultrasound))
}
VOLUMES = ("abdomen_ct", "abdomen_mr")
N_SUBJECTS = 12
DTYPES = {
    "abdomen_ct": {np.dtype(np.int16)},
    "abdomen_mr": {np.dtype(np.float32)},
    "xray": {np.dtype(np.uint8), np.dtype(np.uint16)},
    "ultrasound": {np.dtype(np.uint8)},
}

every_family = pytest.mark.parametrize("name", sorted(FAMILIES))


@cache
def drawn(name: str, subject: str, seed: int = 0) -> tuple[Shot, ...]:
    return FAMILIES[name].draw(subject_generator(name, subject, seed))


def many(name: str) -> list[Shot]:
    return [shot for n in range(N_SUBJECTS) for shot in drawn(name, f"train-{n:04d}")]


def planes(shot: Shot) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """(image, structure -> mask) of every slice, masks that are not empty."""
    if shot.image.ndim == 2:
        return [(shot.image, shot.masks)]
    return [
        (plane, {name: mask[z] for name, mask in shot.masks.items() if mask[z].any()})
        for z, plane in enumerate(shot.image)
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def read_all(family: Family, folder: Path) -> dict[str, CuratedCase]:
    recipe = open_recipe(family.dataset)
    assert recipe.dataset == family.dataset
    assert recipe.licence == "CC0-1.0"
    return {
        case.case: case
        for spec in find_cases(recipe, folder)
        for case in read_case(recipe, spec, folder)
    }


@every_family
def test_a_seed_fixes_every_byte(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    for copy in ("first", "second"):
        shots = family.draw(subject_generator(name, "demo-0003", 5))
        family.write(tmp_path / copy, "demo-0003", shots)
    first = files(tmp_path / "first")
    assert len(first) >= 2
    assert first == files(tmp_path / "second")


@every_family
def test_the_recipe_reads_back_what_was_drawn(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    subjects = [f"train-{number:04d}" for number in range(4)]
    for subject in subjects:
        family.write(tmp_path, subject, drawn(name, subject))
    cases = read_all(family, tmp_path)
    expected = {f"{s}_{shot.name}": (s, shot) for s in subjects for shot in drawn(name, s)}
    assert set(cases) == set(expected)
    for key, (subject, shot) in expected.items():
        case = cases[key]
        assert case.subject == subject
        assert case.modality == shot.modality
        volume = shot.image if shot.image.ndim == 3 else shot.image[None]
        np.testing.assert_array_equal(case.image.reshape(volume.shape), volume)
        assert {meaning.structure for meaning in case.meaning} == set(shot.masks)
        for structure, mask in shot.masks.items():
            layers = [m for m in case.meaning if m.structure == structure]
            read = np.any([case.labels[m.layer] == m.value for m in layers], axis=0)
            np.testing.assert_array_equal(read.reshape(mask.shape), mask)


@every_family
def test_images_have_the_size_and_type_of_their_field(name: str) -> None:
    shots = many(name)
    assert {shot.modality for shot in shots} == set(FAMILIES[name].modalities)
    assert {shot.image.dtype for shot in shots} <= DTYPES[name]
    for shot in shots:
        assert 256 <= min(shot.image.shape[-2:]) <= max(shot.image.shape[-2:]) <= 345
        assert shot.image.ndim == (3 if name in VOLUMES else 2)
        assert not shot.instances
        for plane, _ in planes(shot):
            assert float(plane.max()) - float(plane.min()) > 30


@every_family
def test_objects_are_few_and_no_crumbs(name: str) -> None:
    counts, areas = [], []
    for shot in many(name):
        assert shot.masks
        for _, masks in planes(shot):
            counts.append(len(masks))
            for mask in masks.values():
                parts, n = label(mask, np.ones((3, 3)))
                assert np.bincount(parts.ravel())[1:].min() >= 50 * (n > 0)
                areas.append(int(mask.sum()))
    assert min(counts) >= 1
    assert max(counts) <= 12
    diameter = 2 * np.sqrt(np.array(areas) / np.pi)
    assert np.mean((diameter > 18) & (diameter < 150)) > 0.7


@every_family
def test_objects_can_be_seen(name: str) -> None:
    """Most differ from a band around them by more than a tenth of the picture's spread."""
    visible = []
    for shot in many(name):
        for plane, masks in planes(shot):
            levels = plane.astype(float)
            for mask in masks.values():
                near = _dilated(mask, 6) & ~mask
                if near.any():
                    step = abs(levels[mask].mean() - levels[near].mean())
                    visible.append(step / (np.ptp(levels) or 1.0))
    assert np.mean(np.array(visible) > 0.02) > 0.75


def _dilated(mask: np.ndarray, by: int) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    out = np.zeros_like(mask)
    top, left = max(0, rows.min() - by), max(0, columns.min() - by)
    out[top : rows.max() + by + 1, left : columns.max() + by + 1] = True
    return out


@every_family
def test_subjects_differ(name: str) -> None:
    """No two subjects share a picture, and their structures lie in different places."""
    first = [drawn(name, f"train-{n:04d}")[0] for n in range(N_SUBJECTS)]
    places: dict[str, list[tuple[float, float]]] = {}
    for shot in first:
        _, masks = planes(shot)[0]
        for structure, mask in masks.items():
            y, x = np.argwhere(mask).mean(axis=0)
            places.setdefault(structure, []).append((y / mask.shape[0], x / mask.shape[1]))
    spread = [np.ptp(np.array(p), axis=0).max() for p in places.values() if len(p) > 2]
    assert min(spread) > 0.03
    assert len({shot.image.tobytes() for shot in first}) == N_SUBJECTS


@pytest.mark.parametrize("name", ["xray", "ultrasound", "abdomen_mr"])
def test_shots_of_a_subject_share_an_anatomy(name: str) -> None:
    for number in range(N_SUBJECTS):
        first, second = drawn(name, f"train-{number:04d}")
        assert set(first.masks) & set(second.masks)
        assert not np.array_equal(first.image, second.image)


@pytest.mark.parametrize("name", VOLUMES)
def test_slices_of_a_volume_differ(name: str) -> None:
    shares = []
    for shot in many(name):
        for mask in shot.masks.values():
            both = mask[0] & mask[-1]
            if mask[0].any() and mask[-1].any():
                shares.append(2 * both.sum() / (mask[0].sum() + mask[-1].sum()))
    assert 0.5 < np.median(shares) < 0.95


def test_the_patients_right_is_on_the_left_of_the_picture() -> None:
    for name in VOLUMES:
        for shot in many(name):
            for pair in ("kidney", "psoas", "lung", "femur"):
                right, left = (shot.masks.get(f"{pair}_{side}") for side in ("right", "left"))
                if right is not None and left is not None:
                    assert np.argwhere(right).mean(axis=0)[2] < np.argwhere(left).mean(axis=0)[2]


def test_a_tumour_is_part_of_its_organ() -> None:
    found = 0
    for shot in many("abdomen_ct"):
        labels = labels_of(shot.masks)
        again = masks_of(labels)
        assert set(again) == set(shot.masks)
        for structure, mask in shot.masks.items():
            np.testing.assert_array_equal(again[structure], mask)
        if "tumour" in shot.masks:
            found += 1
            organs = [mask for name, mask in shot.masks.items() if name != "tumour"]
            assert not (shot.masks["tumour"] & ~np.any(organs, axis=0)).any()
    assert found


def test_modalities_have_their_scale() -> None:
    for shot in many("abdomen_ct"):
        assert shot.image.min() >= -1024
        if "vertebra" in shot.masks and "lung_left" in shot.masks:
            bone, lung = (shot.image[shot.masks[s]].mean() for s in ("vertebra", "lung_left"))
            assert bone > lung + 150
    assert all(shot.image.min() >= 0 for shot in many("abdomen_mr"))
    assert any(shot.image.dtype == np.uint16 for shot in many("xray"))


def test_wide_noise_is_correlated_as_filtered_noise_is() -> None:
    noise = smooth_noise((1500, 1600), (5, 7), np.random.default_rng(1))
    for rows, columns in ((0, 7), (0, 14), (5, 0), (10, 7), (0, 70)):
        shifted = noise[rows:, columns:]
        found = (shifted * noise[: len(shifted), : shifted.shape[1]]).mean()
        expected = np.exp(-((rows / 5) ** 2 + (columns / 7) ** 2) / 4)
        assert found == pytest.approx(expected, abs=0.04)


def test_a_bone_shadow_adds_up_and_fades_to_its_edge() -> None:
    film = Film(grid((64, 64), (2 / 64, 2 / 64)), np.random.default_rng(0))
    mask = film.soft(film.oval((0, 0), (0.5, 0.5), ragged=0.0), 2.0)
    assert film.absorbed.max() == pytest.approx(2.0, rel=0.01)
    assert film.absorbed[~mask].max() == 0
    assert mask.sum() == pytest.approx(np.pi * 16**2, rel=0.02)
    film.bone(film.rod((-0.9, 0.0), (0.9, 0.0), 0.1), 1.0)
    assert film.absorbed.max() > 2.3


def test_an_outline_out_of_the_picture_leaves_no_trace() -> None:
    easel = Easel(grid((40, 50), (0.05, 0.05)), np.random.default_rng(0))
    assert not easel.mask(easel.oval((9.0, 9.0), (0.2, 0.2))).any()
    assert not easel.mask(easel.rod((9.0, 9.0), (9.5, 9.0), 0.1)).any()


def test_a_reflector_throws_a_shadow() -> None:
    rng = np.random.default_rng(3)
    tissues = Tissues(grid((260, 260), (2 / 260, 2 / 260)), rng)
    stone = tissues.fill(tissues.oval((-0.2, 0.0), (0.08, 0.15), ragged=0.0), 3.0, 20.0)
    image = sonogram(tissues, linear((260, 260), rng), rng).astype(float)
    assert image[stone].max() > image[150:200, 40:80].mean()
    assert image[150:200, 120:140].mean() < 0.4 * image[150:200, 40:80].mean()
