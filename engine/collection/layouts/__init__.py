"""Layouts: what a folder without a recipe looks like, and the recipe that would describe it.

A layout is one file with `look(listing) -> Proposal | None` and one line in `LAYOUTS`. A look opens
a few files and decides little: what only a person knows is marked in the proposed text.
"""

from __future__ import annotations

from engine.collection.layouts.base import DECIDE, Layout, Proposal, undecided
from engine.collection.layouts.propose import LAYOUTS, Proposed, propose

__all__ = ["DECIDE", "LAYOUTS", "Layout", "Proposal", "Proposed", "propose", "undecided"]
