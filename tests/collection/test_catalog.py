"""The catalog, units and checksums: order, damage, staleness, identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_makers import TABLES, info, picture, refs, tables, volume

from engine.collection.catalog import Catalog
from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.checksum import combine, data_sha256, slice_digest
from engine.collection.contract import SlicePixels
from engine.collection.ingest import ingest_cases
from engine.collection.reading import read_slices
from engine.collection.units import UNIT_BYTES, plan_units, unit_id
from engine.errors import CorruptDataError, UserError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    cases = [volume("v", n=12), *(picture(name) for name in ("z", "a", "m"))]
    ingest_cases(info(), cases, tmp_path / "c.zarr", unit_slices=4)
    return tmp_path / "c.zarr"


def test_tables_have_their_schemas_and_order(out: Path) -> None:
    catalog = Catalog.open(out)
    for name, schema in CATALOG_SCHEMAS.items():
        assert catalog.table(name).schema.equals(schema)
        assert pq.read_table(out / "catalog" / f"{name}.parquet").schema.equals(schema)
    found = tables(out)
    assert [row["case"] for row in found["cases"]] == ["a", "m", "v", "z"]
    assert [row["slice"] for row in found["slices"]] == [0, 0, *range(12), 0]
    for name, key in (("objects", "object_id"), ("units", "unit_id")):
        assert [r[key] for r in found[name]] == sorted(r[key] for r in found[name])
    (case,) = [row for row in found["cases"] if row["case"] == "v"]
    assert case["subject_id"] == "ds/subject of v"
    assert (case["n_slices"], case["spacing_slice_mm"], case["plane"]) == (12, 2.5, "axial")
    image = volume("v", n=12).image
    assert (case["volume_lo"], case["volume_hi"]) == (image.min(), image.max())
    (object_row, *_) = [row for row in found["objects"] if "/v/" in row["object_id"]]
    assert object_row["entity_id"] == "ds/v/s0_1/0"
    assert object_row["bbox"] == {"x0": 3, "y0": 2, "x1": 11, "y1": 9}


def test_case_checksum_covers_every_slice(out: Path) -> None:
    for case in tables(out)["cases"]:
        pixels = read_slices(out, refs(out, case_id=case["case_id"]))
        assert data_sha256(pixels) == case["data_sha256"]


@pytest.mark.parametrize("harm", ["delete", "truncate", "stale"])
def test_merged_tables_are_only_a_copy(out: Path, harm: str) -> None:
    before = {name: Catalog.open(out).table(name) for name in TABLES}
    file = out / "catalog" / "objects.parquet"
    if harm == "delete":
        file.unlink()
    elif harm == "truncate":
        file.write_bytes(file.read_bytes()[:100])
    else:  # tables of another state of the collection
        (gone,) = (out / "catalog/fragments/ds").glob("v.*")
        gone.unlink()
        objects = Catalog.open(out).objects.to_pylist()
        assert [row["structure"] for row in objects] == ["s0_1"] * 3
        return
    after = Catalog.open(out)
    assert all(after.table(name).equals(before[name]) for name in TABLES)


def test_damaged_fragment_says_what_to_do(out: Path) -> None:
    (fragment,) = (out / "catalog/fragments/ds").glob("v.*")
    fragment.write_bytes(b"PAR1 nonsense")
    (out / "catalog/cases.parquet").unlink()
    with pytest.raises(CorruptDataError, match="delete this file"):
        Catalog.open(out).table("cases")


@pytest.mark.parametrize("kind", ["absent", "file", "folder"])
def test_not_a_collection(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x"
    if kind == "file":
        place.write_text("")
    elif kind == "folder":
        place.mkdir()
    with pytest.raises(UserError, match=r"samscope ingest") as caught:
        Catalog.open(place)
    assert str(place) in str(caught.value)


@given(
    st.lists(st.booleans(), min_size=1, max_size=200),
    st.integers(1, 40),
    st.sampled_from([1, UNIT_BYTES // 10, UNIT_BYTES * 2]),
    st.randoms(use_true_random=False),
)
def test_units_partition_the_slices_with_objects(
    has: list[bool], most: int, slice_bytes: int, random: object
) -> None:
    ids = [f"ds/c/{i:05d}" for i in range(len(has))]
    random.shuffle(ids)  # type: ignore[attr-defined]
    digests = [hashlib.sha256(name.encode()).digest() for name in ids]
    units = plan_units("ds", ids, digests, has, slice_bytes, most)
    placed = [place for unit in units for place in unit.positions]
    assert sorted(placed) == [i for i, flag in enumerate(has) if flag]
    assert [ids[place] for place in placed] == sorted(ids[place] for place in placed)
    sizes = [len(unit.positions) for unit in units]
    if sizes:
        assert max(sizes) <= most
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) == 1 or max(sizes) * slice_bytes <= UNIT_BYTES
    for unit in units:
        own = [ids[place] for place in unit.positions]
        assert unit.unit_id == unit_id("ds", own)
        assert unit.data_sha256 == combine(digests[place] for place in unit.positions)


def test_identities_are_golden() -> None:
    """These name units and data in every run directory: a change orphans all results."""
    assert unit_id("a/b", ["a%2Fb/c/00000", "a%2Fb/c/00001"]) == "a%2Fb-670965b13393"
    image = np.arange(6, dtype=np.int16).reshape(2, 3)
    labels = np.ones((1, 2, 3), np.uint8)
    digest = "4c97f9849fb67c665742a74b768313d6a92e700bb7a4116aa507548027eed7ab"
    assert slice_digest(image, labels).hex() == digest
    twice = "222662aa657c9d01beb812a8a804615e1eb2cf9e2cf255b7a09c0711da39e83d"
    assert data_sha256([SlicePixels(image, labels)] * 2) == twice
    by_hand = hashlib.sha256(b"image|int16|(2, 3)\n" + image.astype("<i2").tobytes())
    by_hand.update(b"labels|uint8|(1, 2, 3)\n" + labels.tobytes())
    assert by_hand.hexdigest() == digest
    assert hashlib.sha256(by_hand.digest() * 2).hexdigest() == twice


def test_checksum_sees_values_dtypes_and_shapes_but_not_memory() -> None:
    image = np.arange(6, dtype=np.int16).reshape(2, 3)
    labels = np.zeros((1, 2, 3), np.uint8)
    same = slice_digest(image, labels)
    assert slice_digest(np.asfortranarray(image), labels) == same
    assert slice_digest(image.astype(">i2"), labels) == same
    other = image.copy()
    other[1, 1] += 1
    marked = labels.copy()
    marked[0, 0, 0] = 1
    for changed in (
        (other, labels),
        (image, marked),
        (image.astype(np.uint16), labels),
        (image, labels.astype(np.uint16)),
        (image.reshape(3, 2), labels.reshape(1, 3, 2)),
    ):
        assert slice_digest(*changed) != same
    one, two = SlicePixels(image, labels), SlicePixels(other, labels)
    assert data_sha256([one, two]) != data_sha256([two, one])
