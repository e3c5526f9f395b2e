"""Each entry of the table of bad input, from raw files to the collection, and what was touched."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_entry import (
    ANY_PIXELS,
    GOOD,
    Accepted,
    Entry,
    LeftOut,
    PassedOver,
    Pixels,
    Refused,
    Site,
    Stops,
)
from bad_inputs import ENTRIES, GROUPS, page
from bad_kits import GREY, MAP, PICTURE, VOLUME, put_volume, save
from stored_makers import refs, tables, tree, verify

from engine.collection.ingest import ingest
from engine.collection.readers import limits
from engine.collection.readers.base import PLAIN, How, RawImage
from engine.collection.readers.raster import RASTER
from engine.collection.reading import read_slices
from engine.collection.report import IngestEvent, IngestReport
from engine.errors import UserError
from engine.identity import case_id

_DOCS = Path(__file__).parents[2] / "docs" / "bad_input.md"
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod",
            "os.truncate", "os.utime", "shutil.rmtree")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Watch:
    """What this process opens and changes while `on`: hooks cannot be taken away again."""

    def __init__(self) -> None:
        self.on = False
        self.read: set[str] = set()
        self.written: set[str] = set()
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on or not args or not isinstance(args[0], str | bytes | os.PathLike):
            return
        if event == "open":
            path = os.path.abspath(os.fsdecode(args[0]))
            (self.written if args[2] & _WRITING else self.read).add(path)
        elif event in _CHANGES:
            paths = [arg for arg in args[:2] if isinstance(arg, str | bytes | os.PathLike)]
            folder = next((arg for arg in args[1:] if isinstance(arg, int) and arg > 2), None)
            below = event in ("os.remove", "os.rmdir") and folder is not None
            base = os.readlink(f"/proc/self/fd/{folder}") if below else os.getcwd()
            self.written |= {os.path.join(base, os.fsdecode(path)) for path in paths}

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.read, self.written, self.on = set(), set(), True
        try:
            yield
        finally:
            self.on = False


WATCH = _Watch()


@contextmanager
def opened_below(folder: Path) -> Iterator[set[str]]:
    """Names of files in a folder that anybody opens, libraries in C included (Linux: inotify)."""
    names: set[str] = set()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        yield names
        return
    handle = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(handle, os.fsencode(folder), 0x21)  # IN_ACCESS | IN_OPEN
    try:
        yield names
        try:
            events = os.read(handle, 2**16)
        except BlockingIOError:
            events = b""
        while events:
            _, mask, _, length = struct.unpack_from("iIII", events)
            if not mask & 0x40000000:  # a folder was listed
                names.add(os.fsdecode(events[16 : 16 + length].rstrip(b"\0")))
            events = events[16 + length :]
    finally:
        os.close(handle)


def _snapshot(*folders: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for folder in folders:
        for parent, below, files in os.walk(folder):
            for name in ("", *below, *files):
                status = os.lstat(os.path.join(parent, name))
                found[os.path.join(parent, name)] = (
                    status.st_mode, 0 if name in below else status.st_size, status.st_mtime_ns
                )  # fmt: skip
    return found


def _lay_out(entry: Entry, folder: Path) -> Site:
    raw, outside = folder / "raw", folder / "outside"
    raw.mkdir()
    outside.mkdir()
    save(outside / "secret.png", GREY)
    save(outside / "secret_mask.png", MAP)
    put_volume(outside / "secret.nii.gz", VOLUME)
    (outside / "secret.raw").write_bytes(VOLUME.tobytes())
    if not entry.alone:
        entry.kit.write(raw, GOOD)
    for case in entry.cases:
        entry.kit.write(raw, case)
    site = Site(raw, outside, entry.kit, entry.cases[0])
    entry.spoil(site)
    return site


def _ingest(entry: Entry, site: Site, out: Path, *, meddle: bool) -> IngestReport:
    def after(event: IngestEvent) -> None:
        if meddle and event.done == 1 and entry.meddle is not None:
            WATCH.on = False
            entry.meddle(site)
            WATCH.on = True

    watched, WATCH.on = WATCH.on, False
    chosen = entry.kit.recipe if entry.recipe is None else entry.recipe(site)
    WATCH.on = watched
    return ingest(chosen, site.raw, out, on_progress=after)


def _objects(out: Path, dataset: str, case: str) -> dict[str, Any]:
    """structure/instance -> bool[slice, y, x] of a stored case."""
    of_case = refs(out, case_id=case_id(dataset, case))
    found: dict[str, Any] = {}
    rows = tables(out)["objects"]
    for place, (ref, pixels) in enumerate(zip(of_case, read_slices(out, of_case), strict=True)):
        for row in rows:
            if row["slice_id"] == ref.slice_id:
                name = f"{row['structure']}/{row['instance']}"
                empty = np.zeros((len(of_case), ref.height, ref.width), np.bool_)
                mask = found.setdefault(name, empty)
                mask[place] = pixels.labels[row["layer"]] == row["value"]
    return found


def _check_same(found: dict[str, Any], wanted: Any) -> None:
    assert sorted(found) == sorted(wanted)
    for name, mask in wanted.items():
        assert np.array_equal(found[name], mask), name


def _check_image(out: Path, dataset: str, names: Sequence[str], wanted: Pixels) -> None:
    """Every case has these pixels; of several frames of pictures, one each."""
    frames = (
        len(names) == len(wanted) > 1 and len(refs(out, case_id=case_id(dataset, names[0]))) == 1
    )
    for frame, name in enumerate(names):
        of_case = refs(out, case_id=case_id(dataset, name))
        image = np.stack([pixels.image for pixels in read_slices(out, of_case)])
        expected = wanted[[frame]] if frames else wanted
        assert image.dtype == expected.dtype
        assert np.array_equal(image, expected)


def _check_good(entry: Entry, out: Path) -> None:
    names = [GOOD + suffix for suffix in entry.kit.stored_as]
    _check_image(out, entry.dataset, names, entry.kit.image)
    for suffix in entry.kit.stored_as:
        _check_same(_objects(out, entry.dataset, GOOD + suffix), entry.kit.truth)


def _check_outcome(entry: Entry, out: Path, report: IngestReport) -> None:
    found, expected = tables(out), entry.outcome
    rows = [row for row in found["exclusions"] if row["slice_id"] is None]
    names = {row["case"] for row in found["cases"]} - {GOOD + s for s in entry.kit.stored_as}
    if isinstance(expected, Accepted):
        assert not rows, rows[0]["detail"]
        stored = entry.stored or tuple(c + s for c in entry.cases for s in entry.kit.stored_as)
        assert names == set(stored)
        for name in stored:
            wanted = entry.kit.truth if expected.truth is None else expected.truth
            _check_same(_objects(out, entry.dataset, name), wanted)
        if expected.image is not ANY_PIXELS:
            whole = entry.kit.image if expected.image is None else expected.image
            _check_image(out, entry.dataset, stored, whole)
        assert report.exit_code == 0
        return
    assert names == set(entry.stored)
    if isinstance(expected, PassedOver):
        assert not rows, rows[0]["detail"]
        assert report.exit_code == 0
        return
    assert isinstance(expected, Refused | LeftOut)
    assert [row["reason"] for row in rows] == [expected.code], rows and rows[0]["detail"]
    (row,) = rows
    name = entry.refused_as or entry.cases[0]
    assert row["case_id"] == case_id(entry.dataset, name)
    assert row["refused"] == isinstance(expected, Refused) == bool(report.exit_code)
    if isinstance(expected, Refused):
        text = row["detail"]
        assert "unexpected" not in text, text
        assert name in text, text
        assert "\n  got: " in text, text
        assert "\n  expected: " in text or "\n  remedy: " in text, text
        for word in expected.says:
            assert word in text, text


def _check_touched(site: Site, out: Path, opened: set[str]) -> None:
    scratch = [str(out), os.path.realpath(tempfile.gettempdir()) + "/samscope-", "/dev/null"]
    for path in WATCH.written:
        if "/__pycache__/" in path:
            continue  # Python's own: a room that is imported for the first time
        assert path.startswith(tuple(scratch)), f"written: {path}"
    below = str(site.raw.parent)
    allowed = tuple(f"{folder}{os.sep}" for folder in (site.raw, out))
    for path in WATCH.read:
        outside = path.startswith(below + os.sep) and not path.startswith(allowed)
        outside = outside and not path.endswith(".yaml") and path != str(out)
        assert not outside, f"read: {path}"
    assert not WATCH.read & {"/etc/passwd", "/etc/hostname", "/dev/zero"}
    assert not opened


def _run(entry: Entry, site: Site, out: Path) -> None:
    if isinstance(entry.outcome, Stops):
        with pytest.raises(UserError) as error:
            _ingest(entry, site, out, meddle=True)
        for word in entry.outcome.says:
            assert word in str(error.value)
        assert not (out / entry.dataset).exists()
        return
    report = _ingest(entry, site, out, meddle=True)
    if not entry.alone:
        _check_good(entry, out)
    if entry.notice is not None:
        assert any(entry.notice in notice for notice in report.notices), report.notices
    _check_outcome(entry, out, report)
    verify(out)
    if entry.meddle is not None:  # found otherwise now: that run is the one to repeat
        report = _ingest(entry, site, out, meddle=False)
    before = tree(out)
    again = _ingest(entry, site, out, meddle=False)
    assert tree(out) == before
    assert (again.stored, again.refused) == (0, report.refused)
    assert again.unchanged == report.stored + report.unchanged


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.timeout(60)
def test_bad_input(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if entry.not_as_root and os.geteuid() == 0:
        pytest.skip("an administrator may read everything")
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nobody pulls the plug here
    if entry.most_bytes is not None:
        monkeypatch.setattr(limits, "MOST_BYTES", entry.most_bytes)
    site = _lay_out(entry, tmp_path)
    out = tmp_path / "c.zarr" if entry.out is None else entry.out(site)
    before = _snapshot(site.outside, site.raw)
    with opened_below(site.outside) as opened, WATCH.watching():
        _run(entry, site, out)
    after = _snapshot(site.outside, site.raw)
    if entry.meddle is None:
        assert after == before
    else:
        inside = str(site.outside)
        assert {k: v for k, v in after.items() if k.startswith(inside)} == {
            k: v for k, v in before.items() if k.startswith(inside)
        }
    assert {p.name for p in tmp_path.iterdir()} <= {"outside", "raw", "c.zarr", "recipe.yaml"}
    _check_touched(site, out, opened)


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checksum would be of other bytes, and the next ingest would find it unchanged."""
    PICTURE.write(tmp_path / "raw", "a")
    read = RASTER.read

    def grow(path: Path, how: How = PLAIN) -> RawImage:
        raw = read(path, how)
        with path.open("ab") as stream:
            stream.write(b"more")
        return raw

    with monkeypatch.context() as patch:
        patch.setattr(RASTER, "read", grow)
        report = ingest(PICTURE.recipe, tmp_path / "raw", tmp_path / "c.zarr")
    (row,) = tables(tmp_path / "c.zarr")["exclusions"]
    assert (report.refused, row["reason"]) == (1, "unreadable_file")
    assert "changed while it was read" in row["detail"]
    assert ingest(PICTURE.recipe, tmp_path / "raw", tmp_path / "c.zarr").stored == 1


def test_the_page_says_what_the_tests_check() -> None:
    remedy = "run `python tests/collection/bad_inputs.py > docs/bad_input.md`"
    assert _DOCS.read_text(encoding="utf-8") == page() + "\n", remedy


def test_entries_are_told_apart_and_many() -> None:
    names = [entry.name for entry in ENTRIES]
    assert sorted(set(names)) == sorted(names)
    assert {entry.group for entry in ENTRIES} == set(GROUPS)
    assert len(ENTRIES) >= 80
