"""The whole way from raw files and a recipe to stored pixels, on made and on real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stored_makers import refs, tables, verify

from engine.collection.catalog import Catalog
from engine.collection.ingest import ingest
from engine.collection.raw import find_cases, open_recipe, read_case
from engine.collection.reading import read_slices
from engine.collection.sample import sample_units
from engine.errors import UserError
from engine.study import Study

RECIPE = """
dataset: made
title: Made images
licence: CC0
source: nowhere
series:
  - images: "{case}.png"
    modality: photo
    labels:
      - {file: "masks/{case}.png", kind: values, structures: {disc: 1, cup: 2}}
"""
SKIP = RECIPE + "skip: {b: blurred}\n"


def make_raw(folder: Path) -> Path:
    (folder / "masks").mkdir(parents=True)
    for seed, name in enumerate("abcd"):
        rng = np.random.default_rng(seed)
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(folder / f"{name}.png")
        mask = np.zeros((20, 24), np.uint8)
        mask[2:15, 3:15], mask[5:8, 5:8] = 1, 2
        mask[0, 0] = 9 if name == "d" else 0  # a value the recipe does not know
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    (folder / "masks" / "c.png").unlink()
    return folder


def test_recipe_to_collection(tmp_path: Path) -> None:
    raw, out, recipe = make_raw(tmp_path / "raw"), tmp_path / "c.zarr", tmp_path / "made.yaml"
    recipe.write_text(RECIPE)
    report = ingest(str(recipe), raw, out)
    assert (report.stored, report.refused, report.excluded, report.exit_code) == (2, 2, 0, 1)
    found = tables(out)
    assert [(row["case_id"], row["reason"]) for row in found["exclusions"]] == [
        ("made/c", "missing_label"), ("made/d", "unknown_label_value")
    ]  # fmt: skip
    assert found["datasets"][0]["recipe_sha256"] == open_recipe(recipe).sha256
    assert found["cases"][0]["source_files"] == ["a.png", "masks/a.png"]
    areas = {row["object_id"]: row["area_px"] for row in found["objects"]}
    assert areas["made/a/00000/cup/0"] == 9
    recipe.write_text(SKIP)
    report = ingest(str(recipe), raw, out)
    assert (report.rebuilt, report.excluded) == (1, 1)  # a lay in one group with b
    assert [row["case"] for row in tables(out)["cases"]] == ["a"]
    Image.fromarray(np.ones((20, 24), np.uint8)).save(raw / "masks" / "d.png")
    report = ingest(open_recipe(recipe), raw, out)
    assert (report.stored, report.unchanged, report.refused) == (1, 1, 1)
    verify(out)
    with pytest.raises(UserError, match="raw"):
        ingest(str(recipe), tmp_path / "nowhere", out)


def test_real_images_come_back_as_curated(shared_data: Path, tmp_path: Path) -> None:
    names = ("sct_spinal_cord_mri", "stardist_fluorescence", "drishti_optic_disc", "sam_med2d_demo")
    for name in names:
        if not (shared_data / name).is_dir():
            pytest.skip(f"real images are absent: {shared_data / name}")
        assert ingest(name, shared_data / name, tmp_path).stored
        before = len(tables(tmp_path)["slices"])
        assert ingest(name, shared_data / name, tmp_path).stored == 0
        assert len(tables(tmp_path)["slices"]) == before
    verify(tmp_path)
    for name in names:
        recipe = open_recipe(name)
        for spec in find_cases(recipe, shared_data / name):
            for case in () if spec.excluded else read_case(recipe, spec, shared_data / name):
                stored = refs(tmp_path, case_id=f"{name}/{case.case}")
                for ref, pixels in zip(stored, read_slices(tmp_path, stored), strict=True):
                    index = int(ref.slice_id[-5:])
                    assert np.array_equal(pixels.image, case.image[index])
                    layers = len(case.labels)
                    assert np.array_equal(pixels.labels[:layers], case.labels[:, index])
                    assert not pixels.labels[layers:].any()
    study = Study(name="s", models=["m"], strategies=["box"])
    sample = sample_units(Catalog.open(tmp_path), study)
    assert sample.units.n_objects > 200
