"""One local Ray for all tests of the pipeline, and a small study on a small collection."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import ray
from rich.console import Console

from tests.worlds import toy_collection


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A local Ray with two CPUs, whatever the machine has."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_collection(tmp_path_factory.mktemp("toy") / "toy.zarr")


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO())


STUDY = """\
name: toy
models: [tiny, {name: fake, model: FAKE}]
strategies: [everything, point_1, point_5_neg_5, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 2}
"""


def write_study(folder: Path, text: str = STUDY, fake: str = "") -> Path:
    """A study file and the YAML of its fake model."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "fake.yaml"
    model.write_text(f"kind: fake\n{fake}")
    path = folder / "study.yaml"
    path.write_text(text.replace("FAKE", str(model)))
    return path
