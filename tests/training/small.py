"""Trainings small enough to run many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import load_file

from engine.collection.contract import SliceRef
from engine.training.config import TrainingConfig
from engine.training.log import read_log
from engine.training.loop import Event, Team, train
from engine.training.samples import Member, Population, Sample

NETWORK = {
    "input_size": 64,
    "patch_size": 16,
    "encoder": {"width": 16, "depth": 2, "heads": 2, "global_blocks": [1], "window": 2},
    "decoder": {"width": 16, "heads": 2, "mlp_width": 32, "iou_width": 16},
}
"""The smallest sensible SAM."""

CPU = Team(torch.device("cpu"))


def quiet(event: Event) -> None:
    """A listener that does not care."""


@contextmanager
def one_thread() -> Iterator[None]:
    """What training needs to be the same to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def model_yaml(folder: Path) -> str:
    path = folder / "miniature.yaml"
    path.write_text(yaml.safe_dump({"kind": "sam", "network": NETWORK}))
    return str(path)


def fields(folder: Path, kind: str = "pretrain", **more: Any) -> dict[str, Any]:
    """A training of four steps that takes about a second."""
    model = {"name": "mini", "model": model_yaml(folder), "init_seed": 0}
    base = {"name": "small", "kind": kind, "model": model, "steps": 4, "validate_every": 2}
    return {**base, "data": {"validation": 0.25}, "images": 2, **more}


def config(folder: Path, kind: str = "pretrain", **more: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(fields(folder, kind, **more))


def trained(how: TrainingConfig, collection: Path, out: Path) -> list[dict[str, Any]]:
    """Train in this process; the log without the times."""
    train(how, collection, out, CPU, quiet)
    return timeless(out)


def timeless(out: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in record.items() if key != "seconds"}
        for record in read_log(out / "log.jsonl")
    ]


def weights(out: Path, name: str = "small") -> dict[str, torch.Tensor]:
    return load_file(out / f"{name}.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def population(subjects: dict[str, int]) -> Population:
    """Datasets with that many subjects of two slices each."""
    members = [
        Member(_ref(f"{dataset}/s{i}/{k}"), f"{dataset}/s{i}", dataset)
        for dataset, n in subjects.items()
        for i in range(n)
        for k in range(2)
    ]
    return Population(tuple(members), "0" * 64)


def _ref(slice_id: str) -> SliceRef:
    values: dict[str, Any] = dict.fromkeys(SliceRef.__dataclass_fields__)
    return SliceRef(**{**values, "slice_id": slice_id})


def disc_sample(height: int = 48, width: int = 60) -> Sample:
    """An image whose grey level says where its two objects are."""
    y, x = np.mgrid[:height, :width]
    masks = np.stack([(y - 15) ** 2 + (x - 20) ** 2 < 90, (abs(y - 32) < 9) & (abs(x - 44) < 12)])
    image: NDArray[np.uint8] = (50 + 60 * masks[0] + 120 * masks[1]).astype(np.uint8)
    return Sample(image, masks, ("a", "b"))
