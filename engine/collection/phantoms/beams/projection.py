"""X-ray shadows: bodies are outlines with a depth, and every one adds to what a beam has to cross.

A round body of field f (1 at its outline) is sqrt(1 - f^2) half-depths thick, so its shadow fades
towards its edge as a real one does.
"""

from __future__ import annotations

import numpy as np

from engine.collection.phantoms.anatomy import Field, Mask
from engine.collection.phantoms.beams.outlines import Easel, Outline


class Film(Easel):
    """What lies between tube and detector; x ascends to the patient's left.

    Attributes:
        absorbed: float64[y, x], attenuation so far; muscle of half-depth 1 adds 1.
    """

    def __init__(self, where: Field, rng: np.random.Generator) -> None:
        super().__init__(where, rng)
        self.absorbed: Field = np.zeros(self.shape)

    def soft(self, outline: Outline, depth: float) -> Mask:
        """Add (or, of negative depth, take away) a body of even density; its outline."""
        self.absorbed[outline.window] += depth * thickness(outline.field)
        return self.mask(outline)

    def bone(self, outline: Outline, depth: float, shell: float = 0.72, core: float = 0.55) -> Mask:
        """Add a dense shell around spongy bone; its outline."""
        marrow = core * shell * thickness(outline.field / shell)
        self.absorbed[outline.window] += depth * (thickness(outline.field) - marrow)
        return self.mask(outline)


def thickness(field: Field) -> Field:
    """sqrt(1 - field^2), 0 outside."""
    return np.asarray(np.sqrt(np.clip(1.0 - field * field, 0.0, None)))
