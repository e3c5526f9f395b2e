"""A study's slices and objects against the plainest loops, and what became of the others."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import sample as oracle
from stored_makers import info, picture, refs, volume

from engine.collection.catalog import Catalog
from engine.collection.catalog_schema import CATALOG_SCHEMAS, EXCLUSIONS
from engine.collection.even import even_in_groups
from engine.collection.ingest import ingest_cases
from engine.collection.reading import data_sha256, read_slices
from engine.collection.sample import sample_units
from engine.errors import CorruptDataError, UserError
from engine.study import Sample, Study

Rows = dict[str, list[dict[str, Any]]]


MODALITIES = ("CT", "MRI")


class Made:
    """A catalog made of row dicts."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        made = pa.Table.from_pylist(self.rows.get(name, []), schema=CATALOG_SCHEMAS[name])
        return made if columns is None else made.select(columns)


def study(**fields: Any) -> Study:
    return Study(name="s", models=["m"], strategies=["box"], **fields)


@st.composite
def catalogs(draw: st.DrawFn) -> Rows:
    """Rows in any order; areas around the limit; slices without objects; units across cases."""
    rows: Rows = {name: [] for name in CATALOG_SCHEMAS}
    for dataset in draw(st.sampled_from([["a"], ["a", "b"], ["b", "c", "a"]])):
        rows["datasets"].append({"dataset": dataset})
        for case in range(draw(st.integers(0, 4))):
            case_id = f"{dataset}/c{case}"
            rows["cases"].append({"case_id": case_id, "dataset": dataset,
                                  "modality": MODALITIES[case % 2],
                                  "subject_id": f"{dataset}/{case // 2}",
                                  "volume_lo": 0.0, "volume_hi": float(case)})  # fmt: skip
            for index in range(draw(st.integers(0, 6))):
                slice_id = f"{case_id}/{index:05d}"
                areas = draw(st.lists(st.sampled_from([1, 50, 51, 400]), max_size=4))
                unit = f"{dataset}-u{(case + index) % 3}" if areas else None
                rows["slices"].append({"slice_id": slice_id, "case_id": case_id, "slice": index,
                                       "array_path": case_id, "index": index, "unit_id": unit,
                                       "height": 8, "width": 9})  # fmt: skip
                rows["objects"] += [
                    {"object_id": f"{slice_id}/s{k}/0", "slice_id": slice_id, "layer": 0,
                     "value": k + 1, "area_px": area}
                    for k, area in enumerate(areas)
                ]  # fmt: skip
    names = [row["unit_id"] for row in rows["slices"]]
    for unit in sorted({name for name in names if name}):
        rows["units"].append({"unit_id": unit, "dataset": unit[0], "n_slices": names.count(unit),
                              "data_sha256": f"sum of {unit}"})  # fmt: skip
    shuffle = draw(st.randoms(use_true_random=False)).shuffle
    for table in rows.values():
        shuffle(table)
    return rows


LIMIT = st.one_of(st.none(), st.integers(1, 5))


@settings(max_examples=150)
@given(catalogs(), LIMIT, LIMIT, LIMIT, st.sampled_from([0, 50, 399]), st.data())
def test_against_the_oracle(
    rows: Rows,
    cases: int | None,
    slices: int | None,
    objects: int | None,
    least: int,
    data: st.DataObject,
) -> None:
    datasets = data.draw(st.sampled_from([None, ("a",)]))
    modalities = _some_of(data, rows, "modality")
    subjects = _some_of(data, rows, "subject_id")
    sample = Sample(cases_per_dataset=cases, slices_per_case=slices, objects_per_slice=objects)
    wanted = study(
        min_object_px=least, datasets=datasets, modalities=modalities, subjects=subjects,
        sample=sample,
    )  # fmt: skip
    expected = oracle.taken_objects(
        rows, datasets=datasets, min_object_px=least, cases_per_dataset=cases,
        slices_per_case=slices, objects_per_slice=objects, modalities=modalities,
        subjects=subjects,
    )  # fmt: skip
    if not expected:
        with pytest.raises(UserError, match="selects no object"):
            sample_units(Made(rows), wanted)
        return
    found = sample_units(Made(rows), wanted)
    got = {
        ref.slice_id: [o.object_id for o in ref.objects]
        for unit in found.units
        for ref in unit.slices
    }
    assert got == expected
    assert found.units.n_slices == len(expected)
    assert found.units.n_objects == sum(map(len, expected.values()))
    _check_units(rows, found.units)
    ours = {
        row["case_id"]
        for row in rows["cases"]
        if (datasets is None or row["dataset"] in datasets)
        and (modalities is None or row["modality"] in modalities)
        and (subjects is None or row["subject_id"] in subjects)
    }
    _check_exclusions(rows, expected, found.exclusion_table, ours, least)


