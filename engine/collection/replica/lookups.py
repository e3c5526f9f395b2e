"""Tables of subjects and splits beside the images of a replica: what `lookup:` will read.

A case of the `replica:` block gives the text of the column a lookup asks for, under the column's
name; lists (`split_is`) hold the cases whose `split` is theirs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from engine.collection import template
from engine.collection.recipe import Lookup, Series

Choices = Mapping[str, tuple[str, ...]]
Row = tuple[str, dict[str, str]]


def true_words(
    series: Series, choices: Choices, subject: str, split: str | None
) -> tuple[str, str | None]:
    """(subject, split) of a case as its tables say; as given where none says it."""
    for lookup in reversed(series.lookup):
        if lookup.subject is not None:
            subject = _word(choices, lookup.subject)
        split = _split(lookup, choices) or split
    return subject, split


def rows_of(series: Series, choices: Choices, known: Mapping[str, str]) -> dict[str, Row]:
    """{file: (key, columns)}: the row of one case in every table of its series."""
    rows = {}
    for lookup in series.lookup:
        if lookup.column is None and _split(lookup, choices) is None:
            continue
        key = template.fill(lookup.key, known)
        asked = [name for name in (lookup.subject, lookup.split) if name is not None]
        columns = {name: _word(choices, name) for name in asked}
        head = {} if lookup.column is None else {lookup.column: key}
        rows[lookup.file] = key, {**head, **columns}
    return rows


def table_text(rows: Iterable[Row]) -> str:
    """A list of names, or a table with a header."""
    found = dict(rows)
    if not any(found.values()):
        return "".join(f"{key}\n" for key in found)
    text = io.StringIO()
    names = dict.fromkeys(name for columns in found.values() for name in columns)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.values())
    return text.getvalue()


def _split(lookup: Lookup, choices: Choices) -> str | None:
    if lookup.split is not None:
        return _word(choices, lookup.split) or None
    if lookup.split_is is not None and _word(choices, "split") == lookup.split_is:
        return lookup.split_is
    return None


def _word(choices: Choices, name: str) -> str:
    return choices.get(name, ("",))[0]
