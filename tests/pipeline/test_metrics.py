"""Metrics as Prometheus would scrape them from a node of a real Ray."""

from __future__ import annotations

import time
import urllib.request

import pytest
import ray

from engine.pipeline.metrics import Metrics

pytestmark = pytest.mark.ray

RECEIPT = {
    "unit_id": "a", "slices": 2, "cells": 3, "done": 9, "failed": 1, "seconds": 2.0,
    "stages": [("commit", 0.5), ("embed", 1.25)], "failures": [("decode", 1)], "attempts": 1,
    "worker": "w", "peak_memory_bytes": 10, "lost": [{"worker": "v", "how": "died"}],
    "recycled": None,
}  # fmt: skip
EXPECTED = {
    'samscope_units_total': 2, 'samscope_slices_total': 4,
    'samscope_trials_total{status="done"}': 18, 'samscope_trials_total{status="failed"}': 2,
    'samscope_failed_trials_total{stage="decode"}': 2,
    'samscope_stage_seconds_total{stage="commit"}': 1.0,
    'samscope_stage_seconds_total{stage="embed"}': 2.5,
    'samscope_workers_lost_total{how="died"}': 2,
    'samscope_peak_memory_bytes': 10, 'samscope_unit_seconds_count': 2,
}  # fmt: skip


@ray.remote(num_cpus=0)
class Counting:
    def count(self) -> str:
        """Two units; returns this worker's id."""
        metrics = Metrics()
        for _ in range(2):
            metrics.add(RECEIPT)
        return str(ray.get_runtime_context().get_worker_id())


def scraped(worker: str) -> dict[str, float]:
    """Our metrics of one worker at this node's port; tags of Ray's own left out."""
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=30) as page:
        text = page.read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("ray_samscope_") and worker in line:
            name, _, rest = line.partition("{")
            tags, _, value = rest.rpartition("} ")
            own = [t for t in tags.split(",") if t.split("=")[0] in ("status", "stage", "how")]
            found[name.removeprefix("ray_") + (f"{{{own[0]}}}" if own else "")] = float(value)
    return found


def test_a_node_shows_what_its_evaluators_did(ray_session: str) -> None:
    actor = Counting.remote()
    worker = ray.get(actor.count.remote())
    deadline = time.monotonic() + 120  # by default Ray exports every ten seconds
    found: dict[str, float] = {}
    while time.monotonic() < deadline and not EXPECTED.keys() <= found.keys():
        time.sleep(1)
        found = scraped(worker)
    assert {name: found[name] for name in EXPECTED} == EXPECTED


def test_without_ray_it_counts_for_nobody() -> None:
    Metrics().add(RECEIPT)