def _some_of(data: st.DataObject, rows: Rows, column: str) -> tuple[str, ...] | None:
    """None, or some of the values that cases have."""
    known = sorted({row[column] for row in rows["cases"]})
    if not known or data.draw(st.booleans()):
        return None
    return tuple(data.draw(st.lists(st.sampled_from(known), min_size=1, unique=True)))


def _check_units(rows: Rows, units: Any) -> None:
    assert [unit.unit_id for unit in units] == sorted(unit.unit_id for unit in units)
    slice_rows = {row["slice_id"]: row for row in rows["slices"]}
    case_rows = {row["case_id"]: row for row in rows["cases"]}
    areas = {row["object_id"]: (row["layer"], row["value"], row["area_px"])
             for row in rows["objects"]}  # fmt: skip
    for unit in units:
        own = [slice_rows[ref.slice_id] for ref in unit.slices]
        assert {row["unit_id"] for row in own} == {unit.unit_id}
        order = [(row["case_id"], row["slice"]) for row in own]
        assert order == sorted(order)
        whole = [row for row in rows["slices"] if row["unit_id"] == unit.unit_id]
        assert unit.complete == (len(own) == len(whole))
        assert unit.data_sha256 == f"sum of {unit.unit_id}"
        for ref, row in zip(unit.slices, own, strict=True):
            case = case_rows[row["case_id"]]
            assert (ref.array_path, ref.index) == (row["array_path"], row["index"])
            assert (ref.height, ref.width, ref.modality) == (8, 9, case["modality"])
            assert (ref.volume_lo, ref.volume_hi) == (0.0, case["volume_hi"])
            assert ref.spacing_row_mm is None
            for one in ref.objects:
                assert areas[one.object_id] == (one.layer, one.value, one.area_px)


def _check_exclusions(
    rows: Rows,
    expected: dict[str, list[str]],
    table: pa.Table,
    ours: set[str],
    least: int,
) -> None:
    """Every object that does not take part is covered by a row, and none that does."""
    assert table.schema.equals(EXCLUSIONS)
    gone = table.to_pylist()
    assert not any(row["refused"] for row in gone)
    keys = [(r["dataset"], r["case_id"], r["slice_id"], r["object_id"]) for r in gone]
    assert len(keys) == len(set(keys))
    taken = {name for names in expected.values() for name in names}
    case_of = {row["slice_id"]: row["case_id"] for row in rows["slices"]}
    dataset_of = {row["case_id"]: row["dataset"] for row in rows["cases"]}
    for row in rows["objects"]:
        case = case_of[row["slice_id"]]
        dataset = dataset_of[case]
        covers = {
            (dataset, None, None, None), (dataset, case, None, None),
            (dataset, case, row["slice_id"], None),
            (dataset, case, row["slice_id"], row["object_id"]),
        }  # fmt: skip
        assert (row["object_id"] in taken) == (not covers & set(keys))
    small = {row["object_id"] for row in gone if row["reason"] == "object_too_small"}
    assert small == {
        row["object_id"]
        for row in rows["objects"]
        if row["area_px"] <= least and case_of[row["slice_id"]] in ours
    }


@given(st.lists(st.integers(0, 12), max_size=6), st.one_of(st.none(), st.integers(1, 14)))
def test_even_in_groups(sizes: list[int], m: int | None) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    expected = []
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        expected += [int(start) + i for i in oracle.even(list(range(size)), m)]
    assert np.flatnonzero(even_in_groups(group, m)).tolist() == expected


