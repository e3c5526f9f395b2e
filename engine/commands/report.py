"""`samscope report`: a gallery replayed from the collection, a page built from the database."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from dashboards.gallery import GalleryItem, picture
from dashboards.report import build_report
from engine.analysis.questions import run as ask
from engine.collection.catalog import Catalog
from engine.collection.contract import SliceRef
from engine.collection.reading import read_slices
from engine.collection.sample import sample_units
from engine.commands.moved import run_beside
from engine.commands.say import out, problem
from engine.errors import SamscopeError, UserError, kind_of, system_words
from engine.evaluation.rows import TrialKey
from engine.models.base import Model
from engine.models.numerics import deterministic_cpu, numerics_of
from engine.models.registry import load_model
from engine.replay import Replayer
from engine.results.manifest import slug
from engine.results.publish import POINTER
from engine.results.query import connect, database_of
from engine.runs import RunDir, working_folder
from engine.stores import ObjectStore, Place, below
from engine.study import Study

log = logging.getLogger(__name__)

Pick = Mapping[str, Any]


def report_command(
    run_dir: Place, *, with_gallery: bool = True, collection: Place | None = None
) -> int:
    """Write `RUN_DIR/report.html`; pictures go to `RUN_DIR/gallery/` as well.

    Args:
        collection: where the run's collection lies now; None: where it lay.

    Raises:
        UserError: no run, or not its collection.
    """
    run = run_beside(run_dir, collection)
    if run.address is None:
        out(str(_written(run, with_gallery=with_gallery)))
        return 0
    with working_folder(run):
        (run.path / POINTER).symlink_to(database_of(run.address))
        page = _written(run, with_gallery=with_gallery)
        _send(run.path / "gallery", page, ObjectStore(run.address))
    out(below(run.address, page.name))
    return 0


def _written(run: RunDir, *, with_gallery: bool) -> Path:
    items = list(gallery(run)) if with_gallery else []
    try:
        return build_report(run.path, items)
    except OSError as error:
        raise _unwritable(error, run.path) from error


def _send(gallery: Path, page: Path, store: ObjectStore) -> None:
    """Report and pictures to the store, in place of those of an earlier report."""
    if gallery.is_dir():
        store.remove(gallery.name)
        for picture_file in sorted(gallery.iterdir()):
            store.upload(picture_file, f"{gallery.name}/{picture_file.name}")
    store.upload(page, page.name)


def gallery(run: RunDir) -> Iterator[GalleryItem]:
    """Best, median and worst mask per model and strategy, recomputed and checked.

    A mask that cannot be reproduced is left out with a word on standard error.
    """
    study = run.study()
    picks = _picks(run.path)
    drawn: dict[int, GalleryItem] = {}
    try:
        refs = _slices_of(run, study, {pick["slice_id"] for pick in picks})
    except SamscopeError as error:
        problem(f"the report is written without pictures: {error}")
        problem("if the collection has moved, say where it lies now: --collection PLACE")
        return
    deterministic_cpu()
    models: dict[str, Model] = {}
    for (name, slice_id), places in _by_slice(picks).items():
        try:
            if name not in models:
                models[name] = load_model(study.model(name), "cpu", study.precision)
            replayer = _replayer(run, study, models[name], _found(refs, slice_id, run))
            for place in places:
                drawn[place] = _picture(study, replayer, picks[place])
        except Exception as error:  # whatever a model raises: the report goes on without it
            log.debug("replay failed", exc_info=True)
            why = error if isinstance(error, SamscopeError) else f"{kind_of(error)}: {error}"
            problem(f"not in the gallery: {name} on {slice_id}: {why}")
    _keep(run.path / "gallery", {_file_name(picks[at]): item for at, item in drawn.items()})
    for _, item in sorted(drawn.items()):
        yield item


def _file_name(pick: Pick) -> str:
    """No two picks share it: `+` is in no name."""
    return "+".join(slug(pick[part]) for part in ("model", "strategy", "pick")) + ".png"


def _keep(folder: Path, items: Mapping[str, GalleryItem]) -> None:
    """Write these pictures to `folder`, in place of those of an earlier report."""
    try:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        for name, item in items.items():
            (folder / name).write_bytes(item.data())
    except OSError as error:
        raise _unwritable(error, folder) from error


def _unwritable(error: OSError, where: Path) -> UserError:
    return UserError(
        "cannot write the report",
        where=str(error.filename or where),
        got=system_words(error),
        expected="a run directory that can be written, with room on its disk",
        remedy="make the run directory writable, or copy it to where you may write",
    )


def _picks(run_dir: Path) -> list[Pick]:
    """Rows of the question `gallery` with the stored counts of the mask that was selected."""
    with connect(run_dir) as connection:
        picks: pa.Table = ask(connection, "gallery")
        connection.register("picks", picks)
        rows = connection.sql(
            """SELECT p.*, r.slice_id, r.candidate, r.tp, r.pred_px
               FROM picks p JOIN results r USING (model, strategy, object_id, step)
               WHERE r.jitter_lo = 0 AND r.jitter_hi = 0 AND r.trial = 0
                 AND r.selection = 'predicted_iou'"""
        ).to_arrow_table()
    found: list[Pick] = rows.to_pylist()
    order = {"best": 0, "median": 1, "worst": 2}
    names = picks.column("strategy").unique().to_pylist()
    return sorted(found, key=lambda p: (p["model"], names.index(p["strategy"]), order[p["pick"]]))


def _by_slice(picks: Sequence[Pick]) -> dict[tuple[str, str], list[int]]:
    """Places in `picks` by (model, slice), so that a slice is embedded once per model."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, pick in enumerate(picks):
        groups[pick["model"], pick["slice_id"]].append(place)
    return groups


def _slices_of(run: RunDir, study: Study, wanted: set[str]) -> dict[str, SliceRef]:
    return sample_units(Catalog.open(run.collection), study).units.find(wanted)


def _found(refs: Mapping[str, SliceRef], slice_id: str, run: RunDir) -> SliceRef:
    if slice_id not in refs:
        raise SamscopeError(
            "the collection no longer has this slice",
            where=str(run.collection),
            remedy="ingest its case again, as it was",
        )
    return refs[slice_id]


def _replayer(run: RunDir, study: Study, model: Model, ref: SliceRef) -> Replayer:
    pixels = read_slices(run.collection, [ref])[0]
    return Replayer(study, model, numerics_of("cpu", study.precision), ref, pixels)


def _picture(study: Study, replayer: Replayer, pick: Pick) -> GalleryItem:
    replayed = replayer.replay(
        study.strategy(pick["strategy"]),
        TrialKey(pick["object_id"], 0, step=pick["step"]),
        pick["candidate"],
        tp=pick["tp"],
        pred_px=pick["pred_px"],
    )
    return picture(pick, replayed.image, replayed.truth, replayed.prompt, replayed.mask)
