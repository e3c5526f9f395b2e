"""Stores keep to their folder, and addresses to what may be printed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from object_store import serve_s3

from engine.cli import MISTAKE, run
from engine.errors import CorruptDataError, SamscopeError, UserError
from engine.stores import LocalStore, ObjectStore, Url, place_of, store_of


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "a/.."])
def test_a_name_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    """Names come from catalogs and manifests, and those from anyone."""
    (tmp_path / "secret").write_text("hush")
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    store = LocalStore(root)
    for verb in (store.get, store.size, store.delete, store.remove, store.location, store.sweep):
        with pytest.raises(CorruptDataError, match="leads out"):
            verb(name)
    for write in (store.put, store.create):
        with pytest.raises(CorruptDataError, match="leads out"):
            write(name, b"x")
    with pytest.raises(CorruptDataError, match="leads out"):
        list(store.list(name))
    assert (tmp_path / "secret").read_text() == "hush"


@pytest.mark.parametrize("name", ["../secret", "/secret", "a/../../secret"])
def test_a_name_never_leads_out_of_its_prefix(name: str) -> None:
    store = ObjectStore("s3://bucket/prefix")  # nothing is asked
    for verb in (store.get, store.size, store.delete, store.remove, store.fetch):
        with pytest.raises(CorruptDataError, match="leads out"):
            verb(name)
    with pytest.raises(CorruptDataError, match="leads out"):
        store.create(name, b"x")


def test_dots_within_a_name_are_a_name(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a..b/..c", b"x")
    assert store.get("a..b/..c") == b"x"


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAEXAMPLE:hushhush@bucket/prefix",
        "az://container/prefix?sv=2024&sig=hushhush",
        "abfss://me:hushhush@account.dfs.core.windows.net/prefix",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(
    address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SamscopeError) as caught:
        place_of(address)
    assert "hush" not in str(caught.value)
    study = tmp_path / "study.yaml"
    assert run(["plan", str(study), "--collection", address]) == MISTAKE
    printed = capsys.readouterr()
    assert "password or a token" in printed.err
    assert "hush" not in printed.out + printed.err


def test_usual_addresses_are_addresses() -> None:
    for address in (
        "s3://bucket/a/b",
        "gs://b",
        "abfss://container@account.dfs.core.windows.net/a",
    ):
        assert place_of(address) == Url(address)


def test_no_key_is_printed_or_logged_when_a_store_fails(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with serve_s3() as bucket:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hush-id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-key")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "hush-token")
        with pytest.raises(UserError) as caught:
            store_of(f"{bucket}-that-is-not-there/prefix").put("name", b"x")
        store = store_of(bucket)
        store.put("name", b"x")
        assert "hush" not in repr(store.__dict__) + repr(store)
    printed = capfd.readouterr()
    assert "hush" not in str(caught.value) + caplog.text + printed.out + printed.err
