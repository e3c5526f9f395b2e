"""Fast against plain: equal where it is, and noticed where it is not."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from worlds import INFO, PROMPTED, toy_collection, volume

from engine.cli import run
from engine.collection.ingest import ingest_cases
from engine.collection.reading import read_slices
from engine.errors import SamscopeError
from engine.evaluation.scene import make_scene
from engine.evaluation.trials import Answer
from engine.models import load_model
from engine.models.base import Candidates
from engine.models.numerics import numerics_of
from engine.models.plain import PlainAnswer, PlainSam
from engine.models.sam import SamModel
from engine.parity.compare import TrialParity, compare, compare_trial
from engine.planning.ground import plan_study, read_study
from engine.prompts.base import Box, Prompt
from engine.scoring.counts import TruthRegion
from engine.study import ModelChoice


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parity")
    (folder / "study.yaml").write_text(PROMPTED)
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
    assert {trial.pixels for trial in found} == {4 * 64 * 64}
    for trial in found:
        assert (trial.beyond, trial.unexplained) == (0, 0)
        assert trial.flipped <= 2
        assert trial.largest < 0.01


def test_a_mask_moved_by_a_pixel_is_noticed(world: tuple[Path, Path]) -> None:
    def moved(said: Candidates) -> Candidates:
        return replace(said, masks=np.roll(said.masks, 1, axis=-1))

    found = trials(world, moved)
    assert all(trial.beyond > 0 for trial in found)
    assert sum(trial.flipped for trial in found) >= sum(trial.beyond for trial in found)


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


TRUTH = np.zeros((4, 10), np.bool_)
TRUTH[0] = True  # 10 px


def said(*rows: int) -> NDArray[np.float32]:
    """float32[4, 4, 10] logits: candidate k covers this many pixels of the truth's row."""
    logits = np.full((4, 4, 10), -1.0, np.float32)
    for k, pixels in enumerate(rows):
        logits[k, 0, :pixels] = 1.0
    return logits


def both_ways(
    fast: NDArray[np.float32], plain: NDArray[np.float32], iou: Any = (0.9, 0.5, 0.1, 0.0)
) -> TrialParity:
    estimates = np.array(iou, np.float32)
    region = TruthRegion.from_mask(TRUTH)
    return compare_trial(region, Answer(fast > 0, estimates), PlainAnswer(plain, estimates))


def test_a_trial_by_hand() -> None:
    plain, fast = said(8, 5, 2, 9), said(6, 5, 2, 9)
    found = both_ways(fast, plain)
    assert (found.pixels, found.flipped, found.beyond) == (160, 2, 2)
    before, after = 16 / 18, 12 / 16
    assert found.dice_difference == pytest.approx(after - before)
    assert found.largest == pytest.approx(before - after)
    assert (found.other_picks, found.unexplained) == (0, 0)


def test_a_pixel_rounds_below_a_hundred_thousandth_of_the_range() -> None:
    plain, fast = said(8, 5, 2, 9), said(7, 5, 2, 9)
    for near, beyond in ((1.9e-5, 0), (2.1e-5, 1)):  # the range is 2
        plain[0, 0, 7] = near
        assert both_ways(fast, plain).beyond == beyond


def test_another_oracle_is_explained_by_pixels_that_round_alone() -> None:
    plain = said(8, 7, 2, 9)
    fast = said(6, 7, 2, 9)
    found = both_ways(fast, plain)
    assert (found.other_picks, found.unexplained) == (1, 1)
    plain[0, 0, 6:8] = 1e-6
    found = both_ways(fast, plain)
    assert (found.beyond, found.other_picks, found.unexplained) == (0, 1, 0)


def test_a_pixel_that_rounds_does_not_excuse_a_mask() -> None:
    plain, fast = said(9, 5, 2, 9), said(3, 5, 2, 9)
    plain[3, 0, 8], fast[3, 0, 8] = 1e-6, -1
    found = both_ways(fast, plain)
    assert (found.flipped, found.beyond) == (7, 6)
    assert (found.other_picks, found.unexplained) == (1, 1)


