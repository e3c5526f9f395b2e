"""Ids, seeds and hashes, pinned: a change here would orphan every result."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.identity import (
    canonical_json,
    entity_id,
    file_sha256,
    fingerprint,
    object_id,
    quote_name,
    slice_id,
    trial_seed,
)


def test_names_are_encoded_as_the_protocol_says() -> None:
    assert quote_name("a/b%c|d\n\x85é") == "a%2Fb%25c%7Cd%0A%C2%85é"
    assert object_id("a/b", "c d", 7, "left|lung", 3) == "a%2Fb/c d/00007/left%7Clung/3"
    assert slice_id("d", "c", 123456) == "d/c/123456"
    assert entity_id("d", "c", "s") == "d/c/s/0"


@given(st.lists(st.text(max_size=8), min_size=3, max_size=3))
def test_ids_are_unambiguous(names: list[str]) -> None:
    dataset, case, structure = names
    parts = object_id(dataset, case, 1, structure, 2).split("/")
    assert len(parts) == 5
    assert parts[0] == quote_name(dataset)
    assert "|" not in "".join(parts)


def test_seed_is_the_first_128_bits_of_the_hash_little_endian() -> None:
    text = "5|d/c/00000/s/0|box|10-20|2"
    expected = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    assert trial_seed(5, "d/c/00000/s/0", "box", 10, 20, 2) == expected
    assert trial_seed(0, "d/c/00000/s/0", "point_1", 0, 10, 0) == (
        int.from_bytes(hashlib.sha256(b"0|d/c/00000/s/0|point_1|0-10|0").digest()[:16], "little")
    )


def test_golden_fingerprint() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"\\u00e9","b":[1,2.5,null]}'
    assert fingerprint({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_file_hash(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()
