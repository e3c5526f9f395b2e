"""Workers of several kinds share a study: whole units, each in its own numerics, each cell once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from worlds import STUDY, toy_collection, write_study

from engine.analysis import run as ask
from engine.finaliser import finalise
from engine.models.numerics import numerics_of
from engine.pipeline.actor import Assignment, EvaluatorActor
from engine.pipeline.datasource import read_unit
from engine.planning.ground import Planning, plan_study, read_study
from engine.results.manifest import Manifest
from engine.results.parts import PartStore
from engine.results.query import connect, run_sql
from engine.runs import RunDir

MIXED = STUDY + "mixed_numerics: true\n"
OTHER = "cpu-default"
"""Torch without vector instructions: another kind of CPU, on any machine."""

ON_ANOTHER_KIND = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from test_mixed_numerics import evaluate, planned
planning = planned(Path({study!r}), Path({collection!r}))
assert planning.plan.numerics.device == {other!r}
evaluate(planned(Path({study!r}), Path({collection!r}), {device!r}), Path({run!r}), {units!r})
"""


def planned(study: Path, collection: Path, device: str | None = None) -> Planning:
    """The plan that a driver makes whose first worker is of this kind; None: of this process's."""
    numerics = numerics_of("cpu")
    numerics = numerics if device is None else replace(numerics, device=device)
    return plan_study(read_study(study), collection, numerics)


def evaluate(planning: Planning, run: Path, units: list[int]) -> None:
    plan = planning.plan
    actor = EvaluatorActor(Assignment(plan.study, "cpu", str(run), plan.cards, plan.numerics))
    for place in units:
        receipt = actor(read_unit(str(planning.collection), plan.units[place].pack()))
        (stopped,) = receipt["stopped"].to_pylist()
        assert stopped is None, stopped


