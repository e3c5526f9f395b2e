"""A run beside a collection that has moved: the one it evaluated, or it is refused."""

from __future__ import annotations

from engine.collection.catalog import Catalog
from engine.commands.say import problem
from engine.errors import UserError
from engine.results.query import has_database, run_sql
from engine.runs import RunDir
from engine.stores import Place


def run_beside(run_dir: Place, collection: Place | None) -> RunDir:
    """The run, beside the collection that was named; None: beside the one it evaluated.

    A collection that is not quite the same gets a word on standard error.

    Raises:
        UserError: no run or no collection is there, or the collection lacks data sets of the run.
    """
    run = RunDir.open(run_dir)
    if collection is None:
        return run
    catalog = Catalog.open(collection)
    if not has_database(run_dir):
        return run.reading(collection)
    known = set(catalog.table("datasets")["dataset"].to_pylist())
    wanted = run_sql(run_dir, "SELECT dataset FROM datasets ORDER BY 1")["dataset"].to_pylist()
    if lacking := [name for name in wanted if name not in known]:
        raise UserError(
            "this is not the collection that the run evaluated",
            where=str(collection),
            got=f"no data set {', '.join(lacking)}; it has {', '.join(sorted(known))}",
            expected=f"what was at {run.collection}",
        )
    (then,) = run_sql(run_dir, "SELECT collection_sha256 FROM runs")[0].to_pylist()
    if catalog.fingerprint != then:
        problem(
            f"{collection} is not quite what the run evaluated: it has changed since, or is "
            "another; pictures of cases that changed are not those that were scored"
        )
    return run.reading(collection)
