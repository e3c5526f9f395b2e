"""What one GPU does with SAM: encoder, decoder, Everything, scoring, precision, projected hours.

    python benchmarks/gpu.py                          (minutes on a GPU; weights are random)
    python benchmarks/gpu.py --device cpu --models tiny --quick       (to see that it runs)

One process, no Ray, no files. Every figure is a median of synchronised repeats on one device; the
share of the peak is against a large product measured in the same run. Random weights cost what
trained ones do, but for Everything, where masks depend on them: both ends are timed, no mask kept
and every mask kept. Differences of precision need trained weights: those of `tiny`.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from distances import blob
from torch.utils.flop_counter import FlopCounterMode

from engine.bench.machine import Machine
from engine.models.decoding import prompt_tensors
from engine.models.network import SamConfig, empty_network
from engine.models.numerics import deterministic, numerics_of, torch_device
from engine.models.prompt_decoder import CANDIDATE_TOKENS
from engine.models.registry import load_model, read_config
from engine.models.sam import SamModel
from engine.prompts.base import Box, Point, Prompt
from engine.scoring.distances import TruthBorder
from engine.scoring.score import score_batch
from engine.study import EverythingParams, ModelChoice

COSMOS = (1_050_000, 6_030_000)
"""Slices and masks of the paper's collection."""

TRIALS = 50
"""Prompted trials of a mask: five strategies, ten of each with the paper's jitter."""

PROMPTS = {
    "1 point": Prompt(points=(Point(x=250, y=250, positive=True),)),
    "box": Prompt(box=Box(x0=100, y0=100, x1=300, y1=300)),
    "10 points": Prompt(points=tuple(Point(x=9 * k, y=250, positive=k < 5) for k in range(10))),
}
SIDE = 512
KEEP_ALL = EverythingParams(pred_iou_thresh=-1e9, stability_score_thresh=0, box_nms_thresh=1)
KEEP_NONE = EverythingParams(pred_iou_thresh=1e9)


@dataclass(frozen=True)
class Bench:
    """A device and how often to repeat."""

    device: torch.device
    repeats: int

    def seconds(self, work: Callable[[], Any]) -> float:
        """Median time of `work`, after two warm-ups."""
        taken = []
        for k in range(self.repeats + 2):
            self.wait()
            started = perf_counter()
            work()
            self.wait()
            if k >= 2:
                taken.append(perf_counter() - started)
        return statistics.median(taken)

    def wait(self) -> None:
        """Until the device has done what it was asked."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def peak(self, dtype: torch.dtype, side: int) -> float:
        """FLOP/s of a large product."""
        a = torch.randn(side, side, device=self.device).to(dtype)
        return float(2 * side**3 / self.seconds(lambda: a @ a))


def encoder_flop(config: SamConfig) -> float:
    """Of one image, as segment_anything writes it; counted without computing."""
    network = config.network
    frame = torch.zeros((1, 3, network.input_size, network.input_size), device="meta")
    with FlopCounterMode(display=False) as counter:
        empty_network(network).image_encoder(frame)
    return float(counter.get_total_flops())


def picture(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8[y, x] with a bright blob on noise."""
    noise = np.random.default_rng(seed).integers(0, 90, (SIDE, SIDE))
    shown = noise + 140 * blob(SIDE, 0.5, 0.5, 0.2 + 0.02 * (seed % 7), 3 + seed % 5)
    return shown.astype(np.uint8)


def encoder_rows(
    bench: Bench, model: SamModel, flop: float, peak: float, batches: Sequence[int]
) -> Iterator[tuple[str, float]]:
    """A line and ms per image for each batch."""
    size = model.card.input_size
    for batch in batches:
        frames = torch.randn(batch, 3, size, size, device=bench.device)
        with deterministic(bench.device):
            seconds = bench.seconds(lambda f=frames: model.encoder(f)) / batch
        share = flop / seconds / peak
        ms = 1000 * seconds
        yield f"| {model.card.name} | {batch} | {ms:.2f} | {flop / 1e9:.0f} | {share:.0%} |", ms


def decoder_rows(
    bench: Bench, model: SamModel, chunks: Sequence[int]
) -> Iterator[tuple[str, float]]:
    """A line and microseconds per prompt for each kind and chunk; last, with masks enlarged."""
    embedding, decoder = model.embed([picture()])[0], model.decoder
    for name, prompt in PROMPTS.items():
        for chunk in chunks:
            size = model.card.input_size
            asked = prompt_tensors([prompt] * chunk, SIDE, SIDE, size, bench.device)

            def work(asked: Any = asked) -> None:
                attended = decoder.attend(embedding.features, asked)
                decoder.predicted_iou(attended)
                decoder.logits(attended, CANDIDATE_TOKENS)

            with deterministic(bench.device):
                micro = 1e6 * bench.seconds(work) / chunk
            yield f"| {model.card.name} | {name} | {chunk} | {micro:.1f} |", micro
    chunk = model.numerics.decode_batch_for(SIDE, SIDE)
    many = [PROMPTS["10 points"]] * chunk
    micro = 1e6 * bench.seconds(lambda: model.decode(embedding, many)) / chunk
    yield (
        f"| {model.card.name} | 10 points, four masks of {SIDE} px | {chunk} | {micro:.1f} |",
        micro,
    )


