"""In how many pieces an object lies, and how many holes it has."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value


def components(seen: FactorInput) -> dict[str, Value]:
    """`n_components` (8-connected) and `n_holes` (protocol section 5).

    A hole is a 4-connected region of the background that does not reach the outside; what touches
    the image's border is none.
    """
    found = seen.topology
    return {"n_components": found.n_components, "n_holes": found.n_holes}
