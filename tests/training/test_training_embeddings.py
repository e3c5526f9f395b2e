"""Embeddings of a frozen encoder: what is kept is what would be computed."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from training.small import config

from engine.errors import UserError
from engine.training.embeddings import EmbeddingStore
from engine.training.network import Trainee
from engine.training.samples import Shelf, population_of

CPU = torch.device("cpu")


class Counting(EmbeddingStore):
    """Counts encodings, and may die at one."""

    fatal: int | None = None
    computed = 0

    def compute(self, image: np.ndarray) -> np.ndarray:
        if self.computed == self.fatal:
            raise KeyboardInterrupt
        self.computed += 1
        return super().compute(image)


def shelf_of(folder: Path, collection: Path) -> tuple[Shelf, list[str]]:
    how = config(folder, "finetune")
    refs = [m.ref for m in population_of(how, collection).members]
    return Shelf(collection, refs, how.data.intensity), [ref.slice_id for ref in refs]


def store(folder: Path, ids: list[str], training: str = "t", seed: int = 0) -> Counting:
    model = {"name": "m", "model": str(folder / "miniature.yaml"), "init_seed": seed}
    return Counting(
        folder / "kept", Trainee(config(folder, "finetune", model=model), CPU), ids, training
    )


def fill(kept: Counting, shelf: Shelf) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    kept.fill(shelf, lambda done, of: told.append((done, of)))
    return told


def test_kept_equals_fresh_in_half_precision(tmp_path: Path, collection: Path) -> None:
    shelf, ids = shelf_of(tmp_path, collection)
    kept = store(tmp_path, ids)
    assert fill(kept, shelf) == [(n + 1, 12) for n in range(12)]
    trainee = kept._trainee
    with torch.inference_mode():
        for number in (0, 7, 11):
            fresh = trainee.encode(trainee.inputs([shelf[number].image]))[0]
            assert torch.equal(kept[number], fresh.half().float())
    again = store(tmp_path, ids)
    assert fill(again, shelf) == []
    assert again.computed == 0


def test_killed_half_way_it_goes_on(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.training.embeddings._KEEP", 4)
    shelf, ids = shelf_of(tmp_path, collection)
    calm = store(tmp_path, ids)
    fill(calm, shelf)
    expected = [calm[n] for n in range(12)]
    (tmp_path / "kept" / "embeddings.done").unlink()
    rough = store(tmp_path, ids)
    rough.fatal = 6
    with pytest.raises(KeyboardInterrupt):
        fill(rough, shelf)
    rest = store(tmp_path, ids)
    fill(rest, shelf)
    assert rest.computed == 12 - 4
    assert all(torch.equal(rest[n], expected[n]) for n in range(12))


def test_other_weights_slices_or_preprocessing_begin_anew(tmp_path: Path, collection: Path) -> None:
    shelf, ids = shelf_of(tmp_path, collection)
    fill(store(tmp_path, ids), shelf)
    for other in (
        store(tmp_path, ids, seed=1),
        store(tmp_path, ids[::-1]),
        store(tmp_path, ids, training="another window"),
    ):
        assert len(fill(other, shelf)) == other.computed == 12


def test_a_full_disk_is_known_before_it_ends_the_process(
    tmp_path: Path, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shelf, ids = shelf_of(tmp_path, collection)
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", full)
        with pytest.raises(UserError, match="cannot keep the embeddings") as caught:
            fill(store(tmp_path, ids), shelf)
    assert "No space left" in str(caught.value)
    assert store(tmp_path, ids)._done() == (0, 0)
    fill(store(tmp_path, ids), shelf)
    blocks = (tmp_path / "kept" / "embeddings.npy").stat()
    assert blocks.st_blocks * 512 >= blocks.st_size
