"""The factors that exist, and all of them for one object."""

from __future__ import annotations

from engine.registry import Registry
from engine.scoring.factors.base import Factor, FactorInput, Value
from engine.scoring.factors.runs import Mask
from engine.scoring.factors.surround import Grey

ALGORITHM_VERSION = 2
"""Part of every identity: raise it when a factor's value can change, or a column comes or
goes."""

PAPER_FACTORS = (
    "area_px",
    "aspect_ratio",
    "intensity_difference",
    "fourier_order",
    "modality",
)
"""The paper's five, by column; `modality` is a property of the case and lies in the catalog."""

FACTORS: Registry[Factor] = Registry(
    "factor",
    {
        "area_px": "engine.scoring.factors.area_px:area_px",
        "aspect_ratio": "engine.scoring.factors.aspect_ratio:aspect_ratio",
        "intensity_difference": (
            "engine.scoring.factors.intensity_difference:intensity_difference"
        ),
        "fourier_order": "engine.scoring.factors.fourier_order:fourier_order",
        "components": "engine.scoring.factors.components:components",
        "perimeter": "engine.scoring.factors.perimeter:perimeter",
        "solidity": "engine.scoring.factors.solidity:solidity",
        "touches_border": "engine.scoring.factors.touches_border:touches_border",
        "center_inside": "engine.scoring.factors.center_inside:center_inside",
        "area_fraction": "engine.scoring.factors.area_fraction:area_fraction",
        "boundary_gradient": "engine.scoring.factors.boundary_gradient:boundary_gradient",
        "contrast_to_noise": "engine.scoring.factors.contrast_to_noise:contrast_to_noise",
    },
)


def compute_factors(mask: Mask, image: Grey) -> dict[str, Value]:
    """Every registered factor of one object, by column.

    Args:
        mask: bool[y, x], at least one pixel.
        image: uint8[y, x] or uint8[y, x, 3] (RGB), 0..255, as the model sees it; or grey levels
            float64[y, x] made by `to_grey`.

    Raises:
        UserError: the mask is empty, or mask and image do not fit.
    """
    seen = FactorInput.from_image(mask, image)
    columns: dict[str, Value] = {}
    for name in FACTORS:
        columns |= FACTORS.get(name)(seen)
    return columns
