"""From files to a plan: read the study and the catalog, describe the models, lay out the cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.collection.catalog import Catalog
from engine.collection.intensity import check_intensity
from engine.collection.sample import sample_units
from engine.configuration import load_yaml
from engine.models.numerics import Numerics
from engine.models.registry import describe
from engine.plan import Plan, make_plan
from engine.study import Study


@dataclass(frozen=True)
class Planning:
    """A plan and what it was made from.

    Attributes:
        exclusions: rows of `EXCLUSIONS` (catalog_schema) that the study's own rules add.
    """

    plan: Plan
    collection: Path
    catalog: Catalog
    exclusions: pa.Table


def read_study(path: Path) -> Study:
    """Read a study file. Raises UserError naming the field and the nearest valid word."""
    return load_yaml(path, Study, "study")


def plan_study(study: Study, collection: Path, numerics: Numerics) -> Planning:
    """Plan a study over a collection.

    Args:
        numerics: as the workers have them.

    Raises:
        UserError: the collection is absent, the study selects nothing, or a model cannot run a
            strategy or its checkpoint is wrong.
    """
    check_intensity(study.intensity)
    catalog = Catalog.open(collection)
    sample = sample_units(catalog, study)
    cards = {choice.name: describe(choice) for choice in study.models}
    plan = make_plan(study, sample.units, cards, numerics)
    return Planning(plan, collection, catalog, sample.exclusion_table)
