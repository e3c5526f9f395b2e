"""cluster.yaml passes the validation Ray itself applies."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


def _validate(config: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own deprecations
        from ray.autoscaler._private.util import fillout_defaults, validate_config

        validate_config(fillout_defaults(config))


def test_cluster_yaml_is_valid() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    _validate(config)
    gpu = config["available_node_types"]["gpu_worker"]
    assert gpu["resources"]["GPU"] >= 1
    assert config["max_workers"] >= gpu["max_workers"]


def test_the_validation_can_fail() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    config["head_node_type"] = "no_such_type"
    with pytest.raises(ValueError, match="head_node_type"):
        _validate(config)
