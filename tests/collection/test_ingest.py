"""Ingest: idempotence, changed and bad files, several datasets, locks and places."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from stored_makers import (
    NpzFolder,
    case_of,
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

from engine.collection import groups
from engine.collection.case import Label
from engine.collection.fragments import Origin
from engine.collection.groups import ImageGroups, Waiting
from engine.collection.ingest import ingest_cases, ingest_source
from engine.collection.lock import collection_lock
from engine.collection.report import IngestEvent
from engine.errors import UserError
from engine.stores import LocalStore


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "c.zarr"


def test_counts_and_groups(raw: Path, out: Path) -> None:
    put_many(raw)
    events: list[IngestEvent] = []
    report = ingest_source(NpzFolder(raw), out, unit_slices=4, on_progress=events.append)
    assert (report.stored, report.unchanged, report.refused, report.exit_code) == (42, 0, 0, 0)
    assert report.slices == 3 + 4 + 5 + 38 + 9
    assert report.objects == 2 + 3 + 4 + 38 + 6
    assert [event.done for event in events] == list(range(1, 43))
    assert {event.total for event in events} == {42}
    paths = {row["array_path"] for row in tables(out)["slices"]}
    assert paths == {
        "ds/_16x16_0", "ds/_24x24_0", "ds/vol0", "ds/vol1", "ds/vol2",
        "ds/time_a_t000", "ds/time_a_t001", "ds/time_a_t002",
    }  # fmt: skip
    assert verify(out) == len(tables(out)["units"])
    times = [row for row in tables(out)["cases"] if "time_a" in row["case"]]
    assert [row["source_files"] for row in times] == [["time_a.npz"]] * 3


def test_images_leave_in_closed_groups_of_32(raw: Path, out: Path) -> None:
    for i in range(70):
        put(raw, picture(f"{i:03d}", seed=i))
    ingest_source(NpzFolder(raw), out)
    found = tables(out)
    sizes = {
        f"ds/_16x16_{k}": sum(row["array_path"] == f"ds/_16x16_{k}" for row in found["slices"])
        for k in range(3)
    }
    assert sizes == {"ds/_16x16_0": 32, "ds/_16x16_1": 32, "ds/_16x16_2": 6}
    assert sorted(row["n_slices"] for row in found["units"]) == [6, 32, 32]
    put(raw, picture("070"))
    before = tree(out / "ds")
    ingest_source(NpzFolder(raw), out)
    after = tree(out / "ds")
    assert before.items() <= after.items()  # the closed group of 6 stays; the new image opens one
    assert {row["array_path"] for row in tables(out)["slices"]} == {*sizes, "ds/_16x16_3"}


def test_again_changes_nothing(raw: Path, out: Path) -> None:
    put_many(raw)
    ingest_source(NpzFolder(raw), out)
    before = tree(out)
    times = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file() and "ds" in p.parts}
    source = NpzFolder(raw)
    report = ingest_source(source, out)
    assert (report.stored, report.unchanged, report.slices) == (0, 42, 0)
    assert source.reads == []
    assert tree(out) == before
    for path, time in times.items():
        if "fragments" not in path.parts:
            assert path.stat().st_mtime_ns == time


def test_new_files_make_new_units_and_touch_nothing_else(raw: Path, out: Path) -> None:
    put(raw, volume("b"))
    ingest_source(NpzFolder(raw), out)
    old, files = tables(out), tree(out / "ds")
    put(raw, volume("a", n=4))
    report = ingest_source(NpzFolder(raw), out)
    assert (report.stored, report.unchanged) == (1, 1)
    new = tables(out)
    for name in ("cases", "slices", "objects", "units"):
        assert [row for row in new[name] if row in old[name]] == old[name]
        assert len(new[name]) > len(old[name])
    assert files.items() <= tree(out / "ds").items()


def test_changed_volume_is_rebuilt(raw: Path, out: Path, tmp_path: Path) -> None:
    put(raw, volume("a"))
    put(raw, volume("b", n=6))
    ingest_source(NpzFolder(raw), out)
    put(raw, volume("b", n=4, seed=9))
    report = ingest_source(NpzFolder(raw), out)
    assert (report.stored, report.rebuilt, report.unchanged) == (1, 1, 1)
    ingest_source(NpzFolder(raw), tmp_path / "fresh.zarr")
    assert tree(out) == tree(tmp_path / "fresh.zarr")


def test_changed_image_rebuilds_its_group_as_it_was(raw: Path, out: Path) -> None:
    for i in range(40):
        put(raw, picture(f"{i:03d}", seed=i))
    ingest_source(NpzFolder(raw), out)
    old = tables(out)
    put(raw, picture("020", seed=99))
    put(raw, picture("005a", seed=1))  # a new file in the middle opens a new group
    report = ingest_source(NpzFolder(raw), out)
    assert (report.rebuilt, report.stored, report.unchanged) == (32, 33, 8)
    new = tables(out)
    verify(out)
    place = {row["slice_id"]: (row["array_path"], row["index"]) for row in new["slices"]}
    assert place.pop("ds/005a/00000") == ("ds/_16x16_2", 0)
    assert place == {r["slice_id"]: (r["array_path"], r["index"]) for r in old["slices"]}
    sums = {row["unit_id"]: row["data_sha256"] for row in old["units"]}
    changed = [r for r in new["units"] if sums.get(r["unit_id"], "new") != r["data_sha256"]]
    assert sorted(row["n_slices"] for row in changed) == [1, 32]


def test_image_that_changed_size_leaves_its_group(raw: Path, out: Path) -> None:
    for i in range(4):
        put(raw, picture(f"{i}", seed=i))
    ingest_source(NpzFolder(raw), out)
    put(raw, picture("2", size=20))
    ingest_source(NpzFolder(raw), out)
    verify(out)
    paths = {row["slice_id"]: row["array_path"] for row in tables(out)["slices"]}
    assert paths == {
        "ds/0/00000": "ds/_16x16_0", "ds/1/00000": "ds/_16x16_0",
        "ds/2/00000": "ds/_20x20_0", "ds/3/00000": "ds/_16x16_0",
    }  # fmt: skip


def test_recipe_content_rebuilds_all_but_a_title_does_not(raw: Path, out: Path) -> None:
    put_many(raw)
    ingest_source(NpzFolder(raw), out)
    report = ingest_source(NpzFolder(raw, info(title="New", recipe_sha256="r2")), out)
    assert (report.rebuilt, report.unchanged) == (0, 42)
    assert tables(out)["datasets"][0]["title"] == "New"
    report = ingest_source(NpzFolder(raw, info(content="c2")), out)
    assert (report.rebuilt, report.unchanged) == (42, 0)
    verify(out)
    assert len(tables(out)["datasets"]) == 1


def test_a_case_the_recipe_now_skips_leaves(raw: Path, out: Path) -> None:
    for i in range(4):
        put(raw, picture(f"{i}", seed=i))
    put(raw, volume("v"))
    ingest_source(NpzFolder(raw), out)
    source = NpzFolder(raw, info(skipped={"2": "blurred", "v": "wrong labels"}))
    report = ingest_source(source, out)
    assert (report.rebuilt, report.excluded, report.refused) == (3, 2, 0)
    found = tables(out)
    assert [row["case"] for row in found["cases"]] == ["0", "1", "3"]
    rows = [(r["case_id"], r["reason"], r["detail"], r["refused"]) for r in found["exclusions"]]
    assert rows == [
        ("ds/2", "recipe_skip", "blurred", False), ("ds/v", "recipe_skip", "wrong labels", False)
    ]  # fmt: skip
    assert not (out / "ds/v").exists()
    verify(out)


def test_bad_cases_are_rows_and_the_others_go_on(
    raw: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(raw, volume("a"))
    np.savez(raw / "b.npz", refuse="geometry_mismatch")
    np.savez(raw / "c.npz", crash=1)
    nan = volume("d", dtype="float32")
    nan.image[1, 2, 3] = np.nan
    put(raw, nan)
    (raw / "e.npz").write_bytes(b"not a zip")
    put(raw, volume("f"))
    events: list[IngestEvent] = []
    with caplog.at_level(logging.ERROR):
        report = ingest_source(NpzFolder(raw), out, on_progress=events.append)
    assert (report.stored, report.refused, report.exit_code) == (2, 4, 1)
    assert [e.outcome for e in events] == ["stored", *["refused"] * 4, "stored"]
    rows = {r["case_id"]: r for r in tables(out)["exclusions"] if r["slice_id"] is None}
    assert {key: (row["reason"], row["refused"]) for key, row in rows.items()} == {
        "ds/b": ("geometry_mismatch", True),
        "ds/c": ("unreadable_file", True),
        "ds/d": ("non_finite", True),
        "ds/e": ("unreadable_file", True),
    }
    assert "ZeroDivisionError: a reader has a bug" in rows["ds/c"]["detail"]
    assert "a reader has a bug" in caplog.text
    verify(out)

    put(raw, volume("b"))  # repaired: tried again, its row goes
    source = NpzFolder(raw)
    report = ingest_source(source, out)
    assert (report.stored, report.unchanged, report.refused) == (1, 2, 3)
    assert source.reads == ["b", "c", "d", "e"]
    assert "ds/b" not in {r["case_id"] for r in tables(out)["exclusions"] if r["slice_id"] is None}


def test_stored_case_whose_file_went_bad_leaves(raw: Path, out: Path) -> None:
    put(raw, volume("a"))
    put(raw, volume("b"))
    ingest_source(NpzFolder(raw), out)
    np.savez(raw / "b.npz", refuse="truncated_file")
    assert ingest_source(NpzFolder(raw), out).refused == 1
    assert [row["case"] for row in tables(out)["cases"]] == ["a"]
    assert not (out / "ds/b").exists()


def test_wrongly_curated_cases_are_refused(out: Path) -> None:
    good = volume("x")
    two = np.zeros((1, 2, 4, 4), np.uint8)
    two[0, 0, 0, 0] = 1
    image = np.zeros((2, 4, 4), np.int16)
    cases = {
        "unknown_label_value": case_of("a", image, two, meaning=[Label(0, 2, "s")]),
        "dtype_mismatch": case_of("b", image, two.astype(np.int32)),
        "unsupported_layout": case_of("c", image, two[:, :1], meaning=[Label(0, 1, "s")]),
    }
    report = ingest_cases(info(), [*cases.values(), good], out)
    assert (report.stored, report.refused) == (1, 3)
    rows = {r["case_id"]: r["reason"] for r in tables(out)["exclusions"] if not r["slice_id"]}
    assert rows == {f"ds/{case.case}": code for code, case in cases.items()}
    twice = case_of("t", image, two, meaning=[Label(0, 1, "s"), Label(0, 3, "s")])
    assert ingest_cases(info(), [twice], out).refused == 1


def test_two_cases_of_one_name(out: Path) -> None:
    report = ingest_cases(info(), [volume("a", seed=1), volume("a", seed=2)], out)
    assert (report.stored, report.refused) == (1, 1)
    (row,) = [r for r in tables(out)["exclusions"] if not r["slice_id"]]
    assert "taken" in row["detail"]


def test_case_without_any_label_is_left_out_once(raw: Path, out: Path) -> None:
    bare = volume("a")
    bare.labels[...] = 0
    put(raw, bare)
    frames = np.stack([volume("x").image, volume("y").image])
    labels = np.stack([volume("x").labels, bare.labels], axis=1)
    np.savez(raw / "time_b.npz", image=frames, labels=labels)
    report = ingest_source(NpzFolder(raw), out)
    assert (report.stored, report.excluded, report.exit_code) == (1, 1, 0)
    wanted = [("ds/a", "empty_case", False), ("ds/time_b_t001", "empty_case", False)]

    def left_out() -> list[tuple[str, str, bool]]:
        rows = tables(out)["exclusions"]
        return [(r["case_id"], r["reason"], r["refused"]) for r in rows if not r["slice_id"]]

    assert left_out() == wanted
    source, before = NpzFolder(raw), tree(out)
    report = ingest_source(source, out)
    assert source.reads == []
    assert (report.excluded, report.unchanged) == (1, 1)
    assert (left_out(), tree(out)) == (wanted, before)
    put(raw, volume("a"))
    assert ingest_source(NpzFolder(raw), out).stored == 1
    assert left_out() == wanted[1:]


def test_a_lost_frame_alone_is_made_anew(raw: Path, out: Path) -> None:
    """A fragment may be deleted to have its array made again; its siblings stay."""
    put_many(raw)
    ingest_source(NpzFolder(raw), out)
    before = tree(out)
    (lost,) = (out / "catalog/fragments/ds").glob("time_a_t001.*")
    lost.unlink()
    kept = (out / "ds/time_a_t000/image/zarr.json").stat().st_mtime_ns
    assert ingest_source(NpzFolder(raw), out).slices == 3
    assert (out / "ds/time_a_t000/image/zarr.json").stat().st_mtime_ns == kept
    assert tree(out) == before


def test_files_that_are_gone_keep_their_cases(raw: Path, out: Path) -> None:
    put(raw, volume("a"))
    put(raw, volume("b"))
    ingest_source(NpzFolder(raw), out)
    (raw / "a.npz").unlink()
    report = ingest_source(NpzFolder(raw), out)
    assert [row["case"] for row in tables(out)["cases"]] == ["a", "b"]
    assert "kept: a" in report.notices[0]


def test_a_group_loses_what_is_gone_when_it_is_rebuilt(raw: Path, out: Path) -> None:
    for i in range(3):
        put(raw, picture(f"{i}", seed=i))
    ingest_source(NpzFolder(raw), out)
    (raw / "0.npz").unlink()
    put(raw, picture("1", seed=7))
    report = ingest_source(NpzFolder(raw), out)
    assert [row["case"] for row in tables(out)["cases"]] == ["1", "2"]
    assert "made anew" in report.notices[0]
    assert report.notices[-1].endswith("now: 0")


def test_another_data_set_of_the_same_name_is_refused(raw: Path, out: Path) -> None:
    """An export read back into its own collection would take the original's place."""
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    before = tree(out)
    with pytest.raises(UserError, match="another data set named 'ds'") as caught:
        ingest_source(NpzFolder(raw, info(source="elsewhere", content="c2")), out)
    assert "nowhere" in str(caught.value)
    assert tree(out) == before
    assert ingest_source(NpzFolder(raw, info(source="a better word")), out).unchanged == 1
    assert ingest_source(NpzFolder(raw, info(source="a better word", content="c2")), out).rebuilt


