"""Limits of readers: what a header or a gzip stream may claim."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from engine.collection.readers import limits
from engine.errors import CaseRefusedError


def code_of(error: pytest.ExceptionInfo[CaseRefusedError]) -> str:
    return error.value.code


def test_admit_gives_the_bytes_of_what_it_admits(tmp_path: Path) -> None:
    assert limits.admit((3, 4, 5), 2, tmp_path) == 120
    assert limits.admit((2**31, 4), 1, tmp_path) == limits.MOST_BYTES


@pytest.mark.parametrize("shape", [(2**31, 5), (65535, 65535, 65535), (2**62, 2**62)])
def test_admit_refuses_what_is_too_large(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(CaseRefusedError) as error:
        limits.admit(shape, 1, tmp_path / "a.nii")
    assert code_of(error) == "too_large"
    assert "a.nii" in str(error.value)


@pytest.mark.parametrize("shape", [(0, 5), (-3, 5), (1,) * 33])
def test_admit_refuses_what_is_no_array(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(CaseRefusedError) as error:
        limits.admit(shape, 1, tmp_path)
    assert code_of(error) == "unsupported_layout"


def test_gzip_bombs_are_refused_with_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(64 * 2**20)))
    monkeypatch.setattr(limits, "MOST_BYTES", 8 * 2**20)
    tracemalloc.start()
    with pytest.raises(CaseRefusedError) as error:
        limits.read_gzip(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code_of(error) == "too_large"
    assert peak < 32 * 2**20


def test_gzip_keeps_what_is_asked_for_and_verifies_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    content = bytes(range(256)) * 9000
    path.write_bytes(gzip.compress(content))
    assert limits.read_gzip(path) == content
    assert limits.read_gzip(path, keep=1000) == content[:1000]
    assert limits.gzip_start(path, 7) == content[:7]
    packed = path.read_bytes()
    path.write_bytes(packed[:-1])
    with pytest.raises(CaseRefusedError) as error:
        limits.read_gzip(path, keep=1000)
    assert code_of(error) == "truncated_file"
    path.write_bytes(packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:])
    with pytest.raises(CaseRefusedError) as error:
        limits.read_gzip(path, keep=1000)
    assert code_of(error) == "unreadable_file"


def test_files_that_are_missing_too_large_or_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for read in (limits.read_file, limits.read_gzip):
        with pytest.raises(CaseRefusedError) as error:
            read(tmp_path / "none")
        assert code_of(error) == "missing_file"
        with pytest.raises(CaseRefusedError) as error:
            read(tmp_path)
        assert code_of(error) == "unreadable_file"
    (tmp_path / "a").write_bytes(b"12345")
    assert limits.read_file(tmp_path / "a") == b"12345"
    monkeypatch.setattr(limits, "MOST_BYTES", 4)
    with pytest.raises(CaseRefusedError) as error:
        limits.read_file(tmp_path / "a")
    assert code_of(error) == "too_large"


def test_no_memory_left_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(CaseRefusedError) as error, limits.bounded_memory(tmp_path / "a"):
        raise MemoryError
    assert code_of(error) == "too_large"


def test_data_shorter_than_the_header_says(tmp_path: Path) -> None:
    limits.check_holds(5, 5, tmp_path)
    with pytest.raises(CaseRefusedError) as error:
        limits.check_holds(5, 4, tmp_path)
    assert code_of(error) == "truncated_file"
