"""A few seconds of `fuzz_readers.py`: damaged files give a result or a refusal, nothing else."""

from __future__ import annotations

import contextlib
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fuzz_child import outcome
from fuzz_damage import damaged
from fuzz_readers import Prepared, damage, prepare
from fuzz_seeds import seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collection.readers import READERS, reader_for
from engine.errors import CaseRefusedError

# Decoded without C libraries that could take the test's process with them.
HERE = [".nii", ".nii.gz", ".hdr", ".nrrd", ".nhdr", ".seg.nrrd", ".mha", ".mhd", ".npy", ".npz",
        ".mat", ".pgm", ".ppm.gz", ".png", ".gif", ".tif"]  # fmt: skip


@cache
def prepared(ending: str, folder: Path) -> list[Prepared]:
    return prepare(ending, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


@pytest.mark.parametrize("ending", [*READERS])
def test_every_ending_has_a_seed(ending: str) -> None:
    assert seeds(ending), f"add a seed of {ending} to fuzz_seeds.py"


@pytest.mark.parametrize("ending", HERE)
def test_damaged_files_give_a_result_or_a_refusal(
    folder: Path, tmp_path: Path, ending: str
) -> None:
    made = prepared(ending, folder)

    @settings(max_examples=15, suppress_health_check=list(HealthCheck),
              database=None)  # fmt: skip
    @given(st.integers(0, 2**32))
    def check(number: int) -> None:
        rng = random.Random(number)
        chosen = rng.choice(made)
        for name, content in damage(chosen, made, rng).items():
            (tmp_path / name).write_bytes(content)
        path, how = tmp_path / chosen.seed.target, chosen.seed.how
        for found in (
            outcome(lambda: reader_for(path).read(path, how)),
            outcome(lambda: reader_for(path).read_labels(path, how)),
        ):
            assert not found.startswith("bug"), found

    check()


WHOLE = [*HERE, ".jpg", ".bmp", ".webp", ".jp2", ".h5", ".mp4", ".avi", ".mkv", ".pbm.gz"]
WHOLE.remove(".pgm")  # its numbers may be written out: without its last digit 217 is 21


@pytest.mark.parametrize("ending", WHOLE)
def test_a_shortened_file_is_never_another_image(folder: Path, tmp_path: Path, ending: str) -> None:
    """Refused, or the same image where only what follows the pixels is lost."""
    rng = random.Random(0)
    for made in prepared(ending, folder):
        path, how = tmp_path / made.seed.target, made.seed.how
        for name, content in made.files.items():
            (tmp_path / name).write_bytes(content)
        whole = reader_for(path).read(path, how).array
        for name, content in made.files.items():
            for length in (len(content) - 1, len(content) - 8, *rng.sample(range(len(content)), 5)):
                (tmp_path / name).write_bytes(content[:length])
                with contextlib.suppress(CaseRefusedError):
                    np.testing.assert_array_equal(reader_for(path).read(path, how).array, whole)
            (tmp_path / name).write_bytes(content)


def test_the_fuzzer_would_notice(tmp_path: Path) -> None:
    def warns() -> None:
        import warnings

        warnings.warn("x", stacklevel=1)

    for wrong, name in ((warns, "UserWarning"), (lambda: 1 / 0, "ZeroDivisionError")):
        found = outcome(wrong)  # type: ignore[arg-type]
        assert found.startswith("bug: ")
        assert name in found
    assert outcome(lambda: reader_for(tmp_path / "a.nii").read(tmp_path / "a.nii")) == (
        "refused missing_file"
    )


def test_damage_changes_most_files() -> None:
    rng = random.Random(0)
    content = bytes(range(256)) * 8
    assert sum(damaged(content, content, rng, "a.bin") != content for _ in range(100)) > 90