def test_another_choice_of_the_models_own_is_explained_by_a_last_digit() -> None:
    region, masks = TruthRegion.from_mask(TRUTH), said(8, 5, 2, 9)
    for apart, unexplained in ((5e-5, 0), (5e-4, 1)):
        one = np.array([0.9, 0.9 - apart, 0.1, 0], np.float32)
        other = one[[1, 0, 2, 3]]
        found = compare_trial(region, Answer(masks > 0, one), PlainAnswer(masks, other))
        assert (found.other_picks, found.unexplained) == (1, unexplained)


def test_logits_that_are_not_finite_are_refused() -> None:
    model = load_model(ModelChoice(name="tiny"))
    assert isinstance(model, SamModel)
    network = copy.deepcopy(model.network)
    network.mask_decoder.output_upscaling[3].bias.data.fill_(np.inf)
    plain = PlainSam(SamModel(model.card, network, model.numerics, model.device))
    plain.look_at(np.zeros((32, 32), np.uint8))
    with pytest.raises(SamscopeError, match="not finite"):
        plain.answer(Prompt(box=Box(2, 2, 9, 9)))


def test_the_command(world: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    asked = ["parity", str(world[0]), "--collection", str(world[1]), "--slices", "2"]
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "tiny, cpu" in said
    assert re.search(r"CT +│ +2 │ +16 │", said), (
        "two slices, two objects, two strategies, two levels"
    )
    assert "not compared" not in said
    assert run([*asked, "--objects", "1"]) == 0
    assert re.search(r"CT +│ +2 │ +8 │", capsys.readouterr().out)
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


def test_another_choice_alone_ends_with_1(
    world: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = SamModel.decode

    def turned(self: SamModel, *asked: Any) -> Candidates:
        answered = decode(self, *asked)
        return replace(answered, predicted_iou=1 - answered.predicted_iou)

    monkeypatch.setattr(SamModel, "decode", turned)
    asked = ["parity", str(world[0]), "--collection", str(world[1]), "--slices", "1"]
    assert run(asked) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[tiny]", "[fake]"), "fake, which is no SAM"),
        (("[point_1, box]", "[everything]"), "Everything of tiny"),
    ],
)
def test_a_study_with_nothing_to_compare_is_refused(
    world: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    words: str,
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(PROMPTED.replace(*change))
    assert run(["parity", str(study), "--collection", str(world[1])]) == 2
    error = capsys.readouterr().err
    assert "has a plain way to compare with" in error
    assert words in error


def test_what_is_left_out_is_said(
    world: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        PROMPTED.replace("[tiny]", "[tiny, fake]").replace("[point_1,", "[everything,")
    )
    asked = ["parity", str(study), "--collection", str(world[1]), "--slices", "1"]
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "not compared: Everything of tiny" in said
    assert "not compared: fake, which is no SAM" in said


def test_every_modality_has_its_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(PROMPTED)
    many = [volume(f"ct{n}", slices=3, seed=n) for n in range(3)]
    one = replace(volume("mr", slices=1), modality="MRI")
    ingest_cases(INFO, [*many, one], tmp_path / "c.zarr", unit_slices=2)
    asked = ["parity", str(tmp_path / "study.yaml"), "--collection", str(tmp_path / "c.zarr")]
    assert run([*asked, "--slices", "2", "--objects", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"CT +│ +2 │", said)
    assert re.search(r"MRI +│ +1 │", said)


def test_a_trial_that_fails_is_named(
    world: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SamModel, *asked: Any) -> Candidates:
        raise RuntimeError("out of order")

    monkeypatch.setattr(SamModel, "decode", broken)
    asked = ["parity", str(world[0]), "--collection", str(world[1]), "--slices", "1"]
    assert run(asked) == 2
    error = capsys.readouterr().err
    assert "out of order" in error
    assert re.search(r"toy/case\d/00000/block/0, point_1", error)
