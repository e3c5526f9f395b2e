"""Heads and hearts in MR: read back to the pixel, physically plausible, never twice the same."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import label

from engine.collection.case import CuratedCase
from engine.collection.phantoms.base import Family, Shot, subject_generator, subject_name
from engine.collection.phantoms.mr import brain, heart
from engine.collection.phantoms.mr.physics import (
    Tissue,
    balanced_echo,
    gradient_echo,
    inversion_recovery,
    magnitude,
    shading,
    spin_echo,
    zero_filled,
)
from engine.collection.phantoms.tidy import distinctness, seen, without_crumbs
from engine.collection.raw import find_cases, open_recipe, read_case

FAMILIES = (brain.FAMILY, heart.FAMILY)
NUMBERS = range(6)

Drawn = dict[str, tuple[Shot, ...]]

WATER = Tissue(1.0, 4000, 1400, 3.0)
WHITE = Tissue(0.7, 660, 76, 0.75)
GREY = Tissue(0.82, 1080, 94, 0.85, uptake_per_s=2.0)


def draw(family: Family, name: str, seed: int = 0) -> tuple[Shot, ...]:
    return family.draw(subject_generator(family.name, name, seed))


@pytest.fixture(scope="module")
def drawn() -> dict[str, Drawn]:
    return {
        family.name: {
            name: draw(family, name) for name in (subject_name("train", n) for n in NUMBERS)
        }
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def raw(drawn: dict[str, Drawn], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for family in FAMILIES:
        folders[family.name] = tmp_path_factory.mktemp(family.name)
        for subject, shots in drawn[family.name].items():
            family.write(folders[family.name], subject, shots)
    return folders


@pytest.fixture(scope="module")
def heads() -> list[tuple[Shot, ...]]:
    return [draw(brain.FAMILY, subject_name("val", number)) for number in range(12)]


def cases(family: Family, folder: Path) -> list[CuratedCase]:
    recipe = open_recipe(family.dataset)
    assert recipe.dataset == family.dataset
    assert recipe.licence == "CC0-1.0"
    return [case for spec in find_cases(recipe, folder) for case in read_case(recipe, spec, folder)]


def objects(shots: tuple[Shot, ...]) -> list[tuple[Shot, str, int]]:
    """(shot, structure, slice) of every object."""
    return [
        (shot, structure, int(index))
        for shot in shots
        for structure, mask in shot.masks.items()
        for index in np.flatnonzero(mask.any(axis=(1, 2)))
    ]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_recipes_read_back_what_was_drawn(
    family: Family, drawn: dict[str, Drawn], raw: dict[str, Path]
) -> None:
    expected = {
        f"{subject}_{shot.name}": (subject, shot)
        for subject, shots in drawn[family.name].items()
        for shot in shots
    }
    found = {case.case: case for case in cases(family, raw[family.name])}
    assert found.keys() == expected.keys()
    for name, (subject, shot) in expected.items():
        case = found[name]
        assert (case.subject, case.modality, case.plane) == (subject, shot.modality, "axial")
        assert case.spacing_mm == pytest.approx(shot.spacing_mm, rel=1e-5)
        np.testing.assert_array_equal(case.image, shot.image)
        masks = {label.structure: case.labels[label.layer] == label.value for label in case.meaning}
        assert masks.keys() == shot.masks.keys()
        for structure, mask in shot.masks.items():
            np.testing.assert_array_equal(masks[structure], mask, err_msg=f"{name} {structure}")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_seed_fixes_every_byte(
    family: Family, drawn: dict[str, Drawn], raw: dict[str, Path], tmp_path: Path
) -> None:
    name = subject_name("train", 1)
    family.write(tmp_path, name, draw(family, name))
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.nii.gz"))
    first = raw[family.name]
    assert files == sorted(path.relative_to(first) for path in (first / name).rglob("*.nii.gz"))
    for file in files:
        assert (first / file).read_bytes() == (tmp_path / file).read_bytes()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_pictures_have_the_promised_form(family: Family, drawn: dict[str, Drawn]) -> None:
    for shots in drawn[family.name].values():
        assert {shot.modality for shot in shots} == set(family.modalities)
        assert len({shot.name for shot in shots}) == len(shots)
        for shot in shots:
            assert shot.image.ndim == 3
            assert min(shot.image.shape[1:]) >= 256
            assert max(shot.image.shape[1:]) <= 340
            assert shot.image.dtype in (np.float32, np.int16)
            assert np.isfinite(shot.image).all()
            assert all(np.ptp(part) > 50 for part in shot.image)
            assert shot.masks
            assert all(mask.shape == shot.image.shape for mask in shot.masks.values())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_objects_have_no_crumbs_and_differ_from_their_surround(
    family: Family, drawn: dict[str, Drawn]
) -> None:
    diameters = []
    for shots in drawn[family.name].values():
        for shot, structure, index in objects(shots):
            mask = shot.masks[structure][index]
            parts, _ = label(mask, np.ones((3, 3)))
            assert np.bincount(parts.ravel())[1:].min() >= 60, (shot.name, structure)
            spread = np.quantile(shot.image[index], 0.99) - shot.image[index].min()
            picture = shot.image[index].astype(np.float64)
            if structure != "brain":  # dark bone and bright fat around it may cancel out
                assert distinctness(picture, mask) > 0.005 * spread, (shot.name, structure)
            diameters.append(2 * np.sqrt(mask.sum() / np.pi))
    middle = np.mean([20 <= diameter <= 150 for diameter in diameters])
    assert middle > 0.55
    assert np.mean([diameter < 20 for diameter in diameters]) < 0.25


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_subjects_differ_in_size_place_and_noise(family: Family, drawn: dict[str, Drawn]) -> None:
    largest = {"brain": "brain", "heart": "myocardium"}[family.name]
    boxes = []
    for shots in drawn[family.name].values():
        rows, columns = np.nonzero(shots[0].masks[largest].any(axis=0))
        boxes.append((rows.mean(), columns.mean(), np.ptp(rows), np.ptp(columns)))
    assert (np.std(boxes, axis=0) > 4).all()
    assert len({shots[0].image.shape for shots in drawn[family.name].values()}) > 1


def test_series_of_a_head_share_their_masks(heads: list[tuple[Shot, ...]]) -> None:
    """What two series both show is the same region; each leaves out what it does not show."""
    lesions: set[str] = set()
    for shots in heads:
        for structure in {name for shot in shots for name in shot.masks}:
            masks = [shot.masks[structure] for shot in shots if structure in shot.masks]
            union = np.logical_or.reduce(masks)
            for mask in masks:
                for part, whole in zip(mask, union, strict=True):
                    assert not part.any() or (part == whole).all()
        lesions |= {name for shot in shots for name in shot.masks} & brain.LESION_VALUES.keys()
    assert {"tumour_core", "enhancing_rim", "oedema", "stroke_lesion"} <= lesions


def test_a_stroke_is_bright_in_diffusion_and_dark_in_its_map(
    heads: list[tuple[Shot, ...]],
) -> None:
    checked = 0
    for head in heads:
        shots = {shot.name: shot for shot in head}
        for name, sign in (("dwi", 1), ("adc", -1)):
            lesion = shots[name].masks.get("stroke_lesion")
            if lesion is None:
                continue
            image, checked = shots[name].image, checked + 1
            rest = shots[name].masks["brain"] & ~lesion
            assert sign * (np.median(image[lesion]) - np.median(image[rest])) > 0
    assert checked >= 2


def test_a_heart_contracts_and_keeps_its_wall(drawn: dict[str, Drawn]) -> None:
    for shots in drawn["heart"].values():
        by_name = {shot.name: shot.masks for shot in shots}
        areas = [by_name[f"cine_{m}"]["left_ventricle"][0].sum() for m in ("ed", "mid", "es")]
        assert areas[0] > areas[1] > areas[2] > 0
        ring = by_name["cine_ed"]["myocardium"][0]
        row, column = np.floor(np.argwhere(ring).mean(axis=0) + 0.5).astype(int)
        assert not ring[row, column]


def test_files_are_those_of_the_field(raw: dict[str, Path]) -> None:
    cine = nib.load(raw["heart"] / "train-0000" / "cine.nii.gz")
    assert len(cine.shape) == 4
    assert cine.shape[3] == 3
    head = raw["brain"] / "train-0000"
    codes = {
        "".join(nib.aff2axcodes(nib.load(head / f"{name}.nii.gz").affine))
        for name in ("t1w", "t1gd", "t2w", "flair", "dwi", "adc")
    }
    assert len(codes) == 6
    assert (head / "t1w_structures" / "brain.nii.gz").is_file()


def test_sequences_order_tissues_as_every_textbook_does() -> None:
    def t1(tissue: Tissue) -> float:
        return spin_echo(tissue, 500, 12)

    def t2(tissue: Tissue) -> float:
        return spin_echo(tissue, 5000, 100)

    assert t1(WHITE) > t1(GREY) > t1(WATER)
    assert t2(WHITE) < t2(GREY) < t2(WATER)
    null = WATER.t1_ms * np.log(2)
    assert inversion_recovery(WATER, 1e6, 0, null) == pytest.approx(0, abs=1e-9)
    assert gradient_echo(WHITE, 20, 0, 90) == pytest.approx(0.7 * (1 - np.exp(-20 / 660)))
    assert balanced_echo(WATER, 3, 50) > balanced_echo(GREY, 3, 50)
    assert t1(GREY.with_gadolinium()) > t1(GREY)
    assert GREY.with_gadolinium().t1_ms == pytest.approx(1 / (1 / 1080 + 0.002))


def test_noise_is_rician() -> None:
    """Without signal the mean of the magnitude is sqrt(pi / 2) standard deviations."""
    signal = np.zeros((1, 300, 300))
    signal[:, :, 150:] = 1.0
    rng = np.random.Generator(np.random.PCG64(0))
    image = magnitude(signal, rng, noise=0.05, bias=0.0, gain=100.0)
    assert image.dtype == np.float32
    assert image[..., :150].mean() == pytest.approx(5 * np.sqrt(np.pi / 2), rel=0.02)
    assert image[..., 150:].std() == pytest.approx(5, rel=0.03)


def test_shading_is_smooth_and_zero_filling_keeps_the_mean() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    profile = shading((2, 260, 280), rng, 0.2)
    assert profile.shape == (260, 280)
    assert np.log(profile).std() == pytest.approx(0.2, rel=1e-6)
    assert np.abs(np.diff(profile, axis=0)).max() < 0.05
    image = rng.random((1, 64, 81))
    coarse = zero_filled(image, 0.5)
    assert coarse.mean() == pytest.approx(image.mean())
    assert coarse.std() < 0.7 * image.std()
    np.testing.assert_allclose(zero_filled(np.ones((1, 64, 81)), 0.3), 1.0)


def test_crumbs_go_and_what_is_invisible_is_not_labelled() -> None:
    mask = np.zeros((2, 40, 40), dtype=bool)
    mask[:, 5:15, 5:15] = True
    mask[1, 30:33, 30:33] = True
    tidy = without_crumbs(mask)
    assert tidy.sum() == 200
    signal = np.zeros(mask.shape)
    signal[0][mask[0]] = 0.2
    assert distinctness(signal[0], tidy[0]) == pytest.approx(0.2)
    assert seen(signal, tidy, 0.1).any(axis=(1, 2)).tolist() == [True, False]
    mask[1, 8:10, 8:10] = False
    assert without_crumbs(mask, fill=True).sum() == 200
