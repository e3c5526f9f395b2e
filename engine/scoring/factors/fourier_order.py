"""How many elliptic Fourier harmonics an object's outline takes."""

from __future__ import annotations

from engine.scoring.factors.base import FactorInput, Value
from engine.scoring.factors.descriptors import search
from engine.scoring.factors.outline import outline_of


def fourier_order(seen: FactorInput) -> dict[str, Value]:
    """`fourier_order` and `fourier_order_97` of the object's largest component.

    `fourier_order` is the paper's F = order + 200 * (1 - Dice) at the order where its search
    stops, at a plateau too; `fourier_order_97` is the smallest order <= 64 whose Dice exceeds
    0.97, else None (protocol section 5).
    """
    found = search(outline_of(seen.framed, seen.topology.first_of_largest))
    return {
        "fourier_order": found.order + 200.0 * (1.0 - found.dice),
        "fourier_order_97": found.order_97,
    }
