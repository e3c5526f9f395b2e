"""The whole protocol against the plain way and against the floor, in one process run.

    python benchmarks/plain_way.py --collection runs/shared_data.zarr      (some minutes)

Three ways to do the same work on the same slices, one thread each, in turn, five times:

- samscope: embeds the slice, decodes S2..S6 at every level and trial, counts all candidates, picks,
  measures Hausdorff, HD95, ASSD and NSD in pixels and mm of every pick, makes the rows.
- plain: SamPredictor, `set_image` once per slice, `predict` once per prompt, Dice of three
  candidates, the two picks (oracle, predicted IoU) measured as MedPy does it: each of Hausdorff,
  HD95 and ASSD by its own two distance transforms of the whole slice. No single-mask token, no
  NSD, no mm, no rows: less work.
- floor: segment_anything's own modules on the same prompts, grouped alike, 64 at once; neither
  enlarging nor scoring.

`samscope parity` compares the masks of both ways. Everything is timed and compared by
`benchmarks/everything.py`.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from engine.collection.contract import SlicePixels
from engine.collection.reading import read_slices
from engine.evaluate import Evaluator
from engine.models.decoding import low_res_logits, prompt_tensors
from engine.models.numerics import Numerics, numerics_of, prompt_batches
from engine.models.plain import PlainSam
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.plan import Plan, UnitTask
from engine.planning import plan_study, read_study
from engine.prompts.base import Prompt
from engine.scene import Scene, make_scene
from engine.stores import place_of
from engine.study import Study
from engine.trials import first_steps

Mask = NDArray[np.bool_]
FLOOR_BATCH = 64


@dataclass(frozen=True)
class Work:
    """One slice: its task for samscope, its pixels, and its prompts with their objects."""

    task: UnitTask
    pixels: SlicePixels
    scene: Scene
    prompts: tuple[tuple[Prompt, ...], ...]
    truths: tuple[tuple[Mask, ...], ...]

    def __len__(self) -> int:
        return sum(map(len, self.prompts))


@dataclass
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        started = perf_counter()
        found = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - started
        return found


def works(plan: Plan, collection: str, count: int, objects: int) -> Iterator[Work]:
    """`count` slices, evenly over the plan, with the first `objects` of each."""
    units = plan.units
    step = max(1, len(units) // count)
    for unit in units[::step][:count]:
        cells = tuple(cell for cell in unit.cells if not cell.cell.is_factors)
        cells = tuple(c for c in cells if plan.study.strategy(c.cell.strategy).prompted)
        ref = replace(unit.slices[0], objects=unit.slices[0].objects[:objects])
        one = UnitTask(unit.unit_id, unit.data_sha256, False, (ref,), cells)
        (pixels,) = read_slices(collection, [ref])
        scene = make_scene(plan.study, one.slices[0], pixels)
        steps = [
            [step for target in scene.targets for step in first_steps(plan.study, strategy, target)]
            for strategy in plan.study.strategies
            if strategy.prompted
        ]
        yield Work(
            one,
            pixels,
            scene,
            tuple(tuple(step.prompt for step in some) for some in steps),
            tuple(tuple(step.target.mask for step in some) for some in steps),
        )


def samscope(clock: Clock, study: Study, model: SamModel, numerics: Numerics, work: Work) -> None:
    """As an evaluator does it; its own clock says what is decoding and what scoring."""
    rows = clock.time(
        "all",
        lambda: Evaluator(study, {model.card.name: model}, numerics).evaluate(
            work.task, [work.pixels]
        ),
    )
    for cell in rows:
        for stage, seconds in cell.seconds.items():
            clock.seconds[stage] = clock.seconds.get(stage, 0.0) + seconds


def plain(clock: Clock, sam: PlainSam, work: Work) -> None:
    """As a script around SamPredictor and MedPy does it."""
    started = perf_counter()
    clock.time("embed", lambda: sam.look_at(work.scene.image))
    for prompts, truths in zip(work.prompts, work.truths, strict=True):
        for prompt, truth in zip(prompts, truths, strict=True):
            masks, iou = clock.time("decode", lambda p=prompt: plain_masks(sam, p))
            clock.time("score", lambda m=masks, i=iou, t=truth: plain_scores(m, i, t))
    clock.seconds["all"] = clock.seconds.get("all", 0.0) + perf_counter() - started


def plain_masks(sam: PlainSam, prompt: Prompt) -> tuple[Mask, NDArray[np.float32]]:
    """Three masks and their predicted IoU."""
    logits, iou = sam.predict(prompt, multimask=True)
    return logits > 0, iou


def plain_scores(masks: Mask, iou: NDArray[np.float32], truth: Mask) -> list[tuple[float, ...]]:
    """Dice, Hausdorff, HD95 and ASSD of the best and of the model's own choice."""
    dice = [2 * np.sum(m & truth) / (np.sum(m) + np.sum(truth)) for m in masks]
    scores = []
    for pick in {int(np.argmax(dice)), int(np.argmax(iou))}:
        mask = masks[pick]
        if mask.any():
            hd = max(_surface(mask, truth).max(), _surface(truth, mask).max())
            both = np.hstack([_surface(mask, truth), _surface(truth, mask)])
            assd = (_surface(mask, truth).mean() + _surface(truth, mask).mean()) / 2
            scores.append((float(dice[pick]), hd, float(np.percentile(both, 95)), float(assd)))
    return scores