def test_two_rows_of_a_data_set_count_once(raw: Path, out: Path) -> None:
    """Killed between writing the new row and removing the old one."""
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    (old,) = (out / "catalog/fragments/ds").glob("_dataset.*")
    kept = old.read_bytes()
    ingest_source(NpzFolder(raw, info(title="A better title")), out)
    old.write_bytes(kept)
    assert len(tables(out)["datasets"]) == 1
    ingest_source(NpzFolder(raw, info(title="A better title")), out)
    assert len(list((out / "catalog/fragments/ds").glob("_dataset.*"))) == 1


def test_several_datasets_live_together(out: Path) -> None:
    for name in ("ds", "catalog", "d/2"):
        cases = [volume("a", dataset=name), picture("p", dataset=name)]
        ingest_cases(info(name), cases, out)
    before = tree(out / "ds")
    ingest_cases(info("d/2"), [volume("z", dataset="d/2")], out)
    assert tree(out / "ds") == before
    found = tables(out)
    assert [row["dataset"] for row in found["datasets"]] == ["catalog", "d/2", "ds"]
    assert len(found["cases"]) == 7
    verify(out)


def test_second_ingest_is_refused_naming_the_process(out: Path) -> None:
    ingest_cases(info(), [volume("a")], out)
    with collection_lock(LocalStore(out)), pytest.raises(UserError, match=f"process {os.getpid()}"):
        ingest_cases(info(), [volume("b")], out)
    assert ingest_cases(info(), [volume("b")], out).stored == 1


