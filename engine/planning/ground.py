"""From files to a plan: read the study and the catalog, describe the models, lay out the cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from engine.collection.catalog import Catalog
from engine.collection.intensity import check_intensity
from engine.collection.sample import StudySample, sample_units
from engine.configuration import load_yaml
from engine.models.base import Card
from engine.models.numerics import Numerics
from engine.models.registry import describe
from engine.planning.plan import Plan, check_capability, make_plan
from engine.stores import Place
from engine.study import Study


@dataclass(frozen=True)
class Planning:
    """A plan and what it was made from.

    Attributes:
        exclusions: rows of `EXCLUSIONS` (catalog_schema) that the study's own rules add.
    """

    plan: Plan
    collection: Place
    catalog: Catalog
    exclusions: pa.Table


@dataclass(frozen=True)
class Groundwork:
    """All of a plan that does not depend on where it will run; made before anything starts."""

    study: Study
    collection: Place
    catalog: Catalog
    sample: StudySample
    cards: Mapping[str, Card]

    def plan(self, numerics: Numerics) -> Planning:
        """The plan for workers with these numerics."""
        plan = make_plan(self.study, self.sample.units, self.cards, numerics)
        return Planning(plan, self.collection, self.catalog, self.sample.exclusion_table)


def read_study(path: Path) -> Study:
    """Read a study file. Raises UserError naming the field and the nearest valid word."""
    return load_yaml(path, Study, "study").with_absolute_paths()


def lay_ground(study: Study, collection: Place) -> Groundwork:
    """Find every mistake of study, collection and models that can be found without a worker.

    Raises:
        UserError: the collection is absent, the study selects nothing, or a model cannot run a
            strategy or its checkpoint is wrong.
    """
    check_intensity(study.intensity)
    collection = collection.resolve()
    catalog = Catalog.open(collection)
    catalog.hold()  # an ingest beside the run must not change what is planned
    sample = sample_units(catalog, study)
    cards = {choice.name: describe(choice) for choice in study.models}
    for choice in study.models:
        for strategy in study.strategies_of(choice):
            check_capability(cards[choice.name], strategy)
    return Groundwork(study, collection, catalog, sample, cards)


def plan_study(study: Study, collection: Place, numerics: Numerics) -> Planning:
    """Plan a study over a collection for workers with these numerics; errors as `lay_ground`."""
    return lay_ground(study, collection).plan(numerics)
