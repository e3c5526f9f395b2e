"""How plan, ledger and database behave at the size of the paper's collection.

    python benchmarks/scale.py catalog /tmp/big.zarr --slices 1000000    (2 min, 6 GB of memory)
    python benchmarks/scale.py plan /tmp/big.zarr

`catalog` writes a collection that is a catalog only: six objects a slice, 200 slices a case, a
data set per 100,000 slices, no pixels. `plan` lays a study of two models, seven strategies and the
paper's jitter over it (122 trials an object) and lists what is pending. Each prints its seconds
and the process's peak memory.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.collection.catalog import merge_catalog
from engine.collection.catalog_schema import CATALOG_SCHEMAS
from engine.collection.layout import FRAGMENTS
from engine.configuration import validate
from engine.finaliser import finalise
from engine.models.numerics import numerics_of
from engine.planning.ground import lay_ground
from engine.runs import RunDir
from engine.stores import LocalStore
from engine.study import Study

SLICES_PER_CASE = 200
UNIT_SLICES = 32
SLICES_PER_DATASET = 100_000
STRUCTURES = ("aorta", "kidney left", "kidney right", "liver", "pancreas", "spleen")
STUDY = {
    "name": "scale",
    "models": [{"name": "one", "model": "FAKE"}, {"name": "two", "model": "FAKE"}],
    "strategies": [
        "everything", "point_1", "point_5", "point_5_neg_5", "box", "box_point_1",
        {"name": "point_10", "kind": "points", "params": {"positive": 10}},
    ],
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the commands above."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    catalog = commands.add_parser("catalog")
    catalog.add_argument("collection", type=Path)
    catalog.add_argument("--slices", type=int, default=1_000_000)
    plan = commands.add_parser("plan")
    plan.add_argument("collection", type=Path)
    build = commands.add_parser("build")
    build.add_argument("collection", type=Path)
    build.add_argument("run", type=Path)
    said = parser.parse_args(argv)
    with measured(said.command):
        if said.command == "catalog":
            write_catalog(said.collection, said.slices)
        elif said.command == "plan":
            lay_plan(said.collection)
        else:
            build_database(said.collection, said.run)


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Say how long the block took and the most memory this process has held so far."""
    started = perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    sys.stdout.write(f"{what}: {perf_counter() - started:.1f} s, peak {peak:,.0f} MiB\n")


def scale_study(folder: Path) -> Study:
    """The study above, its fake model's file in `folder`."""
    fake = folder / "fake.yaml"
    fake.write_text("kind: fake\n")
    models = [{**model, "model": str(fake)} for model in STUDY["models"]]
    return validate({**STUDY, "models": models}, Study, "study", where="scale.py")


def lay_plan(collection: Path) -> None:
    """Plan the study over the collection, and what of it is pending when nothing is done."""
    with measured("study, catalog, sample"):
        ground = lay_ground(scale_study(collection), collection)
    with measured("identities"):
        plan = ground.plan(numerics_of("cpu")).plan
    with measured("pending, longest first"):
        pending = plan.pending(plan.none_done())
    trials = sum(plan.expected().values())
    sys.stdout.write(f"{len(plan.units):,} units, {len(pending):,} pending, {trials:,} trials\n")


def build_database(collection: Path, run_dir: Path) -> None:
    """Build the database of a run from what is committed in its folder."""
    planning = lay_ground(scale_study(collection), collection).plan(numerics_of("cpu"))
    run = RunDir.prepare(run_dir, collection)
    with measured("build"):
        path = finalise(run, planning)
    sys.stdout.write(f"{path.stat().st_size / 2**20:,.0f} MiB\n")