def test_places_that_cannot_be_a_collection(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.docx").write_text("x")
    for place, words in (
        (file, "cannot be a file"),
        (file / "below", "cannot write the collection"),
        (foreign, "not a collection"),
    ):
        with pytest.raises(UserError, match=words):
            ingest_cases(info(), [volume("a")], place)
    assert [p.name for p in foreign.iterdir()] == ["thesis.docx"]
    with pytest.raises(UserError, match="slices per unit"):
        ingest_cases(info(), [volume("a")], tmp_path / "c.zarr", unit_slices=0)


def test_full_disk_stops_with_a_remedy(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest_cases(info(), [volume("a")], out)
    before = tree(out)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left"):
            ingest_cases(info(), [volume("a"), volume("b")], out)
    assert tree(out) == before
    assert ingest_cases(info(), [volume("a"), volume("b")], out).stored == 1


def test_waiting_images_stay_within_the_budget() -> None:
    """Images of ever new sizes must not pile up; the heaviest group leaves first."""
    waiting = ImageGroups(size=3, budget_bytes=4 * 16 * 16 * 4)
    left: list[list[str]] = []
    for i, size in enumerate([16, 8, 16, 8, 16, 16, 16, 24]):
        case = picture(f"{i}", size=size)
        image = Waiting(case, Origin(case.case, 1, f"ds/{case.case}", ()))
        left += [[one.case.case for one in group] for group in waiting.add(image)]
        assert sum(w.raw_bytes for g in waiting._waiting.values() for w in g) <= 4096
    left += [[one.case.case for one in group] for group in waiting.flush()]
    assert left == [["0", "2", "4"], ["7"], ["1", "3"], ["5", "6"]]
    assert groups.PENDING_BYTES < 2**30


def test_units_hold_only_slices_with_objects(out: Path) -> None:
    ingest_cases(info(), [volume("a", n=10)], out, unit_slices=4)
    found = tables(out)
    assert found["slices"][0]["unit_id"] is None
    assert sorted(row["n_slices"] for row in found["units"]) == [3, 3, 3]
    assert [len(refs(out, unit_id=row["unit_id"])) for row in found["units"]] == [3, 3, 3]
