"""A bound that a study demands: measured once, kept, and held to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from worlds import INFO, toy_collection, volume

from engine.cli import run
from engine.collection.ingest import ingest_cases
from engine.errors import UserError
from engine.models.numerics import numerics_of
from engine.parity.gate import OBJECTS, SLICES, hold_to_bound, stored_parity
from engine.parity.sample import ModalityParity, ParitySample, comparable, measure_parity
from engine.planning.ground import Planning, plan_study, read_study
from engine.study import ModelChoice

STUDY = """\
name: toy
models: [tiny]
strategies: [point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 1}
"""
MEASURED = ModalityParity("tiny", "CT", 2, 8, 10**6, 5, 4, 3, 2, -0.02, -0.03, None, 0.4)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("gate") / "c.zarr", cases=2, slices=1)


def planned(collection: Path, folder: Path, more: str = "parity_bound: 0.01\n") -> Planning:
    (folder / "study.yaml").write_text(STUDY + more)
    study = read_study(folder / "study.yaml")
    return plan_study(study, collection, numerics_of("cpu", study.precision))


class Measure:
    """Counts how often it is asked; says `MEASURED` with another mean."""

    def __init__(self, mean: float = 0.0) -> None:
        self.mean, self.asked = mean, 0

    def __call__(self, sample: ParitySample, choice: ModelChoice, device: str) -> Any:
        self.asked += 1
        assert len(sample.slices) == len(sample.subjects) <= SLICES
        assert {len(ref.objects) for ref in sample.slices} == {OBJECTS}
        return [replace(MEASURED, mean_difference=self.mean)]


@pytest.mark.parametrize("mean", [0.011, -0.011])
def test_a_broken_bound_refuses_and_is_kept(collection: Path, tmp_path: Path, mean: float) -> None:
    planning, measure = planned(collection, tmp_path), Measure(mean)
    for _ in range(2):
        with pytest.raises(UserError, match="further from the plain way") as refused:
            hold_to_bound(planning, tmp_path, "cpu", measure)
    assert measure.asked == 1, "what was measured holds as long as the plan does"
    assert "tiny, CT" in str(refused.value)
    assert "0.01 (parity_bound" in str(refused.value)
    assert stored_parity(planning, tmp_path) == [replace(MEASURED, mean_difference=mean)]
    wider = planned(collection, tmp_path, "parity_bound: 0.02\n")
    hold_to_bound(wider, tmp_path, "cpu", measure)
    assert measure.asked == 1, "the bound changes no number"


def test_a_kept_bound_lets_the_run_begin(collection: Path, tmp_path: Path) -> None:
    hold_to_bound(planned(collection, tmp_path), tmp_path, "cpu", Measure(0.01))
    record = json.loads((tmp_path / "parity.json").read_text())
    assert record["rows"] == [asdict(replace(MEASURED, mean_difference=0.01))]
    assert (record["numerics"]["dtype"], record["left_out"]) == ("float32", [])


def test_nothing_is_measured_where_no_bound_is_asked(collection: Path, tmp_path: Path) -> None:
    measure = Measure(1.0)
    hold_to_bound(planned(collection, tmp_path, ""), tmp_path, "cpu", measure)
    assert measure.asked == 0
    assert not (tmp_path / "parity.json").exists()


@pytest.mark.parametrize("more", ["seed: 3\n", "precision: bfloat16\n"])
def test_another_plan_is_measured_anew(collection: Path, tmp_path: Path, more: str) -> None:
    measure = Measure()
    hold_to_bound(planned(collection, tmp_path), tmp_path, "cpu", measure)
    other = planned(collection, tmp_path, "parity_bound: 0.01\n" + more)
    assert stored_parity(other, tmp_path) is None
    hold_to_bound(other, tmp_path, "cpu", measure)
    assert measure.asked == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"rows": [{}]}', '{"rows": []}'])
def test_a_damaged_record_is_measured_anew(collection: Path, tmp_path: Path, damage: str) -> None:
    measure = Measure()
    (tmp_path / "parity.json").write_text(damage)
    hold_to_bound(planned(collection, tmp_path), tmp_path, "cpu", measure)
    assert measure.asked == 1


def test_a_bound_that_nothing_can_be_held_to_is_refused(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.replace("[tiny]", "[fake]") + "parity_bound: 1\n")
    study = read_study(tmp_path / "study.yaml")
    planning = plan_study(study, collection, numerics_of("cpu"))
    with pytest.raises(UserError, match="nothing of this study has a plain way"):
        hold_to_bound(planning, tmp_path, "cpu", Measure())


def test_the_sample_is_even_over_the_slices_of_each_modality(tmp_path: Path) -> None:
    many = [volume(f"ct{n}", slices=3, seed=n) for n in range(3)]
    one = replace(volume("mr", slices=1), modality="MRI")
    ingest_cases(INFO, [*many, one], tmp_path / "c.zarr", unit_slices=2)
    planning = planned(tmp_path / "c.zarr", tmp_path)
    sample = ParitySample.of(planning, 3, 1)
    slices = [ref for unit in planning.plan.units for ref in unit.slices]
    ct, mr = ([ref for ref in slices if ref.modality == kind] for kind in ("CT", "MRI"))
    assert len(ct) == 9
    assert [ref.slice_id for ref in sample.slices] == [
        ref.slice_id for ref in (ct[1], ct[4], ct[7], mr[0])
    ]
    assert list(sample.subjects) == [ref.slice_id.rsplit("/", 1)[0] for ref in sample.slices]


def test_float32_differs_by_rounding_and_bfloat16_by_more(collection: Path, tmp_path: Path) -> None:
    found = {}
    for precision in ("float32", "bfloat16"):
        planning = planned(collection, tmp_path, f"precision: {precision}\n")
        (choice,), left_out = comparable(planning.plan.study)
        (found[precision],) = measure_parity(ParitySample.of(planning, 2, 2), choice, "cpu")
        assert left_out == []
    assert {(row.slices, row.trials, row.modality) for row in found.values()} == {(2, 16, "CT")}
    near, far = found["float32"], found["bfloat16"]
    assert near.explained
    assert near.largest < 0.01
    assert not far.explained
    assert near.flipped < far.flipped < 0.02 * far.pixels
    assert abs(far.mean_difference) < 0.1
    assert far.lo is not None
    assert far.hi is not None
    assert far.lo <= far.mean_difference <= far.hi


def test_the_command_says_what_judges_bfloat16(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["parity", str(tmp_path / "study.yaml"), "--collection", str(collection)]
    asked += ["--slices", "1", "--objects", "1"]
    planned(collection, tmp_path, "precision: bfloat16\n")
    assert run(asked) == 0
    assert "not judged: bfloat16" in capsys.readouterr().out
    assert run([*asked, "--bound", "1e-9"]) == 1
    assert "broken: tiny, CT" in capsys.readouterr().out
    planned(collection, tmp_path, "precision: bfloat16\nparity_bound: 1.0e-9\n")
    assert run(asked) == 1
    assert "parity_bound of the study" in capsys.readouterr().out
    planned(collection, tmp_path, "precision: bfloat16\nparity_bound: 1\n")
    assert run(asked) == 0
