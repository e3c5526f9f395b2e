"""All twelve families together: the paper's modalities, pinned pictures, splits, processes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from engine.collection.phantoms import FAMILIES, Shot, orders, write_subjects
from engine.collection.phantoms.base import subject_generator
from engine.collection.phantoms.families import remove_subjects
from engine.collection.phantoms.raw_files import write_nifti
from engine.collection.raw import open_recipe
from engine.collection.recipe import Recipe
from engine.errors import UserError

PAPER = {
    *("CT", "MRI", "T1W", "T2W", "ADC", "Cine-MRI", "CMR", "DW", "T1-Gd", "T2-FLAIR"),
    *("histopathology", "electron microscopy", "ultrasound", "X-ray", "fundus"),
    *("colonoscopy", "dermoscopy", "microscopy"),
}

GOLDEN = {
    "abdomen_ct": "ae1a82a165711f87",
    "abdomen_mr": "ddd4082295de7ee7",
    "brain": "c040920e7492afe2",
    "colonoscopy": "8b1ed31f952f5c48",
    "dermoscopy": "b4a20d9a7720008c",
    "electron": "6acb3ff231014e53",
    "fluorescence": "22c819fcb2273b60",
    "fundus": "ac6a9b88263ce93d",
    "heart": "27dcd313e8e958e6",
    "histopathology": "ea342c0801d72731",
    "ultrasound": "899cfc15cdbe998c",
    "xray": "d6bb12d6280970d1",
}
"""Family -> digest of subject `golden-0000`. When one changes on purpose, shipped weights have been
trained on other pictures than the family draws now: say so in the changelog."""


def digest(shots: tuple[Shot, ...]) -> str:
    """What a picture is, but for the last bits, which another CPU may round otherwise."""
    lines = []
    for shot in shots:
        areas = {name: int(mask.sum()) for name, mask in sorted(shot.masks.items())}
        numbered = {
            name: np.bincount(numbers.ravel())[1:].tolist()
            for name, numbers in sorted(shot.instances.items())
        }
        levels = shot.image.astype(np.float64)
        seen = [f"{value:.3e}" for value in (levels.mean(), levels.std())]
        spacing = [f"{step:.4g}" for step in shot.spacing_mm or ()]
        form = (shot.name, shot.modality, str(shot.image.dtype), shot.image.shape)
        lines.append(repr((form, spacing, seen, areas, numbered)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_subject_is_drawn_as_ever(name: str) -> None:
    drawn = FAMILIES.get(name).draw(subject_generator(name, "golden-0000", 0))
    assert digest(drawn) == GOLDEN[name]


def test_a_digest_notices_one_pixel_of_a_mask() -> None:
    (shot, *_) = FAMILIES.get("xray").draw(subject_generator("xray", "golden-0000", 0))
    before = digest((shot,))
    mask = next(iter(shot.masks.values()))
    mask[tuple(np.argwhere(mask)[0])] = False
    assert digest((shot,)) != before


def test_the_families_have_the_papers_modalities_by_the_papers_names() -> None:
    offered = [modality for name in FAMILIES for modality in FAMILIES.get(name).modalities]
    assert len(PAPER) == 18
    assert len(list(FAMILIES)) == 12
    assert sorted(offered) == sorted(PAPER)
    for name in FAMILIES:
        family = FAMILIES.get(name)
        assert family.name == name
        recipe = open_recipe(family.dataset)
        assert isinstance(recipe, Recipe)
        assert {series.modality for series in recipe.series} == set(family.modalities)


def test_orders_name_subjects_by_split_and_number(tmp_path: Path) -> None:
    wanted = orders(tmp_path, "mine", 2, ["xray", "heart"], seed=7, first=3)
    assert [(o.family, o.subject, o.seed, o.folder) for o in wanted] == [
        (name, f"mine-{n:04d}", 7, tmp_path / name) for name in ("xray", "heart") for n in (3, 4)
    ]
    assert len(orders(tmp_path, "mine", 1)) == 12


def test_splits_and_seeds_share_neither_a_name_nor_a_stream() -> None:
    streams = {
        subject_generator(family, f"{split}-{number:04d}", seed).bytes(16)
        for family in FAMILIES
        for split in ("train", "demo", "val")
        for number in range(5)
        for seed in (0, 1)
    }
    assert len(streams) == 12 * 3 * 5 * 2


def test_several_processes_write_the_same_bytes(tmp_path: Path) -> None:
    names = ["abdomen_ct", "fluorescence", "fundus", "ultrasound", "xray"]
    for folder, workers in (("one", 1), ("two", 2)):
        wanted = orders(tmp_path / folder, "demo", 2, names)
        done = list(write_subjects(wanted, workers))
        assert {order.subject for order in done} == {"demo-0000", "demo-0001"}
        assert len(done) == len(wanted)
    one = files(tmp_path / "one")
    assert len(one) > 20
    assert one == files(tmp_path / "two")


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_all_files_of_a_subject_are_found_again(name: str, tmp_path: Path) -> None:
    """By their names, whichever family wrote them."""
    wanted = orders(tmp_path, "mine", 1, [name])
    list(write_subjects(wanted))
    assert files(tmp_path)
    remove_subjects(wanted)
    assert files(tmp_path) == {}


@pytest.mark.parametrize("name", ["brain", "fundus"])
def test_a_subject_drawn_anew_leaves_nothing_of_the_old_one(name: str, tmp_path: Path) -> None:
    """A stale mask of a structure the new picture lacks would become one of its labels."""
    for folder, seeds in (("both", (0, 1)), ("alone", (1,))):
        list(write_subjects(orders(tmp_path / folder, "other", 1, [name])))
        for seed in seeds:
            list(write_subjects(orders(tmp_path / folder, "mine", 1, [name], seed)))
    assert files(tmp_path / "both") == files(tmp_path / "alone")
    list(write_subjects(orders(tmp_path / "alone", "mine", 1, [name], seed=1, first=1)))
    assert files(tmp_path / "both").items() < files(tmp_path / "alone").items()


@pytest.mark.parametrize("split", ["", "../up", "my_split", "a b", "-x"])
def test_a_split_must_fit_into_file_names(split: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="part of every file's name"):
        orders(tmp_path, split, 1)


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'fundus'"):
        FAMILIES.get("fundos")


@pytest.mark.parametrize("codes", ["RAS", "PLI", "SAL", "IPR"])
def test_a_volume_may_lie_on_disk_in_any_order(codes: str, tmp_path: Path) -> None:
    """Header and array agree: the value drawn at a place is found there by its coordinates."""
    volume = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
    write_nifti(tmp_path / "a.nii.gz", volume, (5.0, 2.0, 3.0), codes)
    image = nib.load(tmp_path / "a.nii.gz")
    assert "".join(nib.aff2axcodes(image.affine)) == codes
    stored = np.asanyarray(image.dataobj)
    for z, y, x in np.ndindex(3, 4, 5):
        ras = (-3.0 * (x - 2), -2.0 * (y - 1.5), 5.0 * (z - 1))
        index = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), ras)).astype(int)
        assert stored[tuple(index)] == volume[z, y, x]
