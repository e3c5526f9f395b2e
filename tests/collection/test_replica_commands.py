"""`samscope replica` and `samscope datasets`: what they write, list and refuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from engine.cli import run
from engine.collection.catalog import Catalog

Caught = pytest.CaptureFixture[str]


def test_a_replica_can_be_ingested_with_the_command_it_names(
    tmp_path: Path, capsys: Caught
) -> None:
    folder = tmp_path / "raw"
    assert run(["replica", "acdc", "--out", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("acdc: 3 cases in 6 files")
    verb, *arguments = said[1].split()
    assert verb == "samscope"
    assert run(arguments) == 0
    assert len(Catalog.open(tmp_path / "collection.zarr").cases) == 3
    note = (folder / "REPLICA.txt").read_text()
    assert "no patient" in note
    assert "acdc" in note


def test_a_replica_is_written_again_but_never_among_other_files(
    tmp_path: Path, capsys: Caught
) -> None:
    folder = tmp_path / "raw"
    assert run(["replica", "kvasir_seg", "--out", str(folder)]) == 0
    assert run(["replica", "kvasir_seg", "--out", str(folder)]) == 0
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("")
    assert run(["replica", "kvasir_seg", "--out", str(other)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]
    assert run(["replica", "kvasir_seg", "--out", str(other / "thesis.txt" / "x")]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_all_replicas_have_folders_of_their_own(
    tmp_path: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["acdc", "kvasir_seg", "phantom_xray"]
    monkeypatch.setattr("engine.commands.replica.recipe_names", lambda: names)
    assert run(["replica", "--all", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acdc", "kvasir_seg"]
    assert "samscope ingest acdc" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name one recipe, or say --all"),
        (["acdc", "--all"], "name one recipe, or say --all"),
        (["acdcc"], "did you mean 'acdc'"),
        (["phantom_xray"], "has no replica"),
    ],
)
def test_what_cannot_be_written(arguments: list[str], words: str, capsys: Caught) -> None:
    assert run(["replica", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_the_list_has_the_53_of_cosmos(capsys: Caught) -> None:
    assert run(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "(53 rows)"
    assert any(line.split()[0] == "acdc" for line in lines)
    assert run(["datasets", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 53
    acdc = next(row for row in rows if row["name"] == "acdc")
    assert acdc["cosmos"] == "ACDC"
    assert acdc["modalities"] == "Cine-MRI"
    assert acdc["structures"] == "3"
    assert acdc["status"] == "replica"
    assert int(acdc["unsure"]) > 0


def test_all_recipes_are_listed_on_demand(capsys: Caught) -> None:
    assert run(["datasets", "--all", "-f", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["drishti_optic_disc"]["status"] == "real"
    assert rows["drishti_optic_disc"]["cosmos"] is None
    assert rows["phantom_xray"]["structures"] is None  # the files are named by them
    assert rows["brats20"]["modalities"] == "T1W, T1-Gd, T2W, T2-FLAIR"


def test_one_data_set_whole(capsys: Caught) -> None:
    assert run(["datasets", "chaos"]) == 0
    said = capsys.readouterr().out
    for words in (
        "doi:10.1016",
        "Train_Sets/",
        "DICOM_anon/   image, CT",
        "4 structures",
        "unsure",
    ):
        assert words in said
    assert run(["datasets", "Kvasir-SEG"]) == 0  # as COSMOS calls it
    assert "masks/" in capsys.readouterr().out
    assert run(["datasets", "totalsegmentator"]) == 0
    assert "as the files are named" in capsys.readouterr().out
    assert run(["datasets", "drishti_optic_disc"]) == 0
    assert "on files of the data set" in capsys.readouterr().out
    assert run(["datasets", "choas"]) == 2
    assert "did you mean 'chaos'" in capsys.readouterr().err
