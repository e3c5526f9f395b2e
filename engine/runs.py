"""A run directory: which study and collection it belongs to, and building its database.

Layout: `study.yaml run.json parts/ results-*.duckdb results.duckdb report.html gallery/ run.log
events.jsonl`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

import engine
from engine.analysis.questions import keep_answers
from engine.errors import UserError, text_of
from engine.files import exclusive_lock, is_locked, replace_file
from engine.parity_gate import stored_parity
from engine.plan import algorithm_versions
from engine.planning import Planning, read_study
from engine.results.build import build
from engine.results.parts import PartStore
from engine.results.record import PlanSummary, RunRecord
from engine.stores import Place, place_of
from engine.study import Study

log = logging.getLogger(__name__)

_RECORD = "run.json"
_LEFTOVERS = {"driver.lock", "run.log", "events.jsonl"}
"""What a run that ended before it began may leave in its folder."""


@dataclass(frozen=True)
class RunDir:
    """A run directory and what it remembers beside its parts.

    Attributes:
        path: the directory.
        collection: the collection it evaluates, absolute.
        created: ISO 8601, when the run began.
        wall_s: seconds of evaluation so far, all resumptions together.
    """

    path: Path
    collection: Place
    created: str
    wall_s: float = 0.0

    @classmethod
    def prepare(cls, path: Path, collection: Place) -> RunDir:
        """Make room for a run, or take up the one that is there; nothing is written yet.

        Raises:
            UserError: the folder holds something else, belongs to another collection, or cannot
                be written.
        """
        path, collection = path.resolve(), collection.resolve()
        try:
            path.mkdir(parents=True, exist_ok=True)
            others = {entry.name for entry in path.iterdir()} - _LEFTOVERS
        except OSError as error:
            raise UserError(
                "cannot make the run directory",
                where=str(path),
                got=error.strerror or text_of(error),
                expected="a folder that can be written",
                remedy="choose another --out",
            ) from error
        if not (path / _RECORD).exists():
            if others:
                raise UserError(
                    "this folder holds something else than a run",
                    where=str(path),
                    got=", ".join(sorted(others)[:4]),
                    expected="an empty or new folder, or a run directory",
                    remedy="choose another --out",
                )
            return cls(path, collection, datetime.now(UTC).isoformat(timespec="seconds"))
        run = cls.open(path)
        if run.collection != collection:
            raise UserError(
                "this run directory belongs to another collection",
                where=str(path),
                got=str(collection),
                expected=str(run.collection),
                remedy="choose another --out",
            )
        return run

    def begin(self, study: Study) -> None:
        """Write what the run is about: `study.yaml`, with absolute paths, and `run.json`."""
        text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        known = self.path / "study.yaml"
        if known.exists() and known.read_text(encoding="utf-8") != text:
            log.info(
                "the study changed since the last run here: results.duckdb will hold this one; "
                "what was committed for the other stays in parts/"
            )
        replace_file(known, text.encode())
        self.save()

    @classmethod
    def open(cls, path: Path) -> RunDir:
        """An existing run directory. Raises UserError when it is none."""
        try:
            raw = json.loads((path / _RECORD).read_text())
            return cls(path, place_of(raw["collection"]), str(raw["created"]), float(raw["wall_s"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "this is not a run directory",
                where=str(path),
                got="no readable run.json",
                remedy="name the --out of `samscope evaluate`",
            ) from error

    def save(self) -> None:
        """Write `run.json`."""
        record = {
            "collection": str(self.collection),
            "created": self.created,
            "wall_s": self.wall_s,
        }
        replace_file(self.path / _RECORD, (json.dumps(record, indent=1) + "\n").encode())

    def worked(self, seconds: float) -> RunDir:
        """Remember that evaluation took another `seconds`."""
        run = replace(self, wall_s=self.wall_s + seconds)
        run.save()
        return run

    def study(self) -> Study:
        """The study as it was run last."""
        return read_study(self.path / "study.yaml")


def finalise(run: RunDir, planning: Planning) -> Path:
    """Build and publish the database from what is committed; returns its path."""
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
    summary = PlanSummary(plan.units.table(), objects, planning.exclusions)
    store = PartStore(run.path, algorithm_versions())
    return build(record, summary, planning.catalog, run.path, store=store, finish=keep_answers)


@contextmanager
def log_to_file(run_dir: Path) -> Iterator[None]:
    """Add `run.log` to what the process logs."""
    handler = logging.FileHandler(run_dir / "run.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


@contextmanager
def driver_lock(run_dir: Path) -> Iterator[None]:
    """Hold the run directory; the lock dies with its process.

    Raises:
        UserError: another driver holds it; its process id is named.
    """
    with exclusive_lock(run_dir / "driver.lock") as holder:
        if holder is not None:
            raise UserError(
                "another driver is at work on this run directory",
                where=str(run_dir),
                got=f"lock held by process {holder}",
                remedy="wait until it ends, or choose another --out",
            )
        yield


def driver_at_work(run_dir: Path) -> bool:
    """Whether a driver holds the run directory."""
    return is_locked(run_dir / "driver.lock")
