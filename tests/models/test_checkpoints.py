"""Weights files: every form that is read, and every way of being wrong, in words."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from model_samples import MINIATURE, chosen, miniature, miniature_yaml, write_yaml
from safetensors.torch import save_file

from engine.errors import CheckpointError
from engine.identity import file_sha256
from engine.models import describe, load_model
from engine.models.checkpoint_fit import check_fits, looks_like
from engine.models.checkpoints import Checkpoint, checkpoint_bytes, read_checkpoint
from engine.models.network import SamConfig, expected_shapes
from engine.models.registry import read_config
from engine.models.sam import SamModel
from engine.models.weights import draw_weights

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return draw_weights(miniature(), 5)


@pytest.fixture
def saved(tmp_path: Path, state: State) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    return path


def network_of(name: str) -> Any:
    config = read_config(name)
    assert isinstance(config, SamConfig)
    return config.network


# Reading


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: OrderedDict(s),
        lambda s: {"model": s, "optimizer": {"step": 3}, "epoch": 7},
        lambda s: {"state_dict": s},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
    ],
    ids=["plain", "ordered", "model", "state_dict", "data parallel", "parameters"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_wrapping_does_not_matter(tmp_path: Path, state: State, wrap: Any, zipped: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
    yaml = miniature_yaml(tmp_path)
    found = describe(chosen(yaml, checkpoint=str(path)))
    assert found.weights_sha256 == describe(chosen(yaml, init_seed=5)).weights_sha256


def test_own_format_round_trip(tmp_path: Path, state: State) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(
        checkpoint_bytes("miniature", miniature(), state, {"trained_on": ["a"], "seed": 4})
    )
    assert [p.name for p in tmp_path.iterdir()] == ["own.safetensors"], "no partial file is left"
    read = read_checkpoint(path)
    assert (read.architecture, read.trained_on, read.meta["seed"]) == ("miniature", ("a",), 4)
    assert all(torch.equal(read.state[name], value) for name, value in state.items())
    yaml = miniature_yaml(tmp_path, trained_on=["b", "a"])
    model = load_model(chosen(yaml, checkpoint=str(path)))
    assert model.card.trained_on == ("b", "a")
    assert isinstance(model, SamModel)
    own = model.network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in state.items())


def test_one_changed_letter_of_the_record_is_noticed(tmp_path: Path, state: State) -> None:
    """Its subjects decide what counts as seen in training."""
    path = tmp_path / "own.safetensors"
    meta = {"trained_on": ["a"], "trained_subjects": ["a/one"]}
    path.write_bytes(checkpoint_bytes("miniature", miniature(), state, meta))
    assert read_checkpoint(path).trained_subjects == ("a/one",)
    path.write_bytes(path.read_bytes().replace(b"a/one", b"a/two"))
    assert "the checksum of its record is wrong" in refusal(path)


@pytest.mark.parametrize(
    "meta",
    [
        {"trained_on": None},
        {"trained_on": "a"},
        {"trained_on": [1]},
        {"trained_subjects": {"a": 1}},
        {"subjects": ["a"]},
        {"subjects": {"train": None}},
        {"subjects": {"train": [5]}},
    ],
)
def test_an_odd_record_is_refused(tmp_path: Path, state: State, meta: dict[str, Any]) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(checkpoint_bytes("miniature", miniature(), state, meta))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize(
    "tensor", [torch.eye(2).to_sparse(), torch.empty(2, 2, device="meta")], ids=["sparse", "meta"]
)
def test_tensors_without_plain_values_are_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"a": tensor}, path)
    assert "without plain values" in refusal(path)


def test_one_flipped_bit_of_a_tensor_is_noticed(tmp_path: Path, state: State) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(checkpoint_bytes("miniature", miniature(), state, {}))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "the checksum of its tensors is wrong" in refusal(path)


@pytest.mark.parametrize("length", [9, 200, -1])
def test_a_safetensors_file_cut_short_is_damaged(tmp_path: Path, state: State, length: int) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(checkpoint_bytes("miniature", miniature(), state, {}))
    path.write_bytes(path.read_bytes()[:length])
    assert "damaged or was cut short" in refusal(path)


def test_foreign_safetensors_are_read_without_a_story(tmp_path: Path, state: State) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(state, path)
    read = read_checkpoint(path)
    assert (read.architecture, read.meta) == (None, {})
    yaml = miniature_yaml(tmp_path)
    found = describe(chosen(yaml, checkpoint=str(path)))
    assert found.weights_sha256 == describe(chosen(yaml, init_seed=5)).weights_sha256


def test_half_precision_is_read_as_float32(tmp_path: Path, state: State) -> None:
    path = tmp_path / "half.pth"
    torch.save({name: value.half() for name, value in state.items()}, path)
    model = load_model(chosen(miniature_yaml(tmp_path), checkpoint=str(path)))
    assert isinstance(model, SamModel)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


# Files that are no checkpoint


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_file_names_the_usual_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sam_vit_b_01ec64\.pth"):
        describe(chosen("vit_b", checkpoint=str(tmp_path / "absent.pth")))
    assert "not a file" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n", b"<html>404</html>", b"\x00" * 99]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    assert "not a torch checkpoint" in refusal(path)


def test_other_zip_files(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "not a torch checkpoint" in refusal(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, state: State) -> None:
    """torch reads compressed members too, whatever their size."""
    path, bomb = tmp_path / "x.pth", tmp_path / "bomb.pth"
    torch.save({**state, "zeros": torch.zeros(2**20)}, path)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w") as packed:
        for member in archive.infolist():
            packed.writestr(member.filename, archive.read(member), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < path.stat().st_size - 2**22 + 2**16
    assert "compressed" in refusal(bomb)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, state: State, zipped: bool, share: float) -> None:
    path = tmp_path / "x.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "damaged or was cut short" in refusal(path)


def test_one_flipped_bit_in_a_weight(saved: Path) -> None:
    """torch.load would take it without a word."""
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(bytes(content))
    assert "wrong checksum" in refusal(saved)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_damaged_bytes_never_escape_as_another_error(
    tmp_path: Path, state: State, zipped: bool
) -> None:
    """Any exception but CheckpointError would reach the user as a traceback."""
    path, rng = tmp_path / "x.pth", np.random.default_rng(0)
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, 6000, 3)] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 20


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_is_refused_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": Payload()}, path, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "more than tensors" in message
    assert "print" in message
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_other_pickle_protocols_get_a_remedy(tmp_path: Path, state: State, zipped: bool) -> None:
    path = tmp_path / "x.pth"
    torch.save(state, path, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "default pickle protocol" in message
    assert "Unsupported operand" in message


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_bare_pickle_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: int
) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps(Payload(), protocol=protocol))
    assert "not a torch checkpoint" in refusal(path)
    assert "executed" not in capsys.readouterr().out


def test_a_whole_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    assert "state_dict()" in refusal(path)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("x/data.pkl", "x/constants.pkl", "x/code/__torch__.py"):
            archive.writestr(name, b"\x80\x02N.")
    path = tmp_path / "x.pth"
    path.write_bytes(buffer.getvalue())
    assert "TorchScript" in refusal(path)


@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, [torch.zeros(1)], torch.zeros(2), {"model": {}}, 3], ids=str
)
def test_no_state_dict_inside(tmp_path: Path, value: object) -> None:
    path = tmp_path / "x.pth"
    torch.save(value, path)
    assert "no state dict" in refusal(path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, state: State, bad: float) -> None:
    name = "mask_decoder.iou_token.weight"
    broken = {**state, name: state[name].clone()}
    broken[name][0, 0] = bad
    path = tmp_path / "x.pth"
    torch.save(broken, path)
    message = refusal(path)
    assert "NaN or infinite" in message
    assert name in message


# Weights of another network


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
@pytest.mark.parametrize("asked", ["vit_b", "vit_l", "vit_h", "tiny"])
def test_official_sizes_are_told_apart(tmp_path: Path, name: str, asked: str) -> None:
    """Shapes on the meta device: as many keys as the real files, without their gigabytes."""
    shapes = expected_shapes(network_of(name))
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    checkpoint = Checkpoint(tmp_path / "x.pth", tensors)
    if name == asked:
        check_fits(checkpoint, network_of(asked), asked)
        return
    with pytest.raises(CheckpointError, match=f"this looks like {name}") as caught:
        check_fits(checkpoint, network_of(asked), asked)
    assert f"`model: {name}`" in str(caught.value)
    assert "image_encoder" in str(caught.value)


def test_first_wrong_keys_are_named(tmp_path: Path, state: State) -> None:
    changed = {**state, "extra.one": torch.zeros(1), "extra.two": torch.zeros(1)}
    del changed["mask_decoder.iou_token.weight"]
    changed["mask_decoder.mask_tokens.weight"] = torch.zeros(5, 16)
    path = tmp_path / "x.pth"
    torch.save(changed, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(chosen(miniature_yaml(tmp_path), checkpoint=str(path)))
    message = str(caught.value)
    assert "1 missing: mask_decoder.iou_token.weight" in message
    assert "2 unexpected: extra.one, extra.two" in message
    assert "mask_decoder.mask_tokens.weight is [5, 16] instead of [4, 16]" in message
    assert "looks like" not in message


def test_many_wrong_keys_are_counted(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"and \d+ more"):
        describe(chosen("tiny", checkpoint=str(saved)))


def test_equal_shapes_but_other_heads(tmp_path: Path, state: State) -> None:
    """Only samscope's own format can tell."""
    path = tmp_path / "own.safetensors"
    path.write_bytes(checkpoint_bytes("miniature", miniature(), state, {}))
    decoder = {**MINIATURE["decoder"], "heads": 4}  # type: ignore[dict-item]
    other = write_yaml(
        tmp_path / "other.yaml", {"kind": "sam", "network": {**MINIATURE, "decoder": decoder}}
    )
    with pytest.raises(CheckpointError, match="other heads"):
        describe(chosen(other, checkpoint=str(path)))


def test_the_declared_file_hash_is_enforced(tmp_path: Path, saved: Path) -> None:
    good = miniature_yaml(tmp_path, checkpoint_sha256=file_sha256(saved))
    describe(chosen(good, checkpoint=str(saved)))
    bad = miniature_yaml(tmp_path, checkpoint_sha256="0" * 64)
    with pytest.raises(CheckpointError, match="not the one this model declares"):
        describe(chosen(bad, checkpoint=str(saved)))


def test_nothing_known_looks_like_nothing() -> None:
    assert looks_like({"a": (1,)}) is None
    assert looks_like(expected_shapes(network_of("tiny"))) == "tiny"
