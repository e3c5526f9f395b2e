"""The ledger: commits, races, kills, damage."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from results.synthetic import Synthetic, cell_rows, identity_of, make, study

from engine import files
from engine.results.manifest import MANIFESTS, manifest_name, parse_manifest, slug
from engine.results.parts import Cell, Manifest, PartStore
from engine.results.rows import part_tables
from engine.results.schema import PART_SCHEMAS

CELL = Cell("ds/p0/u0", "tiny", "point_1")
OBJECTS = [
    {"object_id": f"ds/p0/00000/liver/{i}", "slice_id": "ds/p0/00000", "area_px": 100 + i,
     "structure": "liver"}
    for i in range(5)
]  # fmt: skip


def rows(seed: int = 0, cell: Cell = CELL, fail_rate: float = 0.0) -> dict[str, Any]:
    rng = np.random.Generator(np.random.PCG64(seed))
    return cell_rows(study(), cell, OBJECTS, rng, fail_rate, 0.2)


def tables(seed: int = 0) -> dict[str, pa.Table]:
    return part_tables(rows(seed))


def files_of(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def only(store: PartStore) -> Manifest:
    (manifest,) = store.manifests()
    return manifest


def test_commit_leaves_a_manifest_that_tells_all(tmp_path: Path) -> None:
    store = PartStore(tmp_path, {"scoring": 3})
    info = {"seconds": {"embed": 1.5}, "worker": "w", "pid": 1, "peak_memory_bytes": 5}
    assert store.commit(CELL, "ab" * 32, tables(), info, expected=15)
    manifest = only(store)
    assert (manifest.cell, manifest.identity) == (CELL, "ab" * 32)
    assert (manifest.expected, manifest.done, manifest.failed) == (15, 15, 0)
    assert manifest.info == info
    assert manifest.versions == {"scoring": 3, "protocol": 1, "parts": 1}
    assert [part.table for part in manifest.files] == ["trials"]  # empty tables are not written
    assert manifest.rows("trials") == 15
    assert store.problem(manifest) is None
    assert files_of(tmp_path) == sorted([manifest.name, manifest.files[0].name])
    assert manifest.files[0].name.startswith("parts/ds%2Fp0%2Fu0/tiny/point_1/")


def test_who_only_looks_sets_nothing_aside(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    assert store.commit(CELL, "a" * 64, tables(0))
    (tmp_path / only(store).name).write_text("torn")
    before = files_of(tmp_path)
    assert list(store.manifests(set_aside=False)) == []
    assert files_of(tmp_path) == before
    assert list(store.manifests()) == []
    assert files_of(tmp_path) != before


def test_second_attempt_loses_and_leaves_nothing(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    assert store.commit(CELL, "a" * 64, tables(0))
    before = files_of(tmp_path)
    assert not store.commit(CELL, "a" * 64, tables(1))
    assert files_of(tmp_path) == before


def test_identities_of_a_cell_coexist(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    assert store.commit(CELL, "a" * 64, tables(0))
    assert store.commit(CELL, "b" * 64, tables(1))
    keys = [(CELL, "a" * 64), (CELL, "b" * 64), (CELL, "c" * 64)]
    assert store.committed(keys) == set(keys[:2])
    assert len(list(store.manifests())) == 2


def _commit_at_the_gun(folder: Path, barrier: Any, seed: int, wins: Any) -> None:
    part = tables(seed)
    barrier.wait()
    wins[seed] = int(PartStore(folder).commit(CELL, "a" * 64, part))


def test_racing_threads_have_one_winner(tmp_path: Path) -> None:
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        barrier, wins = threading.Barrier(6), [0] * 6
        racers = [
            threading.Thread(target=_commit_at_the_gun, args=(folder, barrier, seed, wins))
            for seed in range(6)
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sum(wins) == 1
        store = PartStore(folder)
        assert store.problem(only(store)) is None
        assert len(files_of(folder)) == 2


def test_racing_processes_have_one_winner(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(2), context.Array("i", 2)
    racers = [
        context.Process(target=_commit_at_the_gun, args=(tmp_path, barrier, seed, wins))
        for seed in range(2)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert sum(wins[:]) == 1
    assert len(files_of(tmp_path)) == 2


def test_claim_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    store = PartStore(tmp_path)
    assert store.commit(CELL, "a" * 64, tables(0))
    assert not store.commit(CELL, "a" * 64, tables(1))
    assert store.problem(only(store)) is None
    assert len(files_of(tmp_path)) == 2


def _die_before_the_manifest(folder: Path) -> None:
    store = PartStore(folder)

    def kill(name: str, data: bytes) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return False

    store.store.create = kill  # type: ignore[method-assign]
    store.commit(CELL, "a" * 64, tables(0))


def test_killed_between_files_and_manifest(tmp_path: Path) -> None:
    victim = multiprocessing.get_context("spawn").Process(
        target=_die_before_the_manifest, args=(tmp_path,)
    )
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    assert files_of(tmp_path)  # the orphan is there ...
    store = PartStore(tmp_path)
    assert list(store.manifests()) == []  # ... and not visible
    assert store.committed([(CELL, "a" * 64)]) == set()
    assert store.commit(CELL, "a" * 64, tables(0))


def test_an_error_while_writing_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PartStore(tmp_path)
    put, calls = store.store.put, []

    def full(name: str, data: bytes) -> None:
        calls.append(name)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        put(name, data)

    monkeypatch.setattr(store.store, "put", full)
    everything = Cell("u", "tiny", "everything")
    with pytest.raises(OSError, match="No space"):
        store.commit(everything, "a" * 64, part_tables(rows(1, everything)))
    assert len(calls) == 2
    assert files_of(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncate", "flip", "missing", "emptied"])
def test_damaged_part_is_set_aside(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = PartStore(tmp_path)
    assert store.commit(CELL, "a" * 64, tables(0))
    manifest = only(store)
    path = tmp_path / manifest.files[0].name
    data = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(data[:-10])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert not list(store.sound([manifest]))
    assert path.name in caplog.text
    assert store.committed([(CELL, "a" * 64)]) == set()
    assert list(store.manifests()) == []
    (aside,) = (tmp_path / MANIFESTS).glob("*.set-aside")
    assert path.name in json.loads(aside.read_text())["reason"]
    assert store.commit(CELL, "a" * 64, tables(0))  # pending again, so it can be done anew
    assert store.problem(only(store)) is None


def test_only_checksums_see_a_flipped_bit(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    store.commit(CELL, "a" * 64, tables(0))
    manifest = only(store)
    path = tmp_path / manifest.files[0].name
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    assert store.problem(manifest, checksums=False) is None
    assert "SHA-256" in str(store.problem(manifest))
    path.write_bytes(data[:-1])
    assert "bytes" in str(store.problem(manifest, checksums=False))


def test_stale_finding_does_not_remove_a_new_commit(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    store.commit(CELL, "a" * 64, tables(0))
    old = only(store)
    store.set_aside(old, "test")
    store.commit(CELL, "a" * 64, tables(1))
    store.set_aside(old, "the same finding by another process")
    assert only(store).attempt != old.attempt


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"unit_id":"ds/p0/u0"', '"unit_id":"ds/p1/u0"'),
        lambda text: text.replace('"parts":1', '"parts":99'),
        lambda text: text.replace('"attempt"', '"surprise"'),
    ],
    ids=["half", "empty", "list", "other cell", "other layout", "unknown field"],
)
def test_torn_or_foreign_manifest_is_set_aside(tmp_path: Path, spoil: Any) -> None:
    store = PartStore(tmp_path)
    store.commit(CELL, "a" * 64, tables(0))
    path = tmp_path / only(store).name
    path.write_text(spoil(path.read_text()))
    assert list(store.manifests()) == []
    assert not path.exists()
    assert store.commit(CELL, "a" * 64, tables(0))


def test_manifest_copied_from_another_run_keeps_no_files(tmp_path: Path) -> None:
    other = PartStore(tmp_path / "other")
    other.commit(CELL, "a" * 64, tables(0))
    folder = tmp_path / "mine" / MANIFESTS
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "other" / only(other).name, folder)
    store = PartStore(tmp_path / "mine")
    assert not list(store.sound([only(store)]))


@given(st.text(min_size=1, max_size=300))
def test_slugs_are_safe_file_names(name: str) -> None:
    slugged = slug(name)
    assert len(slugged.encode()) <= 120
    assert slugged[0] not in "._"
    assert not set(slugged) & set("/\\\0:*?[]\"'<>| ")


@given(st.text(max_size=200), st.text(max_size=200))
def test_cells_never_share_a_manifest(one: str, other: str) -> None:
    names = {manifest_name(Cell(one, "m", "s"), "a" * 64) for one in (one, other)}
    assert len(names) == len({one, other})
    assert all(len(Path(name).name.encode()) <= 240 for name in names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Cell("a.b", "c", "d"), Cell("a", "b.c", "d")),
        (Cell("Scan", "m", "s"), Cell("scan", "m", "s")),  # a disk that ignores case
        (Cell("u" * 300 + "1", "m", "s"), Cell("u" * 300 + "2", "m", "s")),
    ],
)
def test_manifests_of_similar_cells_differ(one: Cell, other: Cell) -> None:
    names = [manifest_name(cell, "a" * 64).lower() for cell in (one, other)]
    assert names[0] != names[1]


def test_names_with_separators_do_not_mix(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    cells = [Cell("a/b", "m", "point_1"), Cell("a", "b/m", "point_1"), Cell("..", "m", "point_1")]
    for cell in cells:
        store.commit(cell, "a" * 64, part_tables(rows(0, cell)))
    assert sorted(m.cell for m in store.manifests()) == sorted(cells)
    assert all(store.problem(m) is None for m in store.manifests())
    assert {p.name for p in tmp_path.iterdir()} == {"parts"}


def test_manifest_survives_its_own_bytes(tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    store.commit(CELL, "a" * 64, tables(0), {"seconds": {"a": 1}})
    manifest = only(store)
    assert parse_manifest(manifest.to_bytes(), manifest.name) == manifest


def test_parts_hold_what_was_given(tmp_path: Path) -> None:
    made: Synthetic = make(tmp_path)
    total = 0
    for manifest in made.store.manifests():
        for part in manifest.files:
            table = pa.parquet.read_table(tmp_path / "run" / part.name)
            assert table.schema.equals(PART_SCHEMAS[part.table])
            assert len(table) == part.rows
            if part.table == "trials":
                total += len(table)
                assert pc.unique(table["model"]).to_pylist() == [manifest.cell.model]
    assert total == len(made.trials)
    assert identity_of(CELL) != identity_of(CELL, 2)


def test_replace_file_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    files.replace_file(target, b"one")
    files.replace_file(target, b"two")
    assert target.read_bytes() == b"two"
    assert files_of(tmp_path) == ["a/b.txt"]