def everything_rows(bench: Bench, model: SamModel) -> Iterator[tuple[str, float]]:
    """A line and ms for each end: nothing kept after the predicted IoU, and everything kept."""
    embedding = model.embed([picture()])[0]
    for name, params in (("no mask kept", KEEP_NONE), ("every mask kept", KEEP_ALL)):
        ms = 1000 * bench.seconds(lambda p=params: model.everything(embedding, p))
        yield f"| {model.card.name} | {name} | {ms:.1f} |", ms


def scoring_row(bench: Bench, model: SamModel, trials: int) -> tuple[str, float]:
    """A line and ms per trial: counts, picks and all distances, masks where the model left them."""
    truth = TruthBorder.from_mask(blob(SIDE, 0.5, 0.5, 0.2), (0.7, 0.7))
    said = model.decode(model.embed([picture()])[0], [PROMPTS["box"]] * trials)
    masks, ious = list(said.masks), list(said.predicted_iou)
    work = lambda: score_batch([truth] * trials, masks, ious, model.card.candidates)  # noqa: E731
    ms = 1000 * bench.seconds(work) / trials
    return f"| {model.card.name} | {trials} | {ms:.3f} |", ms


def precision_row(device: str, count: int) -> str:
    """Dice of `tiny` from boxes in both precisions, on blobs."""
    models = [
        load_model(ModelChoice(name="tiny"), device, precision)
        for precision in ("float32", "bfloat16")
    ]
    dice = np.array([[_dice(model, seed) for model in models] for seed in range(count)])
    moved = dice[:, 1] - dice[:, 0]
    return (
        f"| tiny | {count} | {dice[:, 0].mean():.4f} | {moved.mean():+.5f} | "
        f"{np.abs(moved).max():.5f} |"
    )


def _dice(model: Any, seed: int) -> float:
    truth = blob(SIDE, 0.5, 0.5, 0.2 + 0.02 * (seed % 7), 3 + seed % 5)
    rows, columns = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    box = Box(x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]), y1=int(rows[-1]))
    said = model.decode(model.embed([picture(seed)])[0], [Prompt(box=box)])
    best = int(np.argmax(said.predicted_iou[0][:3]))
    mask = torch.as_tensor(said.masks[0][best]).cpu().numpy()
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="SAM on one device, without Ray")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=["vit_b", "vit_l", "vit_h"])
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    said = parser.parse_args(argv)
    device = torch_device(said.device)
    numerics = numerics_of(said.device, said.precision)
    bench = Bench(device, 1 if said.quick else 9)
    batches, chunks = ((1, 2), (4,)) if said.quick else ((1, 2, 4, 8, 16), (16, 64, 128, 256))
    dtype = torch.bfloat16 if numerics.dtype == "bfloat16" else torch.float32
    peak = bench.peak(dtype, 512 if said.quick else 8192)
    print(f"{Machine.here(numerics)}\npeak of a product: {peak / 1e12:.2f} TFLOP/s\n")
    print("| model | batch | encoder ms per image | GFLOP | share of peak |\n|---|---|---|---|---|")
    models: dict[str, SamModel] = {}
    best: dict[str, list[float]] = {}
    for name in said.models:
        config = read_config(name)
        model = load_model(ModelChoice(name=name, init_seed=0), said.device, said.precision)
        if not isinstance(config, SamConfig) or not isinstance(model, SamModel):
            raise SystemExit(f"{name} is no SAM")
        models[name] = model
        found = list(encoder_rows(bench, model, encoder_flop(config), peak, batches))
        print(*(line for line, _ in found), sep="\n", flush=True)
        best[name] = [min(ms for _, ms in found)]
    print("\n| model | prompt | chunk | decoder us per prompt |\n|---|---|---|---|")
    for name, model in models.items():
        found = list(decoder_rows(bench, model, chunks))
        print(*(line for line, _ in found), sep="\n", flush=True)
        best[name].append(found[-1][1] / 1000)
    print("\n| model | Everything, 1,024 points | ms |\n|---|---|---|")
    for name, model in models.items():
        found = list(everything_rows(bench, model))
        print(*(line for line, _ in found), sep="\n", flush=True)
        best[name].append(found[-1][1])
    print("\n| model | trials | scoring ms per trial |\n|---|---|---|")
    for name, model in models.items():
        line, ms = scoring_row(bench, model, 4 if said.quick else 64)
        print(line, flush=True)
        best[name].append(ms)
    print("\n| weights | blobs | Dice float32 | bfloat16 minus float32 | largest |")
    print("|---|---|---|---|---|")
    print(precision_row(said.device, 2 if said.quick else 50))
    print(f"\n| model | hours for {COSMOS[0]:,} slices, {COSMOS[1]:,} masks, six strategies |")
    print("|---|---|")
    for name, (encode, decode, everything, score) in best.items():
        ms = COSMOS[0] * (encode + everything) + COSMOS[1] * TRIALS * (decode + score)
        print(f"| {name} | {ms / 3.6e6:,.1f} |")


if __name__ == "__main__":
    main()
