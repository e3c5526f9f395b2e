"""What tables beside the images say: whose a picture is, and which split it belongs to.

Two forms: a table with a header (CSV, TSV, semicolons), and a plain list of names, one per line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from engine.collection import template
from engine.collection.raw_folder import RawFolder
from engine.collection.recipe import Lookup, Series
from engine.errors import CaseRefusedError, UserError, nearest

_MOST_BYTES = 64 * 2**20
Rows = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Told:
    """What the tables say of one case.

    Attributes:
        subject, split: None where no table says it.
        missing: a table that should know the case's subject and does not.
    """

    subject: str | None = None
    split: str | None = None
    missing: str | None = None


class Tables:
    """The lookups of a series, read once."""

    def __init__(self, series: Series, folder: RawFolder) -> None:
        there = [one for one in series.lookup if not one.optional or folder.is_file(one.file)]
        self._lookups = tuple(there)
        self._rows = [_read(lookup, folder) for lookup in there]

    @property
    def files(self) -> tuple[str, ...]:
        """Files that every case of the series depends on."""
        return tuple(lookup.file for lookup in self._lookups)

    def tell(self, fields: Mapping[str, str]) -> Told:
        """What they say of a case; the first table that knows its subject is believed.

        Args:
            fields: placeholders of the case, with `case`.

        Raises:
            UserError: two tables put it into two splits.
        """
        subject = split = missing = None
        for lookup, rows in zip(self._lookups, self._rows, strict=True):
            row = rows.get(template.fill(lookup.key, fields))
            if row is None:
                missing = lookup.file if lookup.subject is not None else missing
                continue
            if subject is None and lookup.subject is not None:
                subject = row[lookup.subject].strip() or None
                missing = lookup.file if subject is None else missing
            said = lookup.split_is or (row[lookup.split].strip() if lookup.split else None)
            if split and said and said != split:
                raise UserError(
                    "a case is in two splits",
                    where=f"{lookup.file}: {template.fill(lookup.key, fields)}",
                    got=f"{split} and {said}",
                    expected="one split, or tables that agree",
                    remedy="correct the table, or take a lookup out of a copy of the recipe",
                )
            split = split or said
        return Told(subject, split or None, None if subject is not None else missing)


def _read(lookup: Lookup, folder: RawFolder) -> Rows:
    """{key: row}. Raises UserError where the file or a column is not there."""
    if not folder.is_file(lookup.file) or folder.size(lookup.file) > _MOST_BYTES:
        raise UserError(
            "a table the recipe names cannot be read",
            where=f"{folder.where}/{lookup.file}",
            got="no such file" if not folder.is_file(lookup.file) else "more than 64 MiB",
            expected="a table of the cases' subjects or splits",
            remedy="fetch it with the images, or take the lookup out of a copy of the recipe",
        )
    try:
        with folder.local([lookup.file]) as root:
            text = (root / lookup.file).read_bytes().decode("utf-8-sig", "replace")
    except (CaseRefusedError, OSError) as error:  # a link that leads out; no right to read it
        raise UserError(
            "a table the recipe names cannot be read",
            where=f"{folder.where}/{lookup.file}",
            got=error.got if isinstance(error, CaseRefusedError) else error,
            expected="a file inside the raw folder",
            remedy="copy it there",
        ) from error
    if lookup.column is None:
        return {line.strip(): {} for line in text.splitlines() if line.strip()}
    return _table(lookup, text, f"{folder.where}/{lookup.file}")


def _table(lookup: Lookup, text: str, where: str) -> Rows:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.DictReader(
        io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    with _readable(where):
        names = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    for wanted in (lookup.column, lookup.subject, lookup.split):
        if wanted is not None and wanted not in names:
            raise UserError(
                f"the table has no column '{wanted}'",
                where=where,
                got=", ".join(names)[:400],
                expected=wanted,
                remedy=nearest(wanted, names),
            )
        if wanted is not None and names.count(wanted) > 1:
            raise UserError(
                f"the table has two columns '{wanted}'",
                where=where,
                got=", ".join(names)[:400],
                expected="each name once",
                remedy="rename one of them in a copy of the table",
            )
    found: dict[str, Mapping[str, str]] = {}
    with _readable(where):
        for row in rows:
            key = (row[str(lookup.column)] or "").strip()
            values = {name: row[name] or "" for name in names}
            if found.setdefault(key, values) != values and _differs(lookup, found[key], values):
                raise UserError(
                    f"the table says two things of '{key}'",
                    where=where,
                    got=f"{found[key]} and {values}"[:400],
                    expected="one row, or rows that agree",
                )
    return found


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise UserError(
            "the table cannot be read",
            where=where,
            got=error,
            expected="a table with a header, as CSV or TSV",
            remedy="fetch it again",
        ) from error


def _differs(lookup: Lookup, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(name and one[name] != other[name] for name in (lookup.subject, lookup.split))
