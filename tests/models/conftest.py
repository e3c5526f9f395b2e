"""One tiny model for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from model_samples import chosen, one_thread

from engine.models import load_model
from engine.models.sam import SamModel


@pytest.fixture(scope="session")
def tiny() -> SamModel:
    """Drawn weights: what they give is the same for every training of the shipped ones."""
    model = load_model(chosen("tiny", init_seed=0))
    assert isinstance(model, SamModel)
    return model


@pytest.fixture(scope="session")
def trained() -> SamModel:
    """The `tiny` that is shipped: masks pass SAM's own thresholds."""
    model = load_model(chosen("tiny"))
    assert isinstance(model, SamModel)
    return model


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The library's side of a comparison needs it too, and a busy machine is kinder to it."""
    with one_thread():
        yield
