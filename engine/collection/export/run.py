"""The one call of this room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from engine.collection.catalog import Catalog
from engine.collection.export.cases import StoredDataset, stored_datasets
from engine.collection.export.coco import coco_writer
from engine.collection.export.nnunet import nnunet_writer
from engine.collection.export.report import ExportReport
from engine.errors import UserError, nearest, system_words

Write = Callable[[Path, ExportReport], None]
Format = Callable[[StoredDataset], Write]

FORMATS: dict[str, Format] = {"coco": coco_writer, "nnunet": nnunet_writer}
"""A new format is one file with such a function, and a line here.

It looks at a dataset, refuses what the format cannot hold, and returns what writes.
"""


def export_collection(
    collection: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    dataset: str | None = None,
) -> ExportReport:
    """Write the datasets of a collection, or one of them, in another format.

    Args:
        to: a key of `FORMATS`.
        out: a folder that is empty or does not exist.

    Raises:
        UserError: unknown format or dataset, a folder with files in it, or structures that
            overlap in a way the format cannot hold.
        CorruptDataError: pixels of the collection cannot be read.
    """
    if to not in FORMATS:
        raise UserError(f"unknown format '{to}'", got=to, remedy=nearest(to, FORMATS))
    datasets = stored_datasets(Catalog.open(collection), dataset)
    folder = Path(out)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(
                "the folder is not empty",
                where=str(folder),
                expected="a new folder: files of an older export would look like cases",
                remedy="choose another --out",
            )
        report = ExportReport()
        for write in [FORMATS[to](one) for one in datasets]:  # nothing is written before all fit
            write(folder, report)
    except OSError as error:
        raise UserError(
            "cannot write the export",
            where=str(error.filename or folder),
            got=system_words(error),
            remedy="choose another --out",
        ) from error
    return report
