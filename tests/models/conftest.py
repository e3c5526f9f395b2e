"""One tiny model for all tests of the room."""

from __future__ import annotations

import pytest
from model_samples import chosen

from engine.models import load_model
from engine.models.sam import SamModel


@pytest.fixture(scope="session")
def tiny() -> SamModel:
    model = load_model(chosen("tiny"))
    assert isinstance(model, SamModel)
    return model
