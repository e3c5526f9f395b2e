"""`samscope recipe init`."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.collection.layouts import Proposed, propose
from engine.commands.say import count, out, problem
from engine.errors import UserError, system_words


def init_command(raw_dir: Path, target: Path | None, name: str | None) -> int:
    """Propose a recipe: to a new file, or to standard output; returns 0.

    Raises:
        UserError: no layout fits, or the file exists already or cannot be written.
    """
    if target is not None and target.exists():
        raise UserError(
            "the recipe exists already",
            where=str(target),
            got="a file",
            expected="a new file, so that no work is lost",
            remedy="choose another --out",
        )
    proposed = propose(raw_dir, name)
    if target is None:
        sys.stdout.write(proposed.text)
    else:
        _write(target, proposed.text)
    _say(proposed, raw_dir, target)
    return 0


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UserError(
            "cannot write the recipe",
            where=str(target),
            got=system_words(error),
            remedy="choose another --out",
        ) from error


def _say(proposed: Proposed, raw_dir: Path, target: Path | None) -> None:
    """What was found; beside the recipe on standard output it goes to standard error."""
    say = problem if target is None else out
    unlabelled = sum(1 for case in proposed.cases if case.excluded)
    say(
        f"{proposed.layout}: {count(len(proposed.cases), 'case')}"
        + (f", {unlabelled} of them without a label" if unlabelled else "")
        + (f" -> {target}" if target else "")
    )
    if proposed.others:
        say(f"would fit too: {', '.join(proposed.others)}")
    for decision in proposed.decisions:
        say(f"to decide: {decision}")
    if target is not None:
        say(f"then: samscope validate {target} {raw_dir}")
