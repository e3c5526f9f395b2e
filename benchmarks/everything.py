"""Everything and its matching against SamAutomaticMaskGenerator, in one process run.

    python benchmarks/everything.py --collection runs/shared_data.zarr      (some minutes)

Both ways take the same slices in turn, one thread, five times: samscope embeds the slice, makes
the masks of a 32 x 32 grid and scores every object against all of them (with border distances of
the picks); the plain way generates its records and finds each object's best mask by Dice. Then the
masks are paired by grid point and token, and their IoU is counted.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator

from engine.collection.reading import read_slices
from engine.evaluation.scene import Scene, make_scene
from engine.models.base import EverythingMasks
from engine.models.numerics import numerics_of
from engine.models.plain import as_rgb
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.planning.ground import plan_study, read_study
from engine.scoring.everything import EverythingScorer
from engine.stores import place_of
from engine.study import EverythingParams


def samscope(model: SamModel, scene: Scene, params: EverythingParams) -> EverythingMasks:
    """Masks and scores of every object."""
    found = model.everything(model.embed([scene.image])[0], params)
    scorer = EverythingScorer.from_masks(found)
    for target in scene.targets:
        point = target.geometry.positives(1)[0]
        scorer.score(target.border, (point.x, point.y))
    return found


def plain(
    generator: SamAutomaticMaskGenerator, scene: Scene
) -> tuple[list[dict[str, Any]], list[float]]:
    """The library's records, and each object's best Dice."""
    records: list[dict[str, Any]] = generator.generate(as_rgb(scene.image))
    best = [
        max(
            (2 * np.sum(r["segmentation"] & t.mask) / (r["area"] + t.mask.sum()) for r in records),
            default=0.0,
        )
        for t in scene.targets
    ]
    return records, best


def compare(found: EverythingMasks, records: Sequence[dict[str, Any]]) -> tuple[int, int, float]:
    """Masks of one side only, of both sides, and the least IoU of those."""
    theirs: dict[tuple[float, float], list[NDArray[np.bool_]]] = {}
    for record in records:
        theirs.setdefault(tuple(record["point_coords"][0]), []).append(record["segmentation"])
    least, both = 1.0, 0
    for k, (x, y) in enumerate(found.points.tolist()):
        mask = found.mask(k)
        ious = [
            np.sum(mask & other) / max(1, np.sum(mask | other)) for other in theirs.get((x, y), [])
        ]
        if ious and max(ious) >= 0.99:
            del theirs[x, y][int(np.argmax(ious))]
            least, both = min(least, float(max(ious))), both + 1
    return len(found) + len(records) - 2 * both, both, least


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Everything, samscope and the library")
    parser.add_argument("--collection", default="runs/shared_data.zarr")
    parser.add_argument("--study", type=Path, default=Path("studies/shared_data.yaml"))
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    said = parser.parse_args(argv)
    torch.set_num_threads(1)
    study, place = read_study(said.study), place_of(said.collection)
    plan = plan_study(study, place, numerics_of("cpu")).plan
    model = load_model(study.models[0])
    params = next(s.params for s in study.strategies if not s.prompted)
    if not isinstance(model, SamModel) or not isinstance(params, EverythingParams):
        raise SystemExit("the study has no SAM, or no Everything")
    generator = SamAutomaticMaskGenerator(model.network, **params.model_dump())
    step = max(1, len(plan.units) // said.slices)
    refs = [unit.slices[0] for unit in plan.units[::step][: said.slices]]
    scenes = [make_scene(study, ref, read_slices(str(place), [ref])[0]) for ref in refs]
    print(
        "| slice | objects | masks | samscope s | plain s | ratio | on one side only | least IoU |"
    )
    print("|---|---|---|---|---|---|---|---|")
    ratios = []
    for ref, scene in zip(refs, scenes, strict=True):
        times: list[tuple[float, float]] = []
        for _ in range(said.repeats):
            started = perf_counter()
            found = samscope(model, scene, params)
            between = perf_counter()
            records, _ = plain(generator, scene)
            times.append((between - started, perf_counter() - between))
        ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        ratios.append(statistics.median(b / a for a, b in times))
        alone, _, least = compare(found, records)
        print(
            f"| {ref.slice_id} {scene.image.shape[0]} x {scene.image.shape[1]} "
            f"| {len(scene.targets)} | {len(found)} | {ours:.2f} | {theirs:.2f} "
            f"| {ratios[-1]:.1f} | {alone} | {least:.4f} |"
        )
    print(f"median ratio {statistics.median(ratios):.1f}, least {min(ratios):.1f}")


if __name__ == "__main__":
    main()