def test_over_a_real_collection(tmp_path: Path) -> None:
    out = tmp_path / "c.zarr"
    ingest_cases(info(), [volume("v", n=9), *(picture(f"p{i}") for i in range(5))], out,
                 unit_slices=3)  # fmt: skip
    found = sample_units(Catalog.open(out), study())
    assert found.exclusions == ()
    assert sum(len(unit.slices) for unit in found.units) == 8 + 5
    for unit in found.units:
        assert unit.complete
        pixels = read_slices(out, unit.slices)
        assert data_sha256(pixels) == unit.data_sha256
        for ref, one in zip(unit.slices, pixels, strict=True):
            assert one.mask(ref.objects[0]).sum() == ref.objects[0].area_px
    assert pickle.loads(pickle.dumps(found.units[0])) == found.units[0]
    assert found.units[-1] == found.units[len(found.units) - 1]
    assert found.units[:2] == [found.units[0], found.units[1]]
    part = sample_units(Catalog.open(out), study(sample=Sample(slices_per_case=2)))
    rows = [(e.slice_id, e.reason) for e in part.exclusions]
    assert len(rows) == 6
    assert {reason for _, reason in rows} == {"not_sampled"}
    assert len(refs(out)) == 14


@pytest.mark.parametrize(
    ("field", "name", "meant"),
    [
        ("modalities", "CTT", "CT"),
        ("subjects", "totalsegmentator/subject of V", "totalsegmentator/subject of v"),
    ],
)
def test_unknown_modality_or_subject_names_the_nearest(
    tmp_path: Path, field: str, name: str, meant: str
) -> None:
    ingest_cases(info("totalsegmentator"), [volume("v", dataset="totalsegmentator")], tmp_path)
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        sample_units(Catalog.open(tmp_path), study(**{field: [name]}))


def test_unknown_dataset_names_the_nearest(tmp_path: Path) -> None:
    ingest_cases(info("totalsegmentator"), [volume("v", dataset="totalsegmentator")], tmp_path)
    with pytest.raises(UserError, match="did you mean 'totalsegmentator'"):
        sample_units(Catalog.open(tmp_path), study(datasets=("totalsegmentor",)))


def test_tables_that_do_not_fit_are_an_error() -> None:
    rows: Rows = {name: [] for name in CATALOG_SCHEMAS}
    rows["datasets"] = [{"dataset": "a"}]
    rows["slices"] = [{"slice_id": "a/b/00000", "case_id": "a/b", "slice": 0}]
    with pytest.raises(CorruptDataError, match="do not fit"):
        sample_units(Made(rows), study())


def test_a_hundred_thousand_slices_are_quick() -> None:
    """0.2 s where this was written; rows handled one by one would take tens of seconds."""
    cases, per_case = 1000, 100
    n = cases * per_case
    case_ids = [f"d/{i:06d}" for i in range(cases)]
    of_slice = np.repeat(case_ids, per_case)
    slice_ids = [f"{c}/{i % per_case:05d}" for i, c in enumerate(of_slice)]
    numbers = np.tile(np.arange(per_case, dtype=np.int32), cases)
    ones = np.ones(n, np.int32)
    columns: dict[str, dict[str, Any]] = {
        "datasets": {"dataset": ["d"]},
        "cases": {"case_id": case_ids, "dataset": ["d"] * cases},
        "slices": {"slice_id": slice_ids, "case_id": of_slice, "slice": numbers, "index": numbers,
                   "array_path": of_slice, "unit_id": of_slice},
        "objects": {"object_id": [f"{s}/x/0" for s in slice_ids], "slice_id": slice_ids,
                    "area_px": 100 * ones, "layer": 0 * ones, "value": ones},
        "units": {"unit_id": case_ids, "n_slices": np.full(cases, per_case, np.int32),
                  "data_sha256": case_ids},
    }  # fmt: skip

    class Big:
        def table(self, name: str, wanted: Sequence[str] | None = None) -> pa.Table:
            given = columns[name]
            rows = len(next(iter(given.values())))
            made = pa.table(
                [given.get(f.name, pa.nulls(rows, f.type)) for f in CATALOG_SCHEMAS[name]],
                schema=CATALOG_SCHEMAS[name],
            )
            return made if wanted is None else made.select(wanted)

    start = time.perf_counter()
    found = sample_units(Big(), study(sample=Sample(slices_per_case=6)))
    assert found.units.n_slices == 6 * cases
    assert time.perf_counter() - start < 5
