"""Raw files and collections in an object store: the same rules, the same pixels."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from object_store import contents, serve_s3, upload
from raw_makers import nifti, recipe, series
from stored_makers import Npz, NpzFolder, info, picture, put, put_many, refs, tables, volume

from engine import locks
from engine.collection import lock, raw_folder
from engine.collection.case import CuratedCase
from engine.collection.catalog import Catalog
from engine.collection.ingest import ingest, ingest_cases, ingest_source
from engine.collection.lock import collection_lock
from engine.collection.raw_folder import RemoteFolder
from engine.collection.reading import read_slices
from engine.errors import CorruptDataError, UserError
from engine.locks import Holder
from engine.stores import LocalStore, ObjectStore, Url, local_folder, place_of, store_of


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_s3() as address:
        yield address


@pytest.fixture
def root(bucket: str, request: pytest.FixtureRequest) -> str:
    return f"{bucket}/{request.node.name.translate({ord(c): '-' for c in '[]/ '})}"


def test_a_path_is_no_address() -> None:
    assert place_of("a/b") == Path("a/b")
    assert place_of("s3://bucket/c.zarr/") == "s3://bucket/c.zarr"
    assert isinstance(store_of("gs://b/c"), ObjectStore)
    assert Url("s3://b/c.zarr").resolve().name == "c.zarr"


def test_a_remote_collection_equals_a_local_one_to_the_byte(tmp_path: Path, root: str) -> None:
    raw, here, there = tmp_path / "raw", tmp_path / "c.zarr", f"{root}/c.zarr"
    put_many(raw)
    local = ingest_source(NpzFolder(raw), here, unit_slices=4)
    assert ingest_source(NpzFolder(raw), there, unit_slices=4) == local
    assert contents(ObjectStore(there)) == contents(LocalStore(here))
    assert Catalog.open(there).fingerprint == Catalog.open(here).fingerprint
    wanted = refs(here)
    for ours, theirs in zip(read_slices(here, wanted), read_slices(there, wanted), strict=True):
        assert np.array_equal(ours.image, theirs.image)
        assert np.array_equal(ours.labels, theirs.labels)
    again = ingest_source(NpzFolder(raw), there, unit_slices=4)
    assert (again.stored, again.unchanged) == (0, local.stored)


def test_changed_files_replace_their_arrays(tmp_path: Path, root: str) -> None:
    raw, here, there = tmp_path / "raw", tmp_path / "c.zarr", f"{root}/c.zarr"
    for seed in (1, 2):
        put(raw, volume("a", seed=seed))
        put(raw, picture("p", seed=seed))
        put(raw, picture("q", seed=1))
        for out in (here, there):
            report = ingest_source(NpzFolder(raw), out)
    assert report.rebuilt == 3  # the picture's neighbour shares its array
    assert contents(ObjectStore(there)) == contents(LocalStore(here))


def test_plain_zarr_opens_it(root: str, tmp_path: Path) -> None:
    ingest_cases(info(), [volume("a")], f"{root}/c.zarr")
    store = zarr.storage.ObjectStore(ObjectStore(f"{root}/c.zarr").client)
    group = zarr.open_group(store, mode="r")
    assert np.array_equal(group["ds/a/image"][...], volume("a").image)


def test_a_lost_shard_is_no_background(root: str) -> None:
    out = f"{root}/c.zarr"
    ingest_cases(info(), [volume("a")], out)
    ObjectStore(out).delete("ds/a/labels/c/0/0/0/0")
    wanted = refs(out)
    with pytest.raises(CorruptDataError, match="no such file"):
        read_slices(out, wanted)


def test_raw_files_in_a_bucket(tmp_path: Path, root: str) -> None:
    raw = tmp_path / "raw"
    for name in ("p1", "p2"):
        image = np.arange(4 * 5 * 3, dtype=np.int16).reshape(4, 5, 3) + len(name)
        labels = np.zeros((4, 5, 3), np.uint8)
        labels[1:3, 1:4, :2] = 1
        nifti(raw / f"images/{name}.nii.gz", image)
        nifti(raw / f"labels/{name}.nii.gz", labels)
    upload(raw, f"{root}/raw")
    about = recipe(
        series(
            "images/{case}.nii.gz",
            {"file": "labels/{case}.nii.gz", "kind": "mask", "structure": "s"},
        )
    )
    local = ingest(about, raw, tmp_path / "c.zarr")
    remote = ingest(about, f"{root}/raw", f"{root}/c.zarr")
    assert (local.stored, remote) == (2, local)
    here, there = tables(tmp_path / "c.zarr"), tables(f"{root}/c.zarr")
    assert here == there
    folder = RemoteFolder(f"{root}/raw")
    assert (folder.names(""), folder.is_folder("images"), folder.is_file("images")) == (
        ["images", "labels"], True, False,
    )  # fmt: skip


def test_every_file_is_fetched_once_and_room_is_made(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(root)
    for name in ("shared", "a", "b", "c"):
        store.put(name, name.encode() * 10)
    fetched: list[str] = []
    real = ObjectStore.fetch
    monkeypatch.setattr(
        ObjectStore, "fetch", lambda self, name: fetched.append(name) or real(self, name)
    )
    monkeypatch.setattr(raw_folder, "SCRATCH_BYTES", 75)
    folder = RemoteFolder(root)
    for name in ("a", "b", "c"):
        for _ in range(2):
            with folder.local([name, "shared", "gone"]) as here:
                assert (here / name).read_bytes() == name.encode() * 10
                assert (here / "shared").is_file()
                assert not (here / "gone").exists()
    assert [name for name in fetched if name != "gone"] == ["a", "shared", "b", "c"]
    assert sorted(path.name for path in here.iterdir()) == ["c", "shared"]


def test_unchanged_raw_files_are_not_fetched_again(
    tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw"
    nifti(raw / "i/a.nii.gz", np.ones((4, 5, 3), np.int16))
    nifti(raw / "l/a.nii.gz", np.ones((4, 5, 3), np.uint8))
    upload(raw, f"{root}/raw")
    about = recipe(
        series("i/{case}.nii.gz", {"file": "l/{case}.nii.gz", "kind": "mask", "structure": "s"})
    )
    out = tmp_path / "c.zarr"
    assert ingest(about, f"{root}/raw", out).stored == 1
    fetched: list[str] = []
    real = ObjectStore.get

    def get(self: ObjectStore, name: str) -> bytes:
        fetched.append(name)
        return real(self, name)

    monkeypatch.setattr(ObjectStore, "get", get)
    assert ingest(about, f"{root}/raw", out).unchanged == 1
    assert fetched == []
    nifti(raw / "l/a.nii.gz", np.pad(np.ones((3, 5, 3), np.uint8), ((1, 0), (0, 0), (0, 0))))
    upload(raw, f"{root}/raw")
    assert ingest(about, f"{root}/raw", out).rebuilt == 1
    assert fetched


def test_two_ingests_of_one_address(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(f"{root}/c.zarr")
    monkeypatch.setattr(lock, "LEASE_S", 1.0)
    with collection_lock(store), pytest.raises(UserError, match="another ingest") as caught:
        ingest_cases(info(), [volume("a")], f"{root}/c.zarr")
    assert f"process {os.getpid()} on" in str(caught.value.got)
    assert ingest_cases(info(), [volume("a")], f"{root}/c.zarr").stored == 1


def test_the_lease_of_a_killed_ingest_expires(root: str) -> None:
    store = ObjectStore(f"{root}/c.zarr")
    store.put("catalog/.lock", Holder(1, "gone", 1, "2026", ttl_s=1.0).to_bytes())
    assert ingest_cases(info(), [volume("a")], f"{root}/c.zarr").stored == 1


def test_changed_objects_are_read_anew_by_a_worker_that_knew_them(root: str) -> None:
    """What a fetched file is said to be belongs to its bytes: a stale copy under a new tag would
    be taken for unchanged ever after."""
    store, source = ObjectStore(root), RemoteFolder(root)
    worker = pickle.loads(pickle.dumps(source))
    for text in (b"old", b"new"):
        store.put("a/b/c/x", text)
        with worker.local(["a/b/c/x"]) as here:
            assert (here / "a/b/c/x").read_bytes() == text
        assert worker.sha256("a/b/c/x") == hashlib.sha256(text).hexdigest()
        assert worker.version("a/b/c/x") == store.fetch("a/b/c/x")[1]
    store.put("a/b/c/x", b"newest")  # after it was read: the tag stays that of the bytes
    assert worker.version("a/b/c/x") != store.fetch("a/b/c/x")[1]
    assert worker is pickle.loads(pickle.dumps(source))
    assert source.names("a/b") == ["c"]
    scratch = here
    assert scratch.is_dir()
    del source
    gc.collect()
    assert not scratch.exists()


def test_a_case_with_more_bytes_than_the_scratch_keeps(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_folder, "SCRATCH_BYTES", 0)
    store = ObjectStore(root)
    for name in "abc":
        store.put(name, name.encode())
    with RemoteFolder(root).local(["a", "b", "c"]) as here:
        assert sorted(path.name for path in here.iterdir()) == ["a", "b", "c"]


def test_what_consoles_leave_for_a_folder_is_nothing(root: str) -> None:
    ObjectStore(root).client.put("c.zarr/", b"")
    assert ingest_cases(info(), [volume("a")], f"{root}/c.zarr").stored == 1


def test_more_objects_than_a_page_holds_are_listed_and_removed(root: str) -> None:
    store = ObjectStore(root)
    for n in range(1100):
        store.client.put(f"a/{n}", b"")
    store.put("ab", b"")
    assert len(list(store.walk("a"))) == 1100
    store.remove("a")
    assert [found["path"] for found in store.walk("")] == ["ab"]


def test_a_backslash_in_a_name(root: str, tmp_path: Path) -> None:
    for out in (f"{root}/c.zarr", tmp_path / "c.zarr"):
        ingest_cases(info(), [volume("a\\b")], out)
        assert len(read_slices(out, refs(out))) == 5


def test_an_upload_that_ends_early_opens_nowhere(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group's own file is the last."""
    names: list[str] = []
    real = ObjectStore.put

    def put(self: ObjectStore, name: str, data: bytes) -> None:
        names.append(name)
        real(self, name, data)

    monkeypatch.setattr(ObjectStore, "put", put)
    ingest_cases(info(), [volume("a")], f"{root}/c.zarr")
    of_it = [name for name in names if name.startswith("ds/a/")]
    assert of_it[-1] == "ds/a/zarr.json"
    assert len(of_it) == 5


