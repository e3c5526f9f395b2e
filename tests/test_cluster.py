"""What starts clusters: cluster.yaml by Ray's own validation, the Kubernetes job by our own."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import typer
import yaml

from engine.cli import app

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


def test_the_kubernetes_job_runs_what_there_is() -> None:
    """Its command is one that we take, its Ray the pinned one, its actors as many as its GPUs."""
    job = yaml.safe_load((ROOT / "jobs/rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    pinned = re.findall(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [cluster["rayVersion"]] == pinned
    program, script, *arguments = job["spec"]["entrypoint"].split()
    assert program == "python"
    assert (ROOT / script.removeprefix("/home/ray/samscope/")).is_file()
    command = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
    given = command.make_context("evaluate", arguments).params
    (workers,) = cluster["workerGroupSpecs"]
    gpus = workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    assert given["actors"] == workers["replicas"] * int(gpus)
    assert given["device"] == "cuda"
    mounts = workers["template"]["spec"]["containers"][0]["volumeMounts"]
    assert all(str(given[name]).startswith(mounts[0]["mountPath"]) for name in ("study", "out"))
