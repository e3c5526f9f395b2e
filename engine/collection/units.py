"""Units: closed lists of slices, assigned at ingest and never re-bundled.

Only slices with a labelled object belong to a unit; the others have none (protocol 1.5).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.collection.checksum import combine
from engine.errors import UserError
from engine.identity import quote_name

UNIT_SLICES = 32
UNIT_BYTES = 64 * 2**20
"""Raw bytes of a unit's pixels at most, one slice aside: units travel between processes."""


@dataclass(frozen=True)
class Unit:
    """A closed list of slices.

    Attributes:
        positions: places on the array's slice axis, in catalog order (by slice_id).
        data_sha256: checksum of the stored values of these slices in this order.
    """

    unit_id: str
    positions: tuple[int, ...]
    data_sha256: str


def unit_id(dataset: str, slice_ids: Sequence[str]) -> str:
    """`{dataset}-{hash of its slice ids}`: the same slices always make the same unit."""
    text = "\n".join(slice_ids)
    return f"{quote_name(dataset)}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def plan_units(
    dataset: str,
    slice_ids: Sequence[str],
    digests: Sequence[bytes],
    has_objects: Sequence[bool],
    slice_bytes: int,
    unit_slices: int,
) -> list[Unit]:
    """Split an array's slices into units of nearly equal size.

    Args:
        slice_ids, digests, has_objects: one per place on the slice axis.
        slice_bytes: raw bytes of one slice with its labels.
        unit_slices: slices of a unit at most.
    """
    places = [place for place in range(len(slice_ids)) if has_objects[place]]
    places.sort(key=lambda place: slice_ids[place])
    n = len(places)
    most = min(unit_slices, max(1, UNIT_BYTES // slice_bytes))
    parts = math.ceil(n / most)
    units = []
    for part in range(parts):
        own = tuple(places[part * n // parts : (part + 1) * n // parts])
        name = unit_id(dataset, [slice_ids[place] for place in own])
        units.append(Unit(name, own, combine(digests[place] for place in own)))
    return units


def check_unit_slices(unit_slices: int) -> None:
    """Raise UserError unless a unit may have this many slices."""
    if not 1 <= unit_slices <= 1024:
        raise UserError(
            "wrong number of slices per unit",
            where="unit_slices",
            got=unit_slices,
            expected="1 to 1024",
            remedy=f"leave it out: the default is {UNIT_SLICES}",
        )
