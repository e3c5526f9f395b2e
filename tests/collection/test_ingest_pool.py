"""Ingest by Ray tasks: the same collection to the byte, and a worker's death costs one case."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadly_makers import Deadly, Unlucky
from object_store import contents, fresh_bucket, upload
from raw_makers import nifti, recipe, series
from ray.exceptions import OutOfMemoryError
from stored_makers import (
    Npz,
    NpzFolder,
    info,
    picture,
    put,
    put_many,
    refs,
    tables,
    tree,
    verify,
    volume,
)

from engine.collection import ingest as ingest_module
from engine.collection.case import CuratedCase
from engine.collection.ingest import ingest, ingest_source
from engine.collection.place import open_for_writing
from engine.collection.pool import WorkerDiedError
from engine.collection.raw_folder import LocalFolder
from engine.collection.reading import read_slices
from engine.pipeline import pool as pool_module
from engine.pipeline.pool import RayPool, ray_pool
from engine.stores import LocalStore, ObjectStore
from engine.study import Runtime

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def pool(ray_session: str) -> Iterator[RayPool]:
    with ray_pool(Runtime(), 2) as found:
        yield found


def test_any_number_of_workers_makes_the_same_bytes(tmp_path: Path, pool: RayPool) -> None:
    raw, here, there = tmp_path / "raw", tmp_path / "here.zarr", tmp_path / "there.zarr"
    put_many(raw)
    alone = ingest_source(NpzFolder(raw), here, unit_slices=4)
    shared = ingest_source(NpzFolder(raw), there, unit_slices=4, pool=pool)
    assert shared == alone
    assert tables(there) == tables(here)
    assert tree(there) == tree(here)
    again = ingest_source(NpzFolder(raw), there, unit_slices=4, pool=pool)
    assert (again.stored, again.unchanged) == (0, alone.stored)
    assert tree(there) == tree(here)


@pytest.mark.parametrize("bundled", [True, False])
def test_a_case_that_kills_its_worker_is_a_row_and_the_others_go_on(
    tmp_path: Path, pool: RayPool, monkeypatch: pytest.MonkeyPatch, bundled: bool
) -> None:
    if not bundled:
        monkeypatch.setattr(ingest_module, "TASK_BYTES", 0)
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    for case in (volume("a"), volume("poison"), picture("q"), volume("z", n=3)):
        put(raw, case)
    report = ingest_source(Deadly(raw), out, pool=pool)
    assert (report.stored, report.refused) == (3, 1)
    (row,) = [r for r in tables(out)["exclusions"] if not r["slice_id"]]
    assert (row["case_id"], row["reason"], row["refused"]) == ("ds/poison", "worker_died", True)
    verify(out)


def test_two_raw_cases_that_claim_one_name_do_not_mix(tmp_path: Path) -> None:
    """Both are staged before either is committed; the second is refused, the first stays whole."""
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    frames = [volume("x", seed=seed) for seed in (1, 2)]
    raw.mkdir()
    np.savez(
        raw / "time_a.npz",
        image=np.stack([one.image for one in frames]),
        labels=np.stack([one.labels for one in frames], axis=1),
    )
    put(raw, volume("time_a_t001", seed=9))  # its folder reads it as one case of this very name

    class Eager:
        """Two calls at once: both are done before the first is looked at."""

        size = 2

        def submit(self, function: Any, *args: Any) -> Any:
            result = function(*args)
            return lambda: result

    class Plain(NpzFolder):
        def read(self, raw_case: Npz) -> list[CuratedCase]:  # type: ignore[override]
            if raw_case.case == "time_a_t001":
                return [replace(volume("time_a_t001", seed=9), dataset=self.info.dataset)]
            return super().read(raw_case)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "TASK_BYTES", 0)
        report = ingest_source(Plain(raw), out, pool=Eager())
    assert (report.stored, report.refused) == (1, 1)
    verify(out)
    pixels = read_slices(out, refs(out, case_id="ds/time_a_t001"))
    assert np.array_equal(np.stack([one.image for one in pixels]), frames[1].image)


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path, pool: RayPool) -> None:
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    put(raw, volume("a"))
    report = ingest_source(Unlucky(raw), out, pool=pool)
    assert (report.stored, report.refused) == (1, 0)


def test_a_worker_without_memory_is_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any) -> None:
        raise OutOfMemoryError("killed by the memory monitor")

    monkeypatch.setattr(pool_module.ray, "get", get)
    with pytest.raises(WorkerDiedError, match="memory monitor"):
        pool_module._result(None)


def test_workers_get_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a cluster that was there before have other working folders."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/x").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(LocalFolder(Path("raw")))
    with open_for_writing(LocalStore(Path("c.zarr"))) as desk:
        assert desk.staging is not None
        assert desk.staging.is_absolute()
    monkeypatch.chdir("/")
    assert pickle.loads(sent).is_file("x")


def test_errors_of_a_reader_travel_back_as_rows(tmp_path: Path, pool: RayPool) -> None:
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    put(raw, volume("a"))
    np.savez(raw / "bad.npz", refuse="truncated_file")
    np.savez(raw / "bug.npz", crash=1)
    report = ingest_source(NpzFolder(raw), out, pool=pool)
    assert (report.stored, report.refused) == (1, 2)
    reasons = {r["case_id"]: r["reason"] for r in tables(out)["exclusions"] if not r["slice_id"]}
    assert reasons == {"ds/bad": "truncated_file", "ds/bug": "unreadable_file"}


def test_workers_read_from_and_write_to_a_bucket(tmp_path: Path, pool: RayPool) -> None:
    """They share no disk with the driver: finished arrays travel back as bytes."""
    raw, root = tmp_path / "raw", fresh_bucket()
    for n in range(3):
        nifti(raw / f"i/{n}.nii.gz", np.full((4, 5, 3), n, np.int16))
        nifti(raw / f"l/{n}.nii.gz", np.ones((4, 5, 3), np.uint8))
    upload(raw, f"{root}/raw")
    about = recipe(
        series("i/{case}.nii.gz", {"file": "l/{case}.nii.gz", "kind": "mask", "structure": "s"})
    )
    alone = ingest(about, f"{root}/raw", tmp_path / "c.zarr")
    assert ingest(about, f"{root}/raw", f"{root}/c.zarr", pool=pool) == alone
    assert alone.stored == 3
    ours = contents(LocalStore(tmp_path / "c.zarr"))
    assert contents(ObjectStore(f"{root}/c.zarr")) == ours


def test_ray_starts_with_the_first_task_only(tmp_path: Path, monkeypatch: Any) -> None:
    raw, out = tmp_path / "raw", tmp_path / "c.zarr"
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)

    def refuse(runtime: Runtime) -> None:
        raise AssertionError("nothing to do, and yet Ray was started")

    monkeypatch.setattr(pool_module, "connected", refuse)
    with ray_pool(Runtime(), 2) as lazy:
        assert ingest_source(NpzFolder(raw), out, pool=lazy).unchanged == 1
        put(raw, volume("b"))
        with pytest.raises(AssertionError, match="yet Ray"):
            ingest_source(NpzFolder(raw, info()), out, pool=lazy)
