"""The ledger when things go wrong around it: two writers, dead workers, lost files, kills."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from raw_makers import recipe, series
from stored_makers import Npz, NpzFolder, info, picture, put, tables, tree, verify, volume

from engine.cli import run
from engine.collection import ingest as ingest_module
from engine.collection.case import CuratedCase
from engine.collection.commit import Committer
from engine.collection.fragments import Origin
from engine.collection.groups import ImageGroups, Waiting
from engine.collection.ingest import ingest, ingest_source
from engine.collection.place import _STAGING, open_for_writing
from engine.collection.pool import Here, WorkerDiedError
from engine.collection.work import stage_group
from engine.commands import ingest as command
from engine.errors import UserError
from engine.stores import LocalStore


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "c.zarr"


class Killed(BaseException):
    """Nothing may catch it."""


class Counting(Here):
    """Two workers that note how many calls are open, and may die in one of them."""

    size = 2

    def __init__(self, dies_in: Callable[..., Any] | None = None) -> None:
        self.calls: list[str] = []
        self.open = self.most = 0
        self._dies_in = dies_in

    def submit(self, function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
        self.calls.append(function.__name__)
        self.open += 1
        self.most = max(self.most, self.open)

        def job() -> Any:
            self.open -= 1
            if function is self._dies_in:
                raise WorkerDiedError("gone")
            return function(*args)

        return job


def png(path: Path, value: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def test_two_fragments_of_one_array_are_both_made_anew(raw: Path, out: Path) -> None:
    """What two writers at once leave behind heals at the next ingest, whoever came last."""
    put(raw, volume("a"))
    put(raw, volume("b"))
    ingest_source(NpzFolder(raw), out)
    calm = tree(out)
    (own,) = (out / "catalog/fragments/ds").glob("a.*")
    own.with_name("a.000000000000.parquet").write_bytes(own.read_bytes())
    assert len(tables(out)["cases"]) == 3
    report = ingest_source(NpzFolder(raw), out)
    assert (report.rebuilt, report.unchanged) == (1, 1)
    assert tree(out) == calm
    verify(out)


def test_one_case_in_two_groups_is_made_anew(raw: Path, out: Path) -> None:
    for name in "pq":
        put(raw, picture(name))
    ingest_source(NpzFolder(raw), out)
    calm = tree(out)
    put(raw, picture("r"))
    (raw / "p.npz").rename(raw / "p.away")
    other = out.with_name("other.zarr")
    ingest_source(NpzFolder(raw), other)  # q and r, under the very name _16x16_0
    (theirs,) = (other / "catalog/fragments/ds").glob("_16*")
    (raw / "p.away").rename(raw / "p.npz")
    (raw / "r.npz").unlink()
    (out / "catalog/fragments/ds" / theirs.name).write_bytes(theirs.read_bytes())
    ingest_source(NpzFolder(raw), out)
    found = tables(out)
    assert sorted(row["case"] for row in found["cases"]) == ["p", "q"]
    assert {n: d for n, d in tree(out).items() if n in calm} == calm


def test_a_label_file_that_finds_another_owner_leaves_the_first(tmp_path: Path, out: Path) -> None:
    """A case made of fewer files than before is not the case that was stored."""
    raw = tmp_path / "raw"
    for name in ("i/a.png", "m/a_liver.png", "m/a_b_liver.png"):
        png(raw / name)
    made = recipe(series("i/{case}.png", {"file": "m/{case}_{structure}.png", "kind": "mask"}))
    ingest(made, raw, out)
    png(raw / "i/a_b.png")
    ingest(made, raw, out)
    fresh = tmp_path / "fresh.zarr"
    ingest(made, raw, fresh)
    assert tables(out)["objects"] == tables(fresh)["objects"]
    assert [(o["slice_id"], o["structure"]) for o in tables(out)["objects"]] == [
        ("made_up/a/00000", "liver"), ("made_up/a_b/00000", "liver"),
    ]  # fmt: skip


def _waiting(name: str, home: str | None) -> Waiting:
    case = picture(name)
    return Waiting(case, Origin(name, 1, f"ds/{name}", ()), home)


def test_groups_get_names_of_their_own(out: Path) -> None:
    """A former name goes to one group only, and a new number is above all that are in use."""
    used = frozenset({"ds/_16x16_0", "ds/_16x16_5", "ds/_8x8_9"})
    committer = Committer(LocalStore(out), "ds", [], used, lambda: None)
    names = [committer.reserve_group([_waiting("a", "ds/_16x16_0")]) for _ in range(2)]
    assert names == ["ds/_16x16_0", "ds/_16x16_6"]
    assert committer.reserve_group([_waiting("b", None)]) == "ds/_16x16_7"
    assert committer.reserve_group([_waiting("c", "ds/_8x8_9")]) == "ds/_16x16_8"


def test_what_a_killed_ingest_left_in_staging_goes(raw: Path, out: Path) -> None:
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    left = out / _STAGING / "half"
    left.mkdir(parents=True)
    with open_for_writing(LocalStore(out)) as desk:
        assert desk.staging is not None
        assert not left.exists()


@pytest.mark.parametrize("name", ["zarr.json", "catalog/zarr.json", "ds/zarr.json"])
def test_group_files_that_lost_their_content_are_written_again(
    raw: Path, out: Path, name: str
) -> None:
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    before = tree(out)
    (out / name).write_bytes(b"")
    assert ingest_source(NpzFolder(raw), out).unchanged == 1
    assert tree(out) == before


def test_another_layout_is_not_written(raw: Path, out: Path) -> None:
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    root = json.loads((out / "zarr.json").read_text())
    root["attributes"]["samscope_layout"] = 1
    (out / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(UserError, match="layout this version cannot write"):
        ingest_source(NpzFolder(raw), out)


def test_a_worker_that_dies_over_a_group_is_replaced(raw: Path, out: Path) -> None:
    for name in "pqr":
        put(raw, picture(name))
    pool = Counting(dies_in=stage_group)
    assert ingest_source(NpzFolder(raw), out, pool=pool).stored == 3
    assert "stage_group" in pool.calls
    verify(out)


def test_an_old_group_stays_until_the_new_one_is_ready(
    raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before: the old one is there, under its name, and the next ingest keeps its units."""
    for name in "pqr":
        put(raw, picture(name))
    calm = out.with_name("calm.zarr")
    for place in (out, calm):
        ingest_source(NpzFolder(raw), place)
    before = tree(out)
    put(raw, picture("q", seed=5))
    ingest_source(NpzFolder(raw), calm)

    def killed(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "stage_group", killed)
        with pytest.raises(Killed):
            ingest_source(NpzFolder(raw), out)
    assert tree(out) == before
    ingest_source(NpzFolder(raw), out)
    assert tree(out) == tree(calm)


