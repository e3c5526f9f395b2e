"""`samscope phantoms`: what it leaves, what a second call changes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import run
from engine.collection.catalog import Catalog

FEW = "fluorescence,xray"


def phantoms(folder: Path, split: str = "train", *more: str) -> int:
    arguments = ["--split", split, "--subjects", "2", "--families", FEW, "--workers", "1"]
    return run(["phantoms", "--out", str(folder), *arguments, *more])


def column(folder: Path, table: str, name: str) -> list[str]:
    return [str(v) for v in Catalog.open(folder / "collection.zarr").table(table)[name].to_pylist()]


def contents(folder: Path) -> dict[Path, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    assert phantoms(folder) == 0
    return folder


def test_raw_files_and_a_collection_are_left(train: Path) -> None:
    assert sorted(path.name for path in (train / "raw").iterdir()) == ["fluorescence", "xray"]
    assert set(column(train, "cases", "modality")) == {"microscopy", "X-ray"}
    assert len(column(train, "cases", "case_id")) == 2 * 2 * 2
    assert set(column(train, "cases", "subject_id")) == {
        f"phantom_{family}/train-{number:04d}"
        for family in ("fluorescence", "xray")
        for number in (0, 1)
    }


def test_again_changes_nothing_and_more_is_added(
    train: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = contents(train)
    assert phantoms(train) == 0
    said = capsys.readouterr().out
    assert said.count("0 raw cases stored, 4 unchanged") == 2
    assert "4 subjects in 2 data sets" in said
    assert contents(train) == stored

    before = column(train, "units", "data_sha256")
    assert phantoms(tmp_path) == 0
    capsys.readouterr()
    assert phantoms(tmp_path, "train", "--first", "2") == 0
    assert capsys.readouterr().out.count("4 raw cases stored, 4 unchanged") == 2
    after = column(tmp_path, "units", "data_sha256")
    assert len(after) == 2 * len(before)
    assert set(after) > set(before)


def test_splits_share_no_subject_and_no_picture(train: Path, tmp_path: Path) -> None:
    assert phantoms(tmp_path, "demo") == 0
    for table, name in (("cases", "subject_id"), ("units", "data_sha256")):
        ours, theirs = column(tmp_path, table, name), column(train, table, name)
        assert len(ours) == len(theirs)
        assert not set(ours) & set(theirs)


def test_another_seed_draws_other_pictures_under_the_same_names(
    train: Path, tmp_path: Path
) -> None:
    assert phantoms(tmp_path, "train", "--seed", "1") == 0
    assert column(tmp_path, "cases", "case_id") == column(train, "cases", "case_id")
    ours = column(tmp_path, "units", "data_sha256")
    assert not set(ours) & set(column(train, "units", "data_sha256"))


def test_an_unknown_family_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    assert run(["phantoms", "--out", str(out), "--families", "xray,fundis"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'fundus'?" in said
    assert "Traceback" not in said
    assert not out.exists()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert phantoms(tmp_path / "file" / "phantoms") == 2
    said = capsys.readouterr().err
    assert "cannot write the phantoms" in said
    assert "choose another --out" in said
