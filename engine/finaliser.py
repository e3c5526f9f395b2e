"""The finaliser of a run: from what is committed to the published database.

Apart from `runs.py`, so that an evaluator, which knows its run, loads nothing of the analysis.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import engine
from engine.analysis.questions import keep_answers
from engine.parity.gate import stored_parity
from engine.planning.ground import Planning
from engine.planning.plan import algorithm_versions
from engine.results.build import build
from engine.results.parts import PartStore
from engine.results.publish import POINTER, switch
from engine.results.record import PlanSummary, RunRecord
from engine.results.remote import publish_remote, read_pointer
from engine.runs import Hold, RunDir
from engine.stores import ObjectStore, below

log = logging.getLogger(__name__)

_BEFORE = "results-1.duckdb"


def finalise(run: RunDir, planning: Planning, hold: Hold | None = None) -> Path:
    """Build and publish the database from what is committed; returns its path on this disk."""
    hold = hold or Hold()
    plan = planning.plan
    record = RunRecord(
        study=plan.study.model_dump(mode="json"),
        models=[asdict(card) for card in plan.cards.values()],
        numerics={name: plan.numerics.as_record() for name in plan.cards},
        collection_path=str(run.collection),
        collection_sha256=planning.catalog.fingerprint,
        created=run.created,
        samscope_version=engine.__version__,
        algorithm_versions=algorithm_versions(),
        wall_s=run.wall_s,
        parity=[asdict(row) for row in stored_parity(planning, run.path) or ()],
    )
    objects = plan.units.sampled.objects["object_id"]
    admits = (lambda one: plan.answered(one) is not None) if plan.study.mixed_numerics else None
    summary = PlanSummary(plan.units.table(), objects, planning.exclusions, admits)
    parts = PartStore(run.place, algorithm_versions(), hold.check)
    _bring_database(run)
    database = build(record, summary, planning.catalog, run.path, store=parts, finish=keep_answers)
    if run.address is not None:
        hold.check()
        name = publish_remote(database, ObjectStore(run.address), hold.token)
        log.info("%s names %s", below(run.place, POINTER), name)
    return database


def _bring_database(run: RunDir) -> None:
    """The database before, where a build can go on from it: beside the one to be built."""
    if run.address is None or (run.path / POINTER).exists():
        return
    store = ObjectStore(run.address)
    found = read_pointer(store)
    if found is None:
        return
    try:
        store.download(found[0].name, run.path / _BEFORE)
    except FileNotFoundError:
        log.warning("%s is gone: the database is built anew", below(run.place, found[0].name))
        (run.path / _BEFORE).unlink(missing_ok=True)
        return
    switch(run.path, _BEFORE)