def test_a_holder_that_slept_over_its_lease_changes_nothing(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended, overtaken, awake again: it must not write beside the new holder."""
    out = f"{root}/c.zarr"
    ingest_cases(info(), [volume("a")], out)
    before = contents(ObjectStore(out))
    monkeypatch.setattr(locks.Lease, "_renew", lambda self: None)
    another = Holder(2, "host", 1, "2026", ttl_s=60.0).to_bytes()

    class Slow(NpzFolder):
        def read(self, raw: Npz) -> list[CuratedCase]:  # type: ignore[override]
            ObjectStore(out).put("catalog/.lock", another)
            monkeypatch.setattr(locks, "TRUSTED", 0.0)  # time to renew it
            return super().read(raw)

    raw = tmp_path / "raw"
    put(raw, volume("b"))
    with pytest.raises(UserError, match="changed hands"):
        ingest_source(Slow(raw), out)
    after = contents(ObjectStore(out))
    assert {n: d for n, d in after.items() if not n.startswith("ds/b")} == before
    assert ObjectStore(out).get("catalog/.lock") == another


def test_an_ingest_that_lost_its_lease_says_so(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_S", 0.3)
    store = ObjectStore(f"{root}/c.zarr")

    def work() -> None:
        with collection_lock(store):
            store.put("catalog/.lock", b"somebody else's")
            time.sleep(0.5)

    with pytest.raises(UserError, match="changed hands"):
        work()
    assert store.get("catalog/.lock") == b"somebody else's"


def test_an_address_without_a_collection(root: str) -> None:
    with pytest.raises(UserError, match="no collection here"):
        Catalog.open(f"{root}/nothing.zarr")
    ObjectStore(root).put("other/thesis.docx", b"x")
    with pytest.raises(UserError, match="not a collection"):
        ingest_cases(info(), [volume("a")], f"{root}/other")
    for address in ("nosuchscheme://bucket/c.zarr", "http://127.0.0.1:1/c.zarr"):
        with pytest.raises(UserError, match="cannot be opened"):
            Catalog.open(address)


@pytest.mark.parametrize("act", [
    lambda place: Catalog.open(place),
    lambda place: ingest_cases(info(), [volume("a")], place),
    lambda place: ingest("acdc", place, "unused.zarr"),
])  # fmt: skip
def test_a_bucket_that_is_not_there_is_a_persons_mistake(
    bucket: str, act: Callable[[str], object]
) -> None:
    with pytest.raises(UserError, match="does not answer"):
        act("s3://no-such-bucket/c.zarr")


def test_a_server_that_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="does not answer"):
        Catalog.open("s3://bucket/c.zarr")


def test_what_needs_a_local_folder_says_so() -> None:
    assert local_folder("a/b") == Path("a/b")
    with pytest.raises(UserError, match="a folder on a local disk"):
        local_folder("s3://bucket/export")
