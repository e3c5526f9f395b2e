"""`samscope parity`: what the fast path changes, measured on a sample of a study."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
from rich.progress import track

from engine.commands.say import out, say_untrained, table
from engine.models.numerics import Numerics, numerics_of
from engine.parity.sample import ModalityParity, ParitySample, comparable, measure_parity
from engine.planning.ground import plan_study, read_study
from engine.stores import Place


def parity_command(
    study_path: Path,
    collection: Place,
    *,
    slices: int,
    objects: int,
    bound: float | None,
    device: str,
) -> int:
    """Print differences per model and modality; 1 where a bound is broken."""
    study = read_study(study_path)
    numerics = numerics_of(device, study.precision)
    planning = plan_study(study, collection, numerics)
    compared, left_out = comparable(study)
    for what in left_out:
        out(f"not compared: {what}")
    sample = ParitySample.of(planning, slices, objects)
    measured: list[ModalityParity] = []
    for choice in compared:
        watch = partial(track, description=choice.name, transient=True)
        rows = measure_parity(sample, choice, device, watch)
        title = f"{choice.name}, {numerics.device} {numerics.dtype}"
        table(pa.Table.from_pylist([_shown(row) for row in rows]), title)
        measured += rows
    out("flipped: pixels, picks: selections that differ; in brackets, more than rounding explains")
    out("dice: fast minus plain by predicted IoU, 95 % interval over subjects; most: of any mask")
    broken = _judged(measured, bound, study.parity_bound, numerics)
    say_untrained(study)
    for row in broken:
        out(f"broken: {row.model}, {row.modality}")
    return 1 if broken else 0


def _judged(
    rows: Sequence[ModalityParity],
    bound: float | None,
    study_bound: float | None,
    numerics: Numerics,
) -> list[ModalityParity]:
    """Rows that break what judges them, which is said."""
    if bound is not None:
        out(f"judged by most <= {bound:g} alone")
        return [row for row in rows if row.largest > bound]
    if study_bound is not None:
        out(f"judged by |dice| <= {study_bound:g} (parity_bound of the study) alone")
        return [row for row in rows if not row.within(study_bound)]
    if numerics.dtype != "float32":
        out(f"not judged: {numerics.dtype} is no rounding of float32; give a --bound")
        return []
    return [row for row in rows if not row.explained]


def _shown(row: ModalityParity) -> dict[str, object]:
    around = "" if row.lo is None else f" {_short(row.lo)}..{_short(row.hi)}"
    return {
        "modality": row.modality,
        "slices": row.slices,
        "trials": row.trials,
        "Mpx": row.pixels // 10**6,
        "flipped": f"{row.flipped} ({row.beyond})",
        "picks": f"{row.other_picks} ({row.unexplained})",
        "dice": _short(row.mean_difference) + around,
        "most": _short(row.largest),
    }


def _short(value: float | None) -> str:
    """One digit, as 2e-7."""
    return f"{value:.0e}".replace("e-0", "e-") if value else "0"
