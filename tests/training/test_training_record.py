"""What a checkpoint says of its training, the curves, and `samscope train`'s words."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from training.small import config, fields, trained

import engine
from dashboards.training import curves, curves_page
from engine.cli import run
from engine.commands.train import _Lines, _shown
from engine.files import exclusive_lock
from engine.models import load_model
from engine.models.checkpoints import read_checkpoint
from engine.study import ModelChoice
from engine.training.config import ALGORITHM_VERSION
from engine.training.log import read_log
from engine.training.loop import Event
from engine.training.record import source_sha256
from engine.training.validation import Validation

DICE = Validation({"box": {"oracle": 0.8, "predicted_iou": 0.7, "single": 0.6}}, 5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, collection: Path) -> Path:
    folder = tmp_path_factory.mktemp("made")
    how = config(folder, seed=7, data={"validation": 0.25, "test": 0.25})
    trained(how, collection, folder / "out")
    return folder / "out"


def test_a_checkpoint_holds_what_is_needed_to_repeat_it(made: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(made / "small.safetensors")
    meta = checkpoint.meta
    assert checkpoint.architecture == "miniature"
    assert (meta["seed"], meta["trained_on"], meta["modalities"]) == (7, ["toy"], ["CT"])
    assert meta["training"]["data"]["validation"] == 0.25
    assert [len(meta["subjects"][p]) for p in ("train", "validation", "test")] == [2, 1, 1]
    assert len({name for names in meta["subjects"].values() for name in names}) == 4
    assert meta["validation"]["objects"] == 6
    assert meta["code"] == {
        "samscope": engine.__version__, "training": ALGORITHM_VERSION,
        "source_sha256": source_sha256(), "torch": meta["code"]["torch"],
    }  # fmt: skip
    assert "CPU" in meta["machine"]
    assert all(value.dtype.itemsize == 2 for value in checkpoint.state.values())


def test_the_checkpoint_is_a_model_of_a_study(made: Path) -> None:
    choice = ModelChoice.model_validate(
        {
            "name": "mine", "model": str(made.parent / "miniature.yaml"),
            "checkpoint": str(made / "small.safetensors"),
        }
    )  # fmt: skip
    card = load_model(choice).card
    assert card.trained_on == ("toy",)
    assert not card.untrained


def test_info_says_it_in_lines(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(made / "small.safetensors")]) == 0
    lines = dict(
        line.strip().split(None, 1) if " " in line.strip() else (line.strip(), "")
        for line in capsys.readouterr().out.splitlines()
    )
    assert lines["seed"] == "7"
    assert lines["train"].startswith("2 subjects: toy/case")
    assert lines["duration"].startswith("0:00:")
    assert "CPU" in lines["machine"]
    assert lines["samscope"] == engine.__version__
    assert lines["validation"] == "mean Dice of 6 objects"
    assert lines["box"].startswith("oracle 0.")
    assert len(lines["data_sha256"]) == 64
    assert not any("{" in value for value in lines.values())


def test_curves_show_every_step_and_validation(made: Path) -> None:
    records = read_log(made / "log.jsonl")
    figure = curves(records)
    loss = next(trace for trace in figure.data if trace.name == "loss")
    assert list(loss.x) == [1, 2, 3, 4]
    names = {trace.name for trace in figure.data}
    assert "box · oracle" in names
    assert "small" in curves_page(records, "small")
    curves([])


def test_many_steps_are_drawn_as_means() -> None:
    figure = curves([{"step": n + 1, "loss": float(n % 2)} for n in range(4000)])
    assert len(figure.data[0].x) == 1000
    assert set(figure.data[0].y) == {0.5}
    assert figure.data[0].x[-1] == 4000


def test_lines_say_the_mean_loss_of_steps_alone(caplog: pytest.LogCaptureFixture) -> None:
    lines = _Lines()
    with caplog.at_level("INFO"):
        for n in range(3):
            lines(Event("encoding", n + 1, 3))
        for n in range(25):
            lines(Event("training", n + 1, 40, 2.0, DICE if n == 9 else None))
    assert caplog.messages == [
        "encoding 3 of 3",
        "training 10 of 40 mean loss 2.000",
        "validation Dice box 0.800",
        "training 25 of 40 mean loss 2.000",
    ]


def test_a_terminal_gets_a_bar_for_each_part() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    with _shown(console) as told:
        for part in (9, 3):  # training slices, then validation slices
            told(Event("encoding", part, part))
        told(Event("training", 2, 4, 0.5, DICE))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "3/3" in shown
    assert "2/4" in shown
    assert "loss 0.500 Dice box 0.800" in shown


def write(folder: Path, **more: Any) -> str:
    path = folder / "training.yaml"
    path.write_text(yaml.safe_dump({**fields(folder), **more}))
    return str(path)


def test_mistakes_are_found_before_anything_starts(
    tmp_path: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    (tmp_path / "file").write_text("")
    for more, where, words in (
        ({"stepps": 1}, out, "did you mean 'steps'"),
        ({"data": {"modalities": ["CTT"]}}, out, "did you mean 'CT'"),
        ({"model": "medsam"}, out, "cannot be trained here"),
        ({"model": {"name": "tiny", "checkpoint": "no.pth"}, "kindled": False}, out, "no.pth"),
        ({"data": {"validation": 0.4, "test": 0.4}}, out, "too few subjects"),
        ({}, str(tmp_path / "file" / "out"), "choose another --out"),
    ):
        assert run(["train", write(tmp_path, **more), "-c", str(collection), "--out", where]) == 2
        assert words in capsys.readouterr().err
    assert run(["train", write(tmp_path), "-c", str(tmp_path / "no.zarr"), "--out", out]) == 2
    assert not Path(out).exists()


def test_a_folder_at_work_is_refused(
    tmp_path: Path, collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with exclusive_lock(out / "driver.lock"):
        assert run(["train", write(tmp_path), "-c", str(collection), "--out", str(out)]) == 2
    assert "another training is at work" in capsys.readouterr().err


def test_help_of_train_works_without_ray() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine", "train", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "resumes by itself" in " ".join(done.stdout.split())
