"""What each trick of the decoder gains: it is taken away alone, everything else stays.

    python benchmarks/decoder.py            (two minutes)

Per prompt, one thread, medians; the order of the variants turns with every repeat. `tiny` and a
decoder of the official size (256 wide, 64 x 64 pixels, weights drawn from a seed), asked with one
point and with ten. Equality is tested in `tests/models`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare import compare

from engine.models import enlarge, prompt_decoder, two_way
from engine.models.base import Embedding
from engine.models.decoding import low_res_logits, prompt_tensors
from engine.models.everything import segment_everything
from engine.models.numerics import deterministic, numerics_of
from engine.models.prompt_decoder import CANDIDATE_TOKENS
from engine.models.registry import load_model
from engine.models.sam import SamModel
from engine.prompts.base import Point, Prompt
from engine.study import EverythingParams, ModelChoice

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from oracles.enlarge import enlarge as two_steps

HEIGHT, WIDTH = 512, 512


def decoder(model: SamModel, points: int, batch: int) -> None:
    """Transformer and masks of one batch."""
    rng = np.random.default_rng(0)
    prompts = [
        Prompt(
            tuple(
                Point(int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)), k < 5)
                for k in range(points)
            )
        )
        for _ in range(batch)
    ]
    size = model.card.input_size
    side = size // 16
    channels = model.network.mask_decoder.transformer_dim
    embedding = torch.randn((channels, side, side), generator=torch.Generator().manual_seed(0))
    asked = prompt_tensors(prompts, HEIGHT, WIDTH, size, "cpu")
    own = model.decoder
    features = own.prepare(embedding)

    def fast() -> tuple[torch.Tensor, torch.Tensor]:
        attended = own.attend(features, asked)
        return own.logits(attended, CANDIDATE_TOKENS), own.predicted_iou(attended)

    def absorbing(answer: bool) -> Callable[[], Any]:
        def work() -> None:
            rule, two_way.absorbs = two_way.absorbs, lambda *_: answer
            fast()
            two_way.absorbs = rule

        return work

    def all_tokens() -> None:
        prompt_decoder.attend = lambda net, shared, tokens, _: two_way.attend(
            net, shared, tokens, tokens.shape[1]
        )
        fast()
        prompt_decoder.attend = two_way.attend

    title = f"{model.card.name}, {points} point{'s' * (points > 1)}, batch {batch}"
    with deterministic(model.device):
        compare(
            title,
            {
                "samscope": fast,
                "slice's part anew for every batch": lambda: (own.prepare(embedding), fast()),
                "never absorbed": absorbing(False),
                "always absorbed": absorbing(True),
                "prompts' tokens look again": all_tokens,
                "segment_anything's modules": lambda: low_res_logits(
                    model.network, embedding[None], asked
                ),
            },
            per=batch,
        )
        logits = fast()[0]
        compare(
            f"{title}: enlarging to {HEIGHT} x {WIDTH}",
            {
                "one step, counted": lambda: enlarge.enlarged_masks(logits, HEIGHT, WIDTH, size),
                "two steps": lambda: [
                    (two_steps(one[None], HEIGHT, WIDTH, size) > 0).numpy() for one in logits
                ],
            },
            per=batch,
        )


def everything(model: SamModel) -> None:
    """Everything with masks of all prompts, or of those worth it."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    embedding: Embedding = model.embed([image])[0]

    def work(threshold: float) -> Callable[[], object]:
        params = EverythingParams(pred_iou_thresh=threshold, stability_score_thresh=0.99)
        arguments = (model.decoder, embedding, params, model.card.input_size, numerics_of("cpu"))
        return lambda: segment_everything(*arguments, on_device=False)

    with deterministic(model.device):
        compare(
            "Everything of a slice, 1024 points",
            {"no prompt passes the predicted IoU": work(0.999), "all pass": work(-1)},
        )


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| work | variant | ms | ratio |\n|---|---|---|---|")
    tiny = load_model(ModelChoice(name="tiny"))
    official = load_model(ModelChoice(name="vit_b", init_seed=0))
    assert isinstance(tiny, SamModel)
    assert isinstance(official, SamModel)
    for points in (1, 10):
        decoder(tiny, points, 16)
        decoder(official, points, 4)
    everything(tiny)


if __name__ == "__main__":
    main()
