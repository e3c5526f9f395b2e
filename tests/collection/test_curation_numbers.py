"""The report's numbers are those of the catalog, counted the obvious way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from curation_makers import body, collection, curated, picture, texture
from hypothesis import given
from hypothesis import strategies as st
from stored_makers import NpzFolder

from engine.collection.catalog import Catalog
from engine.collection.catalog_schema import CATALOG_SCHEMAS, EXCLUSIONS
from engine.collection.curation import survey
from engine.collection.curation.choose import choose
from engine.collection.curation.counts import Count
from engine.collection.curation.distributions import histogram
from engine.collection.curation.frame import Frame
from engine.collection.curation.left_out import left_out
from engine.collection.curation.pixels import sampled
from engine.collection.ingest import ingest_source
from engine.errors import UserError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = np.zeros((1, 1, 64, 64), np.uint8)
    small[0, 0, 5:12, 5:12] = 1  # 49 px: too small
    small[0, 0, 30:35, 30:40] = 2  # 50 px: too small
    speck = small.copy()
    speck[0, 0, 50:51, 10:61] = 3  # 51 px: takes part
    image = texture(0, 64)[None]
    bare = body("bare", slices=7, seed=3)
    bare.labels[:, 2:4] = 0
    return collection(
        tmp_path_factory.mktemp("numbers") / "c.zarr",
        [body("b0", subject="one"), body("b1", subject="one", modality="MRI", seed=1), bare],
        [
            curated("p0", image, small, ["a", "b", "c"], dataset="photos", modality="fundus"),
            curated("p1", image, speck, ["a", "b", "c"], dataset="photos", modality="X-ray"),
            picture("p2", texture(2), dataset="photos", modality="X-ray"),
        ],
    )


COUNTS = """
SELECT {key} AS key, count(DISTINCT subject_id), count(DISTINCT case_id), {slices},
    count(DISTINCT o.slice_id), count(DISTINCT o.slice_id) FILTER (area_px > 50),
    count(object_id), count(object_id) FILTER (area_px <= 50)
