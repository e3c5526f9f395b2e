"""A study that demands a bound is measured before it runs, and refused where the bound is broken.

What was measured stays in the run directory (`parity.json`) and enters the database. It holds for
the identities it was measured under, so a resumed run is not measured again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.files import replace_file
from engine.identity import fingerprint
from engine.parity.sample import ModalityParity, ParitySample, comparable, measure_parity
from engine.planning.ground import Planning
from engine.study import ModelChoice

log = logging.getLogger(__name__)

SLICES, OBJECTS = 4, 1
"""Of each modality, and of each slice."""

Measure = Callable[[ParitySample, ModelChoice, str], list[ModalityParity]]

_RECORD = "parity.json"


def hold_to_bound(
    planning: Planning, run_dir: Path, device: str, measure: Measure = measure_parity
) -> None:
    """Measure parity on a sample, where the study asks for it, and keep what came out.

    Raises:
        UserError: the bound is broken, or no model of the study can be compared.
    """
    bound = planning.plan.study.parity_bound
    if bound is None:
        return
    rows = stored_parity(planning, run_dir)
    if rows is None:
        rows = _measured(planning, run_dir, device, measure)
    broken = [row for row in rows if not row.within(bound)]
    if broken:
        raise UserError(
            "these models are further from the plain way than the study allows",
            where=str(run_dir / _RECORD),
            got="mean Dice moves by "
            + ", ".join(f"{r.mean_difference:+.1g} ({r.model}, {r.modality})" for r in broken),
            expected=f"at most {bound:g} (parity_bound of the study)",
            remedy="precision: float32 in the study, or a wider bound",
        )


def stored_parity(planning: Planning, run_dir: Path) -> list[ModalityParity] | None:
    """What was measured for exactly this plan; None: nothing was."""
    try:
        record = json.loads((run_dir / _RECORD).read_text(encoding="utf-8"))
        rows = [ModalityParity(**row) for row in record["rows"]]
        return rows if record["plan"] == _plan_sha256(planning) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read and is measured anew: %s", run_dir / _RECORD, error)
        return None


def _measured(
    planning: Planning, run_dir: Path, device: str, measure: Measure
) -> list[ModalityParity]:
    compared, left_out = comparable(planning.plan.study)
    for what in left_out:
        log.info("parity: not compared: %s", what)
    sample = ParitySample.of(planning, SLICES, OBJECTS)
    rows = [row for choice in compared for row in measure(sample, choice, device)]
    record: dict[str, Any] = {
        "plan": _plan_sha256(planning),
        "numerics": planning.plan.numerics.as_record(),
        "left_out": left_out,
        "rows": [asdict(row) for row in rows],
    }
    replace_file(run_dir / _RECORD, (json.dumps(record, indent=1) + "\n").encode())
    return rows


def _plan_sha256(planning: Planning) -> str:
    """Changes with anything that can change a number."""
    return fingerprint(sorted({planned.identity for planned in planning.plan.cells()}))
