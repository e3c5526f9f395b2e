"""Evaluators that would not fit are refused before anything runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worlds import toy_collection, write_study

from engine.cli import run
from engine.errors import UserError
from engine.models.memory import Projection
from engine.models.numerics import numerics_of
from engine.planning import admission
from engine.planning.admission import admit, container_limit, memory_of, projected
from engine.planning.ground import plan_study, read_study

STUDY = """\
name: toy
models: [{name: tiny}, {name: fake, model: FAKE}]
strategies: [everything, {name: many, kind: points, params: {positive: 300}}, box]
"""


def a_projection(world: Path, text: str) -> Projection | None:
    study = read_study(write_study(world, text))
    return projected(plan_study(study, world / "c.zarr", numerics_of("cpu")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("admission")
    toy_collection(folder / "c.zarr", cases=1, slices=1)
    return folder


def test_a_study_s_heaviest_work_is_projected(world: Path) -> None:
    whole = a_projection(world, STUDY)
    prompts = a_projection(world, STUDY.replace("everything, ", ""))
    boxes = a_projection(
        world,
        STUDY.replace("everything, {name: many, kind: points, params: {positive: 300}}, ", ""),
    )
    assert whole is not None
    assert prompts is not None
    assert boxes is not None
    assert whole.everything > 0 == prompts.everything
    assert whole.decode == prompts.decode > boxes.decode
    two = a_projection(world, STUDY.replace("{name: tiny}", "{name: tiny}, {name: tiny_s}"))
    assert two is not None
    assert two.weights > whole.weights
    assert a_projection(world, STUDY.replace("{name: tiny}, ", "")) is None, "no network"


def test_a_helper_is_projected_by_its_own_numerics(world: Path) -> None:
    """Not by those of the plan, whose batches may be a GPU's."""
    study = read_study(write_study(world, STUDY))
    cpu = numerics_of("cpu")
    gpu = replace(cpu, encode_batch=8, decode_batch=64)
    planning = plan_study(study, world / "c.zarr", gpu)
    of_gpu, of_helper = projected(planning), projected(planning, cpu)
    assert of_gpu is not None
    assert of_helper is not None
    assert of_helper.encode < of_gpu.encode
    assert of_helper == projected(plan_study(study, world / "c.zarr", cpu))


def test_what_does_not_fit_is_refused() -> None:
    one = Projection(weights=10, encode=50, decode=20, everything=0, reserved=40)
    admit(one, 2, 2 * 100 * 100 // 95 + 1)
    admit(None, 1000, 1)
    with pytest.raises(UserError, match="more memory than there is") as caught:
        admit(one, 2, 200)
    assert "for each of 2" in str(caught.value)
    assert "--actors" in str(caught.value)


def test_memory_of_this_machine_is_known() -> None:
    assert 2**28 < memory_of("cpu") < 2**50
    with pytest.raises(UserError, match="device"):
        memory_of("abacus")


def limited(folder: Path, groups: str, limits: dict[str, str]) -> int | None:
    (folder / "groups").write_text(groups)
    for name, said in limits.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(said + "\n")
    return container_limit(folder / "groups", folder)


def test_the_tightest_of_nested_containers_counts(tmp_path: Path) -> None:
    nested = {"a/b/memory.max": "max", "a/memory.max": "4096", "memory.max": "8192"}
    assert limited(tmp_path / "", "0::/a/b\n", nested) == 4096
    assert limited(tmp_path, "0::/elsewhere\n", {}) == 8192
    old = {"memory/x/memory.limit_in_bytes": "512", "memory/memory.limit_in_bytes": "1024"}
    assert limited(tmp_path, "3:cpu,cpuacct:/x\n2:memory:/x\n", old) == 512
    (tmp_path / "memory.max").write_text("max")
    assert limited(tmp_path, "0::/\n", {}) is None
    assert container_limit(tmp_path / "absent") is None


def test_memory_is_the_container_s_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_of("cpu")
    monkeypatch.setattr(admission, "container_limit", lambda: 2**20)
    assert memory_of("cpu") == 2**20
    monkeypatch.setattr(admission, "container_limit", lambda: 2**60)
    assert machine <= memory_of("cpu") < 2**60


def test_a_run_says_so_before_it_starts(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan states the projection; the evaluation is refused, and nothing is committed."""
    import engine.pipeline.run as pipeline

    study = write_study(world, STUDY)
    asked = [str(study), "-c", str(world / "c.zarr")]
    assert run(["plan", *asked]) == 0
    assert "memory of an evaluator, at most: 1," in capsys.readouterr().out

    def small(_: str) -> int:
        return 2**29

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(pipeline, "memory_of", small)
    monkeypatch.setattr(pipeline, "_evaluate", never)
    assert run(["evaluate", *asked, "--out", str(tmp_path / "run"), "--actors", "1"]) == 2
    assert "more memory than there is" in capsys.readouterr().err
    assert not list((tmp_path / "run").rglob("*.json*manifest*"))