def _surface(a: Mask, b: Mask) -> NDArray[np.float64]:
    """Distance of each border pixel of `a` to the border of `b`."""
    borders = [m ^ binary_erosion(m) for m in (a, b)]
    field: NDArray[np.float64] = distance_transform_edt(~borders[1])[borders[0]]
    return field


@torch.inference_mode()
def floor(clock: Clock, model: SamModel, work: Work) -> None:
    """The networks alone."""
    height, width = work.scene.image.shape[:2]
    size = model.card.input_size
    started = perf_counter()
    frame = torch.zeros((1, 3, size, size))
    features = clock.time("embed", lambda: model.network.image_encoder(frame))
    for prompts in work.prompts:
        for group in prompt_batches(prompts, FLOOR_BATCH):
            some = [prompts[i] for i in group]
            asked = prompt_tensors(some, height, width, size, "cpu")
            clock.time("decode", lambda a=asked: low_res_logits(model.network, features, a))
    clock.seconds["all"] = clock.seconds.get("all", 0.0) + perf_counter() - started


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="samscope, the plain way and the floor")
    parser.add_argument("--collection", default="runs/shared_data.zarr")
    parser.add_argument("--study", type=Path, default=Path("studies/shared_data.yaml"))
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--objects", type=int, default=1, help="of each slice")
    parser.add_argument("--repeats", type=int, default=5)
    said = parser.parse_args(argv)
    torch.set_num_threads(1)
    numerics = numerics_of("cpu")
    place = place_of(said.collection)
    plan = plan_study(read_study(said.study), place, numerics).plan
    model = load_model(plan.study.models[0])
    if not isinstance(model, SamModel):
        raise SystemExit("the study's first model is no SAM")
    sam = PlainSam(model)
    some = list(works(plan, str(place), said.slices, said.objects))
    clocks: dict[str, list[Clock]] = {"samscope": [], "plain": [], "floor": []}
    samscope(Clock(), plan.study, model, numerics, some[0])  # compiles
    for _ in range(said.repeats):
        for clock in clocks.values():
            clock.append(Clock())
        for work in some:
            samscope(clocks["samscope"][-1], plan.study, model, numerics, work)
            floor(clocks["floor"][-1], model, work)
            plain(clocks["plain"][-1], sam, work)
    print(_table(clocks, some))


def _table(clocks: dict[str, list[Clock]], some: Sequence[Work]) -> str:
    count = sum(map(len, some))
    sizes = ", ".join("x".join(map(str, work.scene.image.shape[:2])) for work in some)
    lines = [f"{len(some)} slices ({sizes}), {count} prompts; ms per prompt, medians", ""]
    lines += ["| stage | samscope | plain | floor | plain / samscope | samscope / floor |"]
    lines += ["|---|---|---|---|---|---|"]
    for stage in ("embed", "decode", "score", "all"):
        ms = {
            name: 1000 / count * statistics.median(c.seconds.get(stage, 0.0) for c in some_clocks)
            for name, some_clocks in clocks.items()
        }
        ratios = [
            statistics.median(
                a.seconds.get(stage, 0.0) / b.seconds[stage]
                for a, b in zip(clocks[over], clocks[under], strict=True)
                if b.seconds.get(stage)
            )
            if any(b.seconds.get(stage) for b in clocks[under])
            else float("nan")
            for over, under in (("plain", "samscope"), ("samscope", "floor"))
        ]
        lines.append(
            f"| {stage} | {ms['samscope']:.2f} | {ms['plain']:.2f} | {ms['floor']:.2f} "
            f"| {ratios[0]:.1f} | {ratios[1]:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
