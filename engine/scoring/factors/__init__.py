"""Object factors: what about an object, rather than a model, makes it easy or hard.

Each factor is one file and one line in `registry.py`; it sees an object's mask and the slice's
levels of grey as the model sees them (protocol section 5). `area_px` can be computed here but
normally comes with `modality` from the catalog. Of the helpers, `runs.py` tells how an object hangs
together, `surround.py` holds its levels against those around it, `outline.py` traces its border and
`descriptors.py` measures how many elliptic Fourier harmonics it takes to draw that.
"""

from engine.scoring.factors.base import Factor, FactorInput, Value, to_grey
from engine.scoring.factors.registry import (
    ALGORITHM_VERSION,
    FACTORS,
    PAPER_FACTORS,
    compute_factors,
)

__all__ = [
    "ALGORITHM_VERSION",
    "FACTORS",
    "PAPER_FACTORS",
    "Factor",
    "FactorInput",
    "Value",
    "compute_factors",
    "to_grey",
]
