"""A run directory, or an address: which study and collection it belongs to, and its database.

Layout: `study.yaml run.json parts/ results-*.duckdb results.duckdb report.html gallery/ run.log
events.jsonl`. In an object store `driver.lease` takes the place of `driver.lock`, and
`results.duckdb` names the newest database; `docs/design/remote_runs.md`.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import yaml

from engine.errors import UserError, system_words
from engine.files import exclusive_lock, is_locked
from engine.identity import fingerprint
from engine.locks import LEASE_S, Fence, Lease, held, renewed
from engine.planning.ground import read_study
from engine.results.remote import read_pointer
from engine.stores import ObjectStore, Place, Store, Url, place_of, store_of, without
from engine.study import Study

log = logging.getLogger(__name__)

_RECORD = "run.json"
_STUDY = "study.yaml"
LEASE = "driver.lease"
_LEFTOVERS = {"driver.lock", LEASE, "run.log", "events.jsonl"}
"""What a run that ended before it began may leave in its folder."""


@dataclass(frozen=True)
class RunDir:
    """A run directory and what it remembers beside its parts.

    Attributes:
        path: the directory; of a run in an object store, a local folder for what cannot be made
            there, which may not be there yet.
        collection: the collection it evaluates, absolute.
        created: ISO 8601, when the run began.
        wall_s: seconds of evaluation so far, all resumptions together.
        address: of a run in an object store.
    """

    path: Path
    collection: Place
    created: str
    wall_s: float = 0.0
    address: Url | None = None

    @property
    def place(self) -> Place:
        """Where the run lies."""
        return self.address or self.path

    @property
    def store(self) -> Store:
        """The files of the run, by name."""
        return store_of(self.place)

    def reading(self, collection: Place | None) -> RunDir:
        """The run beside a copy of its collection; None: beside the one it evaluated."""
        return self if collection is None else replace(self, collection=collection)

    @classmethod
    def prepare(cls, place: Place, collection: Place) -> RunDir:
        """Make room for a run, or take up the one that is there; nothing is written yet.

        Raises:
            UserError: the folder holds something else, belongs to another collection, or cannot
                be written.
        """
        place, collection = place.resolve(), collection.resolve()
        names = _made(place) if isinstance(place, Path) else _names(place)
        if _RECORD not in names:
            if others := names - _LEFTOVERS:
                raise UserError(
                    "this folder holds something else than a run",
                    where=str(place),
                    got=", ".join(sorted(others)[:4]),
                    expected="an empty or new folder, or a run directory",
                    remedy="choose another --out",
                )
            now = datetime.now(UTC).isoformat(timespec="seconds")
            run = cls(_folder(place), collection, now, address=_address(place))
        else:
            run = cls.open(place)
        if run.collection != collection:
            raise UserError(
                "this run directory belongs to another collection",
                where=str(place),
                got=str(collection),
                expected=str(run.collection),
                remedy="choose another --out",
            )
        return run

    def begin(self, study: Study) -> None:
        """Write what the run is about: `study.yaml`, with absolute paths, and `run.json`."""
        text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        store = self.store
        if store.size(_STUDY) is not None and store.get(_STUDY) != text.encode():
            log.info(
                "the study changed since the last run here: results.duckdb will hold this one; "
                "what was committed for the other stays in parts/"
            )
        store.put(_STUDY, text.encode())
        self.save()

    @classmethod
    def open(cls, place: Place) -> RunDir:
        """An existing run directory. Raises UserError when it is none."""
        try:
            raw = json.loads(store_of(place).get(_RECORD))
            collection, created = place_of(raw["collection"]), str(raw["created"])
            return cls(_folder(place), collection, created, float(raw["wall_s"]), _address(place))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                "this is not a run directory",
                where=str(place),
                got=without(place, "readable run.json"),
                remedy="name the --out of `samscope evaluate`",
            ) from error

    def save(self) -> None:
        """Write `run.json`."""
        record = {
            "collection": str(self.collection),
            "created": self.created,
            "wall_s": self.wall_s,
        }
        self.store.put(_RECORD, (json.dumps(record, indent=1) + "\n").encode())

    def worked(self, seconds: float) -> RunDir:
        """Remember that evaluation took another `seconds`."""
        run = replace(self, wall_s=self.wall_s + seconds)
        run.save()
        return run

    def study(self) -> Study:
        """The study as it was run last."""
        with self.store.local([_STUDY]) as (path,):
            return read_study(path)


@dataclass(frozen=True)
class Hold:
    """A run that this driver holds.

    Attributes:
        check: raises UserError where it does not hold it any more.
        token: of its lease; higher than those of all drivers before. 0 on a local disk, where the
            lock lasts as long as its process.
    """

    check: Callable[[], None] = lambda: None
    token: int = 0


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
def driver_lock(place: Place, lease_s: float = LEASE_S) -> Iterator[Hold]:
    """Hold the run: by a lock that dies with its process, or by a lease that expires.

    Args:
        lease_s: time-to-live of the lease.

    Raises:
        UserError: another driver holds it; its process is named.
    """
    if isinstance(place, Path):
        with exclusive_lock(place / "driver.lock") as holder:
            if holder is not None:
                raise _taken(place, f"lock held by process {holder}")
            yield Hold()
        return
    store = ObjectStore(place)
    found = read_pointer(store)
    above = 0 if found is None else found[0].token
    with held(Lease(store, LEASE, lambda got: _taken(place, got), lease_s, above)) as lease:
        yield Hold(lease.check, lease.token)


def _taken(place: Place, got: str) -> UserError:
    far = "; the lease of a killed one is taken over" if not isinstance(place, Path) else ""
    return UserError(
        "another driver is at work on this run directory",
        where=str(place),
        got=got,
        remedy=f"wait until it ends, or choose another --out{far}",
    )


def fence_of(place: Place, token: int) -> Callable[[], None]:
    """What a worker asks before it commits to a run."""
    return (
        (lambda: None) if isinstance(place, Path) else Fence(ObjectStore(place), LEASE, token).check
    )


def driver_at_work(place: Place) -> bool:
    """Whether a driver holds the run. In an object store that takes until it shows a sign of life.

    A driver that shows none for half the time-to-live of its lease is taken for dead here; that it
    may be overtaken takes the whole of it.
    """
    if isinstance(place, Path):
        return is_locked(place / "driver.lock")
    return renewed(ObjectStore(place), LEASE)[1]


@contextmanager
def working_folder(run: RunDir) -> Iterator[None]:
    """While a driver is at work on a run in an object store, its local folder is there."""
    if run.address is None:
        yield
        return
    run.path.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(run.path, ignore_errors=True)


def logs_of(place: Place) -> Path:
    """Where a stalled worker leaves its tale: in the run, or on its own machine."""
    if isinstance(place, Path):
        return place / "logs"
    return Path(tempfile.gettempdir()) / f"samscope-logs-{fingerprint([place])[:16]}"


def _made(path: Path) -> set[str]:
    """Make a folder; returns what it holds."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        return {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise UserError(
            "cannot make the run directory",
            where=str(path),
            got=system_words(error),
            expected="a folder that can be written",
            remedy="choose another --out",
        ) from error


def _names(address: Url) -> set[str]:
    store = store_of(address)
    return {*store.list(""), *store.folders("")}


def _address(place: Place) -> Url | None:
    return None if isinstance(place, Path) else place


def _folder(place: Place) -> Path:
    """The run directory; for one in an object store, a new name for a folder of this driver."""
    if isinstance(place, Path):
        return place
    return Path(tempfile.gettempdir()) / f"samscope-run-{secrets.token_hex(8)}"
