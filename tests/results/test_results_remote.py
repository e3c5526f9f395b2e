"""The ledger and the database of a run in an object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from object_store import answers_lost, serve_s3
from synthetic import Synthetic, make

from engine.errors import CorruptDataError, UserError
from engine.results import remote
from engine.results.build import build
from engine.results.manifest import MANIFESTS
from engine.results.parts import PartStore
from engine.results.publish import POINTER
from engine.results.query import has_database, run_sql
from engine.results.remote import fetch_database, publish_remote, read_pointer
from engine.stores import ObjectStore, Url

ROWS = ("results", "main.overlaps", "failures", "coverage", "objects", "moments")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with serve_s3() as address:
        yield address


@pytest.fixture
def there(
    bucket: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Url:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Url(f"{bucket}/{request.node.name.translate({ord(c): '-' for c in '[]/ '})}")


@pytest.fixture
def here(tmp_path: Path) -> Synthetic:
    return make(tmp_path / "here")


def upload_parts(made: Synthetic, there: Url) -> ObjectStore:
    store = ObjectStore(there)
    for file in (made.run_dir / "parts").rglob("*"):
        if file.is_file():
            store.put(file.relative_to(made.run_dir).as_posix(), file.read_bytes())
    return store


def build_there(made: Synthetic, there: Url, scratch: Path, token: int = 1) -> str:
    database = build(made.run, made.plan, made.catalog, scratch, store=PartStore(there))
    return publish_remote(database, ObjectStore(there), token)


def test_the_tables_are_those_of_a_disk(here: Synthetic, there: Url, tmp_path: Path) -> None:
    upload_parts(here, there)
    assert not has_database(there)
    with pytest.raises(UserError, match="no results database"):
        run_sql(there, "SELECT 1")
    build_there(here, there, tmp_path / "scratch")
    assert has_database(there)
    here.build()
    for rows in ROWS:
        ask = f"FROM {rows} ORDER BY ALL"
        assert run_sql(there, ask).equals(run_sql(here.run_dir, ask)), rows


def test_torn_and_foreign_files_are_noticed(here: Synthetic, there: Url, tmp_path: Path) -> None:
    store = upload_parts(here, there)
    parts = PartStore(there)
    torn, changed, missing, *_ = [m for m in parts.manifests() if m.files]
    store.put(torn.files[0].name, store.get(torn.files[0].name)[:-10])
    data = bytearray(store.get(changed.files[0].name))
    data[len(data) // 2] ^= 1
    store.put(changed.files[0].name, bytes(data))
    store.delete(missing.files[0].name)
    store.put(f"{MANIFESTS}/foreign.json", b"{}")
    build_there(here, there, tmp_path / "scratch")
    aside = {name for name in store.list(MANIFESTS) if name.endswith(".set-aside")}
    assert {name.rsplit(".", 2)[0] for name in aside} == {
        torn.name, changed.name, missing.name, f"{MANIFESTS}/foreign.json",
    }  # fmt: skip
    why = " ".join(json.loads(store.get(name))["reason"] for name in sorted(aside))
    for words in (f"{torn.files[0].bytes - 10} bytes", "has SHA-256", "is missing", "torn or"):
        assert words in why
    committed = {m.cell for m in PartStore(here.run_dir).manifests()}
    left_out = sum(cell.cell not in committed for cell in here.cells)
    pending = run_sql(there, "SELECT count(*) FROM units WHERE state = 'pending'")
    assert pending[0][0].as_py() == 3 + left_out


def commit(made: Synthetic, parts: PartStore) -> bool:
    """One cell of the made-up run, anew."""
    cell = next(cell for cell in made.cells if cell.cell.is_factors)
    return parts.commit(cell.cell, cell.identity, {})


def test_a_lost_answer_loses_no_commit(here: Synthetic, there: Url) -> None:
    with answers_lost(lambda method, path: method == "PUT" and MANIFESTS in path) as lost:
        assert commit(here, PartStore(there)), "it is our own that is there"
        assert lost
        assert not commit(here, PartStore(there)), "another attempt's is not"
    (manifest,) = PartStore(there).manifests()
    assert PartStore(there).problem(manifest) is None


def test_where_no_answer_comes_at_all_the_files_stay(
    here: Synthetic, there: Url, tmp_path: Path
) -> None:
    """The manifest may be there, and then it needs them."""
    made = PartStore(here.run_dir).manifests()
    source = next(m for m in made if m.files and not m.cell.is_factors)
    tables = {f.table: pq.read_table(here.run_dir / f.name) for f in source.files}
    with (
        answers_lost(lambda method, path: MANIFESTS in path),
        pytest.raises(UserError, match="does not answer"),
    ):
        PartStore(there).commit(source.cell, source.identity, tables)
    (manifest,) = PartStore(there).manifests()
    assert PartStore(there).problem(manifest) is None


def test_who_lost_the_run_commits_nothing_and_leaves_nothing(here: Synthetic, there: Url) -> None:
    def refuse() -> None:
        raise UserError("not yours")

    parts = PartStore(there, guard=refuse)
    with pytest.raises(UserError, match="not yours"):
        commit(here, parts)
    assert list(ObjectStore(there).walk("parts")) == []
    upload_parts(here, there)
    victim = next(parts.manifests())
    with pytest.raises(UserError, match="not yours"):
        parts.set_aside(victim, "damaged, as an outdated driver thinks")
    assert ObjectStore(there).size(victim.name) is not None


def test_the_pointer_never_goes_back_to_an_older_driver(there: Url, tmp_path: Path) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"by token 2")
    publish_remote(file, store, 2)
    file.write_bytes(b"by token 1")
    with pytest.raises(UserError, match="a later driver"):
        publish_remote(file, store, 1)
    assert fetch_database(store).read_bytes() == b"by token 2"
    file.write_bytes(b"by token 3")
    publish_remote(file, store, 3)
    assert fetch_database(store).read_bytes() == b"by token 3"


def test_an_older_driver_that_publishes_at_the_same_moment_is_overruled(
    there: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"new")
    real = ObjectStore.upload

    def between(self: ObjectStore, path: Path, name: str) -> None:
        monkeypatch.setattr(ObjectStore, "upload", real)
        old = tmp_path / "old"
        old.write_bytes(b"old")
        publish_remote(old, store, 1)
        real(self, path, name)

    monkeypatch.setattr(ObjectStore, "upload", between)
    publish_remote(file, store, 2)
    assert fetch_database(store).read_bytes() == b"new"


def test_two_databases_stay_and_readers_keep_as_many(there: Url, tmp_path: Path) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    for number in range(4):
        file.write_bytes(f"{number}".encode())
        name = publish_remote(file, store, 1)
        kept = fetch_database(store)
    assert name == "results-1-4.duckdb"
    names = {found["path"] for found in store.walk("")}
    assert names == {POINTER, "results-1-3.duckdb", "results-1-4.duckdb"}
    assert len(list(kept.parent.iterdir())) == 2


def test_a_database_is_fetched_once(
    there: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"x")
    publish_remote(file, store, 1)
    fetched = fetch_database(store)
    monkeypatch.setattr(ObjectStore, "download", None)
    assert fetch_database(store) == fetched


def test_a_database_that_is_not_what_was_published_is_refused(there: Url, tmp_path: Path) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"x")
    name = publish_remote(file, store, 1)
    store.put(name, b"y")
    with pytest.raises(CorruptDataError, match="not the one its pointer describes"):
        fetch_database(store)
    assert list(remote.cache_of(there).iterdir()) == []
    store.delete(name)
    with pytest.raises(CorruptDataError, match="gone"):
        fetch_database(store)


@pytest.mark.parametrize(
    "change", [{"name": "../../secret"}, {"name": "results-1.duckdb"}, {"token": -1}, None]
)
def test_a_pointer_leads_nowhere_else(
    there: Url, tmp_path: Path, change: dict[str, object] | None
) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"x")
    publish_remote(file, store, 1)
    found = read_pointer(store)
    assert found is not None
    bad = b"DUCK" if change is None else json.dumps({**vars(found[0]), **change}).encode()
    store.put(POINTER, bad)
    with pytest.raises(CorruptDataError, match="no pointer"):
        fetch_database(store)


def test_a_cache_that_cannot_be_written_is_told(
    there: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = ObjectStore(there), tmp_path / "database"
    file.write_bytes(b"x")
    publish_remote(file, store, 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    with pytest.raises(UserError, match="cannot be kept here") as caught:
        fetch_database(store)
    assert "XDG_CACHE_HOME" in str(caught.value.remedy)


def test_a_build_goes_on_from_the_database_before(
    here: Synthetic, there: Url, tmp_path: Path
) -> None:
    upload_parts(here, there)
    build_there(here, there, tmp_path / "scratch")
    assert build_there(here, there, tmp_path / "scratch") == "results-1-2.duckdb"
    here.build()
    ask = "FROM results ORDER BY ALL"
    assert run_sql(there, ask).equals(run_sql(here.run_dir, ask))