def test_cases_that_will_leave_with_their_group_are_named_before(
    raw: Path, out: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "pq":
        put(raw, picture(name))
    ingest_source(NpzFolder(raw), out)
    (raw / "p.npz").unlink()
    put(raw, picture("q", seed=5))

    def killed(*args: Any) -> None:
        raise Killed

    monkeypatch.setattr(LocalStore, "place", killed)
    with pytest.raises(Killed):
        ingest_source(NpzFolder(raw), out)
    assert "not in the raw folder now: p" in caplog.text


def test_the_fragment_goes_before_its_array(
    raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is gone for good by then: an array without a fragment does not exist."""
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    put(raw, volume("a", seed=3))
    done: list[tuple[str, str]] = []
    for what in ("delete", "sync", "remove", "place", "put"):
        real = getattr(LocalStore, what)

        def noted(self: Any, *args: Any, _real: Any = real, _what: str = what) -> Any:
            name = next(arg for arg in args if isinstance(arg, str))
            if name.startswith(("ds/a", "catalog/fragments/ds/a")):
                done.append((_what, name.partition(".")[0]))
            return _real(self, *args)

        monkeypatch.setattr(LocalStore, what, noted)
    ingest_source(NpzFolder(raw), out)
    fragment = "catalog/fragments/ds/a"
    assert done == [
        ("delete", fragment), ("sync", fragment), ("remove", "ds/a"), ("place", "ds/a"),
        ("put", fragment),
    ]  # fmt: skip


def test_a_folder_that_somebody_put_there_is_not_overwritten(raw: Path, out: Path) -> None:
    put(raw, volume("a"))

    class Meddled(NpzFolder):
        def read(self, raw_case: Npz) -> list[CuratedCase]:  # type: ignore[override]
            (out / "ds/a").mkdir()
            (out / "ds/a/zarr.json").write_text("{}")
            return super().read(raw_case)

    report = ingest_source(Meddled(raw), out)
    assert (report.stored, report.refused) == (0, 1)
    (row,) = [r for r in tables(out)["exclusions"] if not r["slice_id"]]
    assert "folder of the case is taken" in row["detail"]


def test_what_killed_writers_left_is_swept_away(raw: Path, out: Path) -> None:
    put(raw, volume("a"))
    ingest_source(NpzFolder(raw), out)
    before = tree(out)
    left = [
        "ds/.b.removed/x", "catalog/.staging/half/x", f"catalog/.{'0' * 16}.tmp",
        f"catalog/fragments/ds/.{'0' * 16}.tmp", "ds/unledgered/zarr.json",
    ]  # fmt: skip
    for name in left:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("x")
    ingest_source(NpzFolder(raw), out)
    assert tree(out) == before
    assert not (out / "ds/.b.removed").exists()
    assert not (out / "catalog/.staging").exists()


def test_the_array_of_a_refused_case_is_not_kept_till_the_end(raw: Path, out: Path) -> None:
    """Its staged folder goes with it: a thousand refused cases must not fill the disk."""
    raw.mkdir()
    frames = [volume("x", seed=seed) for seed in (1, 2)]
    np.savez(raw / "time_a.npz", image=np.stack([f.image for f in frames]),
             labels=np.stack([f.labels for f in frames], axis=1))  # fmt: skip
    put(raw, volume("u_t001"))
    put(raw, volume("z"))
    staged: list[int] = []

    class Claims(NpzFolder):
        def read(self, raw_case: Npz) -> list[CuratedCase]:  # type: ignore[override]
            staged.append(len(list((out / "catalog/.staging").iterdir())))
            case = "time_a_t001" if raw_case.case == "u_t001" else raw_case.case
            cases = super().read(raw_case)
            return [type(c)(**{**c.__dict__, "case": case}) if case != raw_case.case else c
                    for c in cases]  # fmt: skip

    report = ingest_source(Claims(raw), out)
    assert (report.stored, report.refused) == (2, 1)
    assert staged == [0, 0, 0]


def test_an_unlabelled_case_that_is_gone_leaves_the_exclusions(raw: Path, out: Path) -> None:
    bare = volume("a")
    bare.labels[...] = 0
    put(raw, bare)
    put(raw, volume("b"))
    ingest_source(NpzFolder(raw), out)
    assert "ds/a" in {row["case_id"] for row in tables(out)["exclusions"]}
    (raw / "a.npz").unlink()
    ingest_source(NpzFolder(raw), out)
    assert "ds/a" not in {row["case_id"] for row in tables(out)["exclusions"]}


def test_workers_have_a_bounded_number_of_tasks_in_hand(
    raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "TASK_BYTES", 0)
    monkeypatch.setattr(ingest_module, "ImageGroups", partial(ImageGroups, size=2))
    for n in range(24):
        put(raw, picture(f"{n:02d}"))
    pool = Counting()
    ingest_source(NpzFolder(raw), out, pool=pool)
    assert (pool.calls.count("curate_cases"), pool.calls.count("stage_group")) == (24, 12)
    assert pool.most <= 2 * pool.size + 1 + pool.size + 1


def test_small_cases_share_a_task_up_to_a_number_and_a_size(
    raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        put(raw, volume(f"{n:02d}"))
    for most_bytes, tasks in ((2**30, 3), (1, 40)):
        monkeypatch.setattr(ingest_module, "TASK_BYTES", most_bytes)
        pool = Counting()
        ingest_source(NpzFolder(raw), out.with_name(f"{tasks}.zarr"), pool=pool)
        assert pool.calls.count("curate_cases") == tasks


def test_two_pictures_of_one_name(raw: Path, out: Path) -> None:
    put(raw, picture("p"))
    put(raw, picture("q", seed=3))

    class Same(NpzFolder):
        def read(self, raw_case: Npz) -> list[CuratedCase]:  # type: ignore[override]
            return [type(c)(**{**c.__dict__, "case": "p"}) for c in super().read(raw_case)]

    report = ingest_source(Same(raw), out)
    assert (report.stored, report.refused) == (1, 1)
    assert [row["case"] for row in tables(out)["cases"]] == ["p"]
    verify(out)


def test_the_command_says_by_its_code_that_a_case_was_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    png(raw / "images/a.png")
    png(raw / "images/b.png")
    png(raw / "masks/a.png")
    (tmp_path / "r.yaml").write_text(
        "dataset: d\ntitle: t\nlicence: l\nsource: s\nseries:\n"
        "  - images: images/{case}.png\n    modality: CT\n"
        "    labels: [{file: 'masks/{case}.png', kind: mask, structure: liver}]\n"
    )
    line = ["ingest", str(tmp_path / "r.yaml"), str(raw), "--out", str(tmp_path / "c.zarr")]
    assert run(line) == 1
    png(raw / "masks/b.png")
    assert run(line) == 0


@pytest.mark.parametrize(("small", "workers", "asked"), [
    (2**28, None, False), (0, None, True), (0, 1, False), (2**28, 2, True),
])  # fmt: skip
def test_ray_is_asked_for_by_size_or_by_number(
    raw: Path, monkeypatch: pytest.MonkeyPatch, small: int, workers: int | None, asked: bool
) -> None:
    put(raw, volume("a"))
    monkeypatch.setattr(command, "SMALL_BYTES", small)
    with command._pool(NpzFolder(raw, info()), workers, None) as pool:
        assert isinstance(pool, Here) is not asked