FROM cases JOIN slices s USING (case_id) {join} JOIN objects o USING (slice_id)
GROUP BY ALL ORDER BY ALL
"""


def row(count: Count) -> tuple[Any, ...]:
    return (
        *count.name, count.subjects, count.cases, count.slices, count.labelled_slices,
        count.slices_taking_part, count.objects, count.small_objects,
    )  # fmt: skip


@pytest.mark.parametrize("key", ["dataset", "modality", "plane"])
def test_counts_equal_sql(world: Path, key: str) -> None:
    report, _ = survey(world, effort="off")
    with sql(world) as connection:
        text = COUNTS.format(key=key, slices="count(DISTINCT s.slice_id)", join="LEFT")
        expected = connection.execute(text).fetchall()
    assert [row(c) for c in getattr(report.counts, f"by_{key}")] == expected


def test_counts_by_structure_equal_sql(world: Path) -> None:
    report, _ = survey(world, effort="off")
    with sql(world) as connection:
        text = COUNTS.format(
            key="(structure, modality)", slices="count(DISTINCT o.slice_id)", join=""
        )
        expected = [(*key, *rest) for key, *rest in connection.execute(text).fetchall()]
    assert [row(c) for c in report.counts.by_structure] == expected


def test_total_and_the_rule_for_small_objects(world: Path) -> None:
    total = survey(world, effort="off")[0].counts.total
    assert (total.subjects, total.cases, total.slices) == (5, 6, 22)
    assert total.labelled_slices == 20
    assert total.objects == 2 * 17 + 2 + 3 + 1
    assert total.small_objects == 4
    assert total.objects_taking_part == total.objects - 4
    assert total.slices_taking_part == 19  # p0 has two objects, both too small


def test_spreads_equal_numpy(world: Path) -> None:
    report, _ = survey(world, effort="off")
    found = {item.name: item for item in report.distributions}
    catalog = Catalog.open(world)
    area = np.array(catalog.objects["area_px"].to_pylist(), np.float64)
    spread = found["area"].spreads[0]
    assert (spread.group, spread.known, spread.unknown) == ("all", len(area), 0)
    np.testing.assert_allclose(
        spread.quantiles, np.quantile(area, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    )
    assert sum(found["area"].counts) == len(area)
    rows = found["spacing_row"].spreads[0]
    assert (rows.known, rows.unknown, rows.quantiles[0]) == (19, 3, 1.0)
    groups = {s.group: s for s in found["spacing_row"].spreads}
    assert (groups["fundus"].known, groups["fundus"].unknown) == (0, 1)
    assert groups["fundus"].quantiles == ()
    per_slice = found["objects_per_slice"].spreads[0]
    assert (per_slice.known, per_slice.quantiles[0], per_slice.quantiles[-1]) == (20, 1.0, 3.0)
    fraction = found["area_fraction"].spreads[0]
    assert 0 < fraction.quantiles[0] <= fraction.quantiles[-1] < 1


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=60), st.booleans())
def test_a_histogram_counts_every_known_value(values: list[float], log: bool) -> None:
    edges, counts = histogram(np.array(values, np.float64), log)
    known = [v for v in values if v == v and (not log or v > 0)]
    assert sum(counts) == len(known)
    assert len(edges) == (len(counts) + 1 if known else 0)
    assert list(edges) == sorted(edges)


def test_exclusions_by_reason() -> None:
    rows = [
        ("a", "a/1", None, None, "truncated_file", "cut", True),
        ("a", "a/2", None, None, "truncated_file", "cut too", True),
        ("a", "a/3", "a/3/00000", None, "slice_without_objects", "", False),
        ("b", None, None, None, "of_the_future", "?", False),
    ]
    table = pa.table(
        [pa.array(column, kind.type) for column, kind in zip(zip(*rows), EXCLUSIONS, strict=True)],  # noqa: B905
        schema=EXCLUSIONS,
    )
    first, second, third = left_out(table)
    assert (first.reason, first.refused, first.level, first.count) == (
        "truncated_file", True, "case", 2,
    )  # fmt: skip
    assert first.meaning == "a file ends before its data do"
    assert first.examples == (("a/1", "cut"), ("a/2", "cut too"))
    assert (second.reason, second.refused, second.level) == (
        "slice_without_objects", False, "slice",
    )  # fmt: skip
    assert third.level == "dataset"
    assert "does not know" in third.meaning


def test_bare_slices_are_exclusions_of_the_report(world: Path) -> None:
    (found,) = survey(world, effort="off")[0].left_out
    assert (found.dataset, found.reason, found.count) == ("ds", "slice_without_objects", 2)


def test_sampled_slices_do_not_depend_on_labels(world: Path) -> None:
    frame = Frame.of(Catalog.open(world))
    ids = [frame.slices["slice_id"][int(r)].as_py() for r in sampled(frame, 5)]
    assert [i for i in ids if "/bare/" in i] == [f"ds/bare/{k:05d}" for k in (0, 2, 3, 4, 6)]
    assert len(sampled(frame, None)) == 22


def test_chosen_slices_follow_their_rule(world: Path) -> None:
    frame = Frame.of(Catalog.open(world))
    ids = [(frame.slices["slice_id"][one.row].as_py(), one.why) for one in choose(frame, 0, most=4)]
    assert ids == [
        ("ds/b0/00005", "largest object"), ("ds/b0/00003", "middle"),
        ("ds/bare/00006", "largest object"), ("ds/bare/00004", "middle"),
    ]  # fmt: skip
    photos = [frame.slices["slice_id"][one.row].as_py() for one in choose(frame, 1, most=4)]
    assert photos == [f"photos/p{k}/00000" for k in range(3)]


def test_a_collection_without_cases(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    np.savez(tmp_path / "raw" / "b.npz", refuse="geometry_mismatch")
    ingest_source(NpzFolder(tmp_path / "raw"), tmp_path / "c.zarr")
    report, frame = survey(tmp_path / "c.zarr", effort="all")
    assert report.counts.total.objects == 0
    assert frame.dataset.names == ("ds",)
    assert report.counts.by_dataset[0].cases == 0
    assert [(row.reason, row.count) for row in report.left_out] == [("geometry_mismatch", 1)]
    assert report.duplicates is not None
    assert report.duplicates.pairs == ()
    json.dumps(report.numbers(), allow_nan=False)


def test_no_collection(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no collection"):
        survey(tmp_path / "none")


def test_a_damaged_array_is_named_and_the_others_are_examined(tmp_path: Path) -> None:
    out = collection(tmp_path / "c.zarr", [body("b0"), body("b1", seed=1)])
    for shard in (out / "ds" / "b0" / "image" / "c").rglob("*"):
        if shard.is_file():
            shard.write_bytes(b"")
    report, _ = survey(out, effort="all")
    ((array, message),) = report.unreadable
    assert array == "ds/b0"
    assert "empty file" in message
    assert report.looked_slices == 6


def sql(world: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    catalog = Catalog.open(world)
    for name in CATALOG_SCHEMAS:
        connection.register(name, catalog.table(name))
    return connection