def evaluate_on_another_kind(study: Path, collection: Path, run: Path, units: list[int]) -> None:
    """As a worker whose CPU is not the one that the plan was made for."""
    code = ON_ANOTHER_KIND.format(
        path=sys.path, study=str(study), collection=str(collection), run=str(run), units=units,
        other=OTHER, device=numerics_of("cpu").device,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def built(run: Path, planning: Planning) -> pa.Table:
    for old in run.glob("results*"):
        old.unlink()
    finalise(RunDir.open(run), planning)
    return run_sql(run, "FROM results ORDER BY ALL")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(study, collection, run): three of six units by this kind of CPU, four by another."""
    folder = tmp_path_factory.mktemp("mixed")
    study, collection = write_study(folder, MIXED), toy_collection(folder / "toy.zarr")
    planning = planned(study, collection)
    run = RunDir.prepare(folder / "run", collection)
    run.begin(planning.plan.study)
    evaluate(planning, run.path, [0, 1, 2])
    evaluate_on_another_kind(study, collection, run.path, [2, 3, 4, 5])
    return study, collection, run.path


def manifests(run: Path) -> list[Manifest]:
    return list(PartStore(run).manifests())


def test_each_cell_counts_once_whoever_builds(world: tuple[Path, Path, Path]) -> None:
    study, collection, run = world
    mine, others = planned(study, collection), planned(study, collection, OTHER)
    cells = len(mine.plan.units.columns)
    twice = len(manifests(run)) - cells * len(mine.plan.units)
    assert twice == cells - 1  # of unit 2; its factors do not depend on numerics
    found = built(run, mine)
    assert built(run, others).equals(found)
    unit = mine.plan.units[2].unit_id
    first = run_sql(run, f"SELECT DISTINCT device FROM units WHERE unit_id = '{unit}'")
    assert first["device"].to_pylist() == [numerics_of("cpu").device]
    coverage = run_sql(run, "FROM coverage").to_pylist()
    assert coverage
    assert all(row["expected"] == row["done"] > 0 for row in coverage)
    kinds = run_sql(run, "SELECT device, count(DISTINCT unit_id) n FROM units GROUP BY 1")
    assert set(kinds["device"].to_pylist()) == {numerics_of("cpu").device, OTHER}
    assert sum(kinds["n"].to_pylist()) == len(mine.plan.units)


def test_a_repeat_that_failed_less_counts_though_it_came_later(
    world: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    study, collection, run = world
    planning = planned(study, collection)
    copy = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    unit = planning.plan.units[2].unit_id
    model = planning.plan.study.models[0].name
    first, later = sorted(
        (m for m in manifests(copy)
         if (m.cell.unit_id, m.cell.model, m.cell.strategy) == (unit, model, "box")),
        key=lambda m: m.committed_at,
    )  # fmt: skip
    failed = replace(first, done=first.done - 1, failed=1)
    (copy / failed.name).write_bytes(failed.to_bytes())
    built(copy, planning)
    cell = f"unit_id = '{unit}' AND model = '{model}' AND strategy = 'box'"
    sql = f"SELECT attempt FROM units WHERE {cell}"
    assert run_sql(copy, sql).to_pylist() == [{"attempt": later.attempt}]


def test_nothing_is_pending_for_a_driver_of_either_kind(world: tuple[Path, Path, Path]) -> None:
    study, collection, run = world
    for device in (None, OTHER, "cpu-of-a-third-kind"):
        plan = planned(study, collection, device).plan
        done = plan.none_done()
        for manifest in manifests(run):
            place = plan.answered(manifest)
            assert place is not None
            done[place] = True
        assert len(plan.pending(done)) == 0


def test_a_study_of_one_kind_takes_no_other(world: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _study, collection, run = world
    plan = planned(write_study(tmp_path, STUDY), collection).plan
    taken = {m.info["numerics"]["device"] for m in manifests(run) if plan.answered(m) is not None
             and not m.cell.is_factors}  # fmt: skip
    assert taken == {numerics_of("cpu").device}


@pytest.mark.parametrize(
    "lie",
    [None, "cpu-avx2", {}, {"device": OTHER}, {"threads": 2}, {"threads": nan}, {"unheard_of": 1}],
    ids=[
        "nothing",
        "a name",
        "an empty record",
        "a part",
        "another number",
        "no number",
        "an unknown field",
    ],
)
def test_what_is_stated_must_be_what_was_hashed(world: tuple[Path, Path, Path], lie: Any) -> None:
    study, collection, run = world
    plan = planned(study, collection).plan
    manifest = next(
        m for m in manifests(run) if m.cell.strategy == "box"
        and m.info["numerics"]["device"] == OTHER
    )  # fmt: skip
    assert plan.answered(manifest) is not None
    whole = isinstance(lie, dict) and ("threads" in lie or "unheard_of" in lie)
    stated = {**manifest.info["numerics"], **lie} if whole else lie
    info = {**manifest.info, "numerics": stated}
    assert plan.answered(replace(manifest, info=info)) is None


def test_a_precision_that_is_asked_for_is_not_mixed(
    world: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _study, collection, run = world
    asked = write_study(tmp_path, MIXED + "precision: float32\n")
    (manifest, *_) = (m for m in manifests(run) if m.info["numerics"]["device"] == OTHER)
    assert planned(asked, collection).plan.answered(manifest) is not None
    asked = write_study(tmp_path, MIXED + "precision: bfloat16\n")
    (manifest, *_) = (m for m in manifests(run) if m.cell.strategy == "box")
    lower = plan_study(read_study(asked), collection, numerics_of("cpu", "bfloat16")).plan
    assert lower.answered(manifest) is None


@pytest.mark.parametrize("stated", ["cpu-avx2", ["a"], {"device": 5}])
def test_words_that_are_no_record_are_left_out(
    world: tuple[Path, Path, Path], tmp_path: Path, stated: Any
) -> None:
    _study, collection, run = world
    copy = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    (one, *_) = (m for m in manifests(copy) if m.cell.is_factors)
    other = replace(one, info={**one.info, "numerics": stated})
    (copy / one.name).write_bytes(other.to_bytes())
    built(copy, planned(write_study(tmp_path, STUDY), collection))
    sql = f"SELECT device FROM units WHERE attempt = '{one.attempt}'"
    assert run_sql(copy, sql).to_pylist() == [{"device": None}]


def test_the_methods_name_the_kind_that_computed_and_not_the_plans(
    world: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    study, collection, run = world
    copy = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    for one in manifests(copy):
        if one.info["numerics"]["device"] != OTHER and not one.cell.is_factors:
            (copy / one.name).unlink()
    built(copy, planned(study, collection))
    with connect(copy) as connection:
        (said,) = (r["text"] for r in ask(connection, "methods").to_pylist()
                   if r["topic"] == "models")  # fmt: skip
    assert f"float32, {OTHER}, " in said
    assert numerics_of("cpu").device not in said


def test_the_methods_name_every_kind(world: tuple[Path, Path, Path]) -> None:
    study, collection, run = world
    built(run, planned(study, collection))
    with connect(run) as connection:
        said = json.dumps(ask(connection, "methods").to_pylist())
    kernels = numerics_of("cpu").kernels
    assert f"float32 on {OTHER} with {kernels} (" in said
    assert f"float32 on {numerics_of('cpu').device} with {kernels} (" in said