def write_catalog(collection: Path, slices: int) -> None:
    """A collection of so many slices with catalog and fragments, without arrays."""
    for number in range(-(-slices // SLICES_PER_DATASET)):
        own = min(SLICES_PER_DATASET, slices - number * SLICES_PER_DATASET)
        _write_fragment(collection, f"set{number:02}", dataset_tables(f"set{number:02}", own))
    merge_catalog(LocalStore(collection))


def dataset_tables(dataset: str, slices: int) -> dict[str, pa.Table]:
    """Catalog rows of one data set; ids, sizes and areas differ as in a real one."""
    rng = np.random.default_rng(int(dataset[3:]))
    place = np.arange(slices)
    case, index = place // SLICES_PER_CASE, place % SLICES_PER_CASE
    n_cases = int(case[-1]) + 1
    case_ids = np.array([f"{dataset}/case{number:04}" for number in range(n_cases)])
    slice_ids = [f"{case_ids[c]}/{i:05}" for c, i in zip(case, index, strict=True)]
    spacings = rng.choice([0.68, 0.7812, 0.9766], n_cases)
    unit = place // UNIT_SLICES
    unit_ids = [
        f"{dataset}-{hashlib.sha256(slice_ids[start].encode()).hexdigest()[:12]}"
        for start in range(0, slices, UNIT_SLICES)
    ]
    tables = {
        "datasets": {"dataset": [dataset], "title": [dataset], "licence": ["CC0"]},
        "cases": {
            "case_id": case_ids, "dataset": [dataset] * n_cases,
            "case": [f"case{number:04}" for number in range(n_cases)],
            "subject_id": case_ids, "modality": rng.choice(["CT", "MR"], n_cases),
            "plane": ["axial"] * n_cases, "n_slices": np.bincount(case),
            "volume_lo": rng.integers(-1100, -900, n_cases).astype(float),
            "volume_hi": rng.integers(1200, 3100, n_cases).astype(float),
            "data_sha256": [hashlib.sha256(c.encode()).hexdigest() for c in case_ids],
        },
        "slices": {
            "slice_id": slice_ids, "case_id": case_ids[case], "array_path": case_ids[case],
            "index": index, "slice": index, "unit_id": np.array(unit_ids)[unit],
            "height": np.full(slices, 512), "width": np.full(slices, 512),
            "channels": np.ones(slices, int),
            "lo": np.full(slices, -1000.0), "hi": rng.integers(200, 3000, slices).astype(float),
            "spacing_row_mm": spacings[case], "spacing_col_mm": spacings[case],
        },
        "objects": _objects(slice_ids, case_ids[case], rng),
        "units": {
            "unit_id": unit_ids, "dataset": [dataset] * len(unit_ids),
            "n_slices": np.bincount(unit),
            "data_sha256": [hashlib.sha256(u.encode()).hexdigest() for u in unit_ids],
        },
    }  # fmt: skip
    return {name: _table(tables.get(name, {}), name) for name in CATALOG_SCHEMAS}


def _objects(slice_ids: list[str], cases: np.ndarray, rng: np.random.Generator) -> dict:
    n, each = len(slice_ids), len(STRUCTURES)
    structure = pa.array(STRUCTURES * n)
    of_slice = pa.array(slice_ids).take(pa.array(np.repeat(np.arange(n), each)))
    of_case = pa.array(cases).take(pa.array(np.repeat(np.arange(n), each)))
    numbers = np.tile(np.arange(1, each + 1), n)
    return {
        "object_id": pc.binary_join_element_wise(of_slice, structure, "0", "/"),
        "entity_id": pc.binary_join_element_wise(of_case, structure, "0", "/"),
        "slice_id": of_slice, "structure": structure,
        "instance": np.zeros(n * each, int), "layer": np.zeros(n * each, int), "value": numbers,
        "area_px": rng.integers(51, 9000, n * each),
    }  # fmt: skip


def _table(columns: dict, name: str) -> pa.Table:
    """Columns in the catalog's types; what is not given is null."""
    schema = CATALOG_SCHEMAS[name]
    n = len(next(iter(columns.values()), ()))
    made = [
        pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(n, f.type)
        for f in schema
    ]
    return pa.table(made, schema=schema)


def _write_fragment(collection: Path, dataset: str, tables: dict[str, pa.Table]) -> None:
    """All rows of a data set as one fragment, as `draft_fragment` writes them for one array."""
    columns = {}
    for name, table in tables.items():
        structs = table.to_struct_array().combine_chunks()
        columns[name] = pa.ListArray.from_arrays([0, table.num_rows], structs)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()[:12]
    LocalStore(collection).put(f"{FRAGMENTS}/{dataset}/rows.{digest}.parquet", data)


if __name__ == "__main__":
    main()
