"""The training's log: one JSON object a line, what the curves are drawn from.

`{"step", "loss", "lr", "seconds"}` every step, `{"step", "validation", "objects"}` after a
validation. A resumed training cuts the log back to its saved step, so no step stands twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.training.folder import cannot_write, write_whole


class TrainingLog:
    """The log of one training directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, steps_done: int) -> None:
        """Forget what was written after `steps_done` steps.

        Raises:
            UserError: it cannot be written.
        """
        try:
            kept = [record for record in read_log(self.path) if record["step"] <= steps_done]
        except OSError as error:
            raise cannot_write(self.path, error) from error
        write_whole(self.path, "".join(json.dumps(r) + "\n" for r in kept).encode())

    def add(self, record: dict[str, Any]) -> None:
        """Append a record; `step` counts finished steps.

        Raises:
            UserError: it cannot be written; a line cut short is passed over by readers.
        """
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
        except OSError as error:
            raise cannot_write(self.path, error) from error


def read_log(path: Path) -> list[dict[str, Any]]:
    """All whole records; a line cut short by a kill, or not ours, is passed over."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [record for line in text.splitlines() if (record := _record(line)) is not None]


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
