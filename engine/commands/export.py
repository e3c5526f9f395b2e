"""`samscope export`."""

from __future__ import annotations

from pathlib import Path

from engine.collection.export import export_collection
from engine.commands.say import count, out, problem


def export_command(collection: str, to: str, folder: Path, dataset: str | None) -> int:
    """Export and say what was written and what the format could not hold; returns 0."""
    report = export_collection(collection, to, folder, dataset)
    for note, cases in report.notes.items():
        problem(f"note: {note} ({count(cases, 'case')})")
    out(
        f"{count(report.cases, 'case')}, {count(report.objects, 'object')}, "
        f"{count(report.files, 'file')} -> {', '.join(map(str, report.folders))}"
    )
    for one in report.folders:
        out(f"read it back: samscope ingest {one / 'recipe.yaml'} {one} --out NEW.zarr")
    return 0
