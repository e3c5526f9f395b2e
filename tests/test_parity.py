"""Fast against plain: equal where it is, and noticed where it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from worlds import toy_collection

from engine.cli import run
from engine.collection.reading import read_slices
from engine.models import load_model
from engine.models.base import Candidates
from engine.models.numerics import numerics_of
from engine.models.plain import PlainSam
from engine.models.sam import SamModel
from engine.parity import TrialParity, compare
from engine.planning import plan_study, read_study
from engine.scene import make_scene

STUDY = """\
name: toy
models: [tiny]
strategies: [point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 1}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parity")
    (folder / "study.yaml").write_text(STUDY)
    return folder / "study.yaml", toy_collection(folder / "c.zarr", cases=2, slices=1)


def trials(world: tuple[Path, Path], spoil: Any = None) -> list[TrialParity]:
    """The first slice both ways; `spoil` changes what the fast path answers."""
    study, numerics = read_study(world[0]), numerics_of("cpu")
    ref = plan_study(study, world[1], numerics).plan.units[0].slices[0]
    model = load_model(study.models[0])
    assert isinstance(model, SamModel)
    scene = make_scene(study, ref, read_slices(str(world[1]), [ref])[0])
    plain = PlainSam(model)
    if spoil is not None:
        decode = model.decode
        model.decode = lambda *asked: spoil(decode(*asked))  # type: ignore[method-assign]
    return list(compare(study, model, plain, numerics, scene))


def test_both_ways_agree(world: tuple[Path, Path]) -> None:
    found = trials(world)
    assert len(found) == 2 * 2 * 2
    assert {trial.strategy for trial in found} == {"point_1", "box"}
    assert {trial.pixels for trial in found} == {4 * 64 * 64}
    for trial in found:
        assert (trial.beyond, trial.excess, trial.unexplained) == (0, 0, 0)
        assert trial.flipped <= 2
        assert trial.largest < 0.01


def test_a_mask_moved_by_a_pixel_is_noticed(world: tuple[Path, Path]) -> None:
    def moved(said: Candidates) -> Candidates:
        return replace(said, masks=np.roll(said.masks, 1, axis=-1))

    found = trials(world, moved)
    assert all(trial.beyond > 0 for trial in found)
    assert sum(trial.flipped for trial in found) >= sum(trial.beyond for trial in found)
    assert all(trial.excess == 0 for trial in found), "Dice follows from the pixels"


def test_another_choice_is_noticed(world: tuple[Path, Path]) -> None:
    def turned(said: Candidates) -> Candidates:
        return replace(said, predicted_iou=1 - said.predicted_iou)

    found = trials(world, turned)
    assert all(trial.beyond == 0 for trial in found)
    assert any(trial.unexplained for trial in found)
    assert any(trial.dice_difference for trial in found)


def test_candidates_in_another_order_are_noticed(world: tuple[Path, Path]) -> None:
    def swapped(said: Candidates) -> Candidates:
        order = [1, 0, 2, 3]
        return Candidates(said.masks[:, order], said.predicted_iou[:, order])

    found = trials(world, swapped)
    assert any(trial.beyond for trial in found)
    assert any(trial.unexplained for trial in found)


def test_the_command(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    asked = ["parity", str(world[0]), "--collection", str(world[1]), "--slices", "2"]
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "study toy: 2 slices" in said
    assert "CT" in said
    assert "(0)" in said
    assert run([*asked, "--bound", "1"]) == 0
    assert torch.get_num_threads() == threads


def test_a_broken_bound_ends_with_1(
    world: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = SamModel.decode

    def moved(self: SamModel, *asked: Any) -> Candidates:
        said = decode(self, *asked)
        return replace(said, masks=np.roll(said.masks, 1, axis=-1))

    monkeypatch.setattr(SamModel, "decode", moved)
    asked = ["parity", str(world[0]), "--collection", str(world[1]), "--slices", "1"]
    assert run(asked) == 1
    assert "broken: tiny, CT" in capsys.readouterr().out
    assert run([*asked, "--bound", "1e-9"]) == 1


def test_a_study_without_a_sam_is_refused(
    world: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "fake.yaml"
    study.write_text(STUDY.replace("[tiny]", "[fake]"))
    assert run(["parity", str(study), "--collection", str(world[1])]) == 2
    assert "has a plain way to compare with" in capsys.readouterr().err
