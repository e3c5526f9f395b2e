"""Small collections made in memory, for tests of what comes after ingest."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from engine.collection.case import CuratedCase, Label, SourceFile
from engine.collection.ingest import ingest_cases
from engine.collection.source import DatasetInfo
from engine.finaliser import finalise
from engine.models.numerics import numerics_of
from engine.planning.ground import plan_study, read_study
from engine.runs import RunDir

INFO = DatasetInfo("toy", "Toy", "CC0", "made by tests", 1, "0" * 64, "0" * 64)


def volume(name: str, *, slices: int, size: int = 64, seed: int = 0) -> CuratedCase:
    """A noisy CT-like volume with a rectangle and a disc in each slice."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-200, 200, (slices, size, size)).astype(np.int16)
    labels = np.zeros((1, slices, size, size), np.uint8)
    y, x = np.mgrid[:size, :size]
    for index in range(slices):
        labels[0, index, 8 + index : 28 + index, 6:30] = 1
        labels[0, index][(y - 44) ** 2 + (x - 44 + index) ** 2 <= 100] = 2
    image[labels[0] == 1] += 300
    image[labels[0] == 2] += 600
    return CuratedCase(
        dataset="toy",
        case=name,
        subject=name,
        modality="CT",
        plane="axial",
        image=image,
        labels=labels,
        meaning=(Label(0, 1, "block"), Label(0, 2, "disc")),
        spacing_mm=(5.0, 0.8, 0.7),
        affine=None,
        sources=(SourceFile(f"{name}.nii.gz", "0" * 64),),
    )


def toy_collection(path: Path, *, cases: int = 3, slices: int = 4, unit_slices: int = 2) -> Path:
    """`cases` volumes of `slices` slices with two objects each."""
    made = [volume(f"case{i}", slices=slices, seed=i) for i in range(cases)]
    ingest_cases(INFO, made, path, unit_slices=unit_slices)
    return path


PROMPTED = """\
name: toy
models: [tiny]
strategies: [point_1, box]
jitter: {levels: [[0, 0], [0, 10]], trials: 1}
"""
"""A trained model and two prompts: what a check of masks or of words needs, and little more."""

STUDY = """\
name: toy
models: [{name: tiny, init_seed: 0}, {name: fake, model: FAKE}]
strategies:
  # a coarse grid, and thresholds that let masks of untrained weights through
  - name: everything
    kind: everything
    params: {points_per_side: 4, pred_iou_thresh: -10, stability_score_thresh: 0}
  - point_1
  - point_5_neg_5
  - box
jitter: {levels: [[0, 0], [0, 10]], trials: 2}
"""

ONLY_FAKE = """\
name: toy
models: [{name: fake, model: FAKE}]
strategies: [everything, point_1, box]
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


def run_without_ray(study: Path, collection: Path, out: Path) -> Path:
    """A run by a plain loop over its units in this process: what Ray's must be equal to.

    What there is already is kept, as a resumed run keeps it, and its events are told.
    """
    from engine.pipeline.actor import Assignment, EvaluatorActor
    from engine.pipeline.datasource import read_unit
    from engine.pipeline.events import logged_events

    planning = plan_study(read_study(study), collection, numerics_of("cpu"))
    plan, run = planning.plan, RunDir.prepare(out, collection)
    run.begin(plan.study)
    evaluate = EvaluatorActor(Assignment(plan.study, "cpu", str(out), plan.cards, plan.numerics))
    with logged_events(out) as events:
        units, trials = len(plan.units), plan.units.n_trials
        events.write(
            "run_begun", study=plan.study.name, collection=str(collection), version="0",
            device="cpu", host="here", pid=os.getpid(), units=units,
        )  # fmt: skip
        events.write(
            "pass_begun", units=units, slices=plan.units.n_slices, trials=trials, evaluators=1
        )
        for task in plan.units:
            (receipt,) = evaluate(read_unit(str(collection), task.pack())).to_pylist()
            events.unit(receipt)
        finalise(run, planning)
        events.write(
            "run_ended", outcome="finished", error=None, units_run=units, expected=trials,
            done=trials, failed=0, pending=0,
        )  # fmt: skip
    return out
