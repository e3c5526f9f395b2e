"""What arranging the image encoder anew gains, and what decides between its two attentions.

    python benchmarks/encoder.py            (`tiny`, and one layer of ViT-B's: under a minute)
    python benchmarks/encoder.py vit_b      (the whole of ViT-B too: some minutes)

One slice, one thread, medians in one run; the order of the variants turns with every repeat.
Equality is tested in `tests/models/test_image_encoder.py`.
"""

from __future__ import annotations

import sys
from functools import partial

import torch
from compare import compare

from engine.models import image_encoder
from engine.models.image_encoder import ImageEncoder
from engine.models.numerics import deterministic
from engine.models.registry import load_model
from engine.models.relative_attention import (
    BiasedAttention,
    FoldedAttention,
    RelativeAttention,
    marks,
    relative_attention,
)
from engine.models.sam import SamModel
from engine.study import ModelChoice

CPU = torch.device("cpu")


def folded(rows: torch.Tensor, columns: torch.Tensor, dtype: torch.dtype) -> RelativeAttention:
    """Whatever the rule says."""
    lower = (x.to(dtype) for x in (rows, columns, marks(rows, columns)))
    return FoldedAttention(*lower)


def biased(rows: torch.Tensor, columns: torch.Tensor, dtype: torch.dtype) -> RelativeAttention:
    """Whatever the rule says."""
    return BiasedAttention(rows.to(dtype), columns.to(dtype))


def encoder(name: str, repeats: int) -> None:
    """The whole encoder of a model with drawn weights."""
    model = load_model(ModelChoice(name=name, init_seed=0))
    assert isinstance(model, SamModel)
    net, size = model.network.image_encoder, model.card.input_size
    made = {}
    for way in (relative_attention, folded):
        image_encoder.relative_attention = way
        made[way] = ImageEncoder(net)
    image_encoder.relative_attention = relative_attention
    lower = ImageEncoder(net, torch.bfloat16)
    frame = torch.randn((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    with deterministic(CPU):
        variants = {
            "samscope, float32": partial(made[relative_attention], frame),
            "folded in float32": partial(made[folded], frame),
            "samscope, bfloat16": partial(lower, frame),
            "segment_anything": partial(net, frame),
        }
        compare(f"{name}, encoder", variants, repeats=repeats)


def attention(title: str, windows: int, heads: int, side: int, d: int, repeats: int) -> None:
    """The attention of one block, its projections left out."""
    generator = torch.Generator().manual_seed(0)
    tables = torch.randn((2, side, side, d), generator=generator) / 10
    seen = torch.randn((windows, side * side, 3, heads, d), generator=generator)
    for dtype in (torch.float32, torch.bfloat16):
        asked = seen.to(dtype).permute(2, 0, 3, 1, 4).unbind()
        with deterministic(CPU):
            variants = {
                way.__name__: partial(way(*tables, dtype), *asked) for way in (biased, folded)
            }
            compare(f"{title}, {str(dtype)[6:]}", variants, repeats=repeats)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| work | variant | ms | ratio |\n|---|---|---|---|")
    encoder("tiny", 41)
    attention("tiny, 4 windows of 8 x 8", 4, 5, 8, 32, 101)
    attention("tiny, whole grid of 16 x 16", 1, 5, 16, 32, 101)
    attention("ViT-B, 25 windows of 14 x 14", 25, 12, 14, 64, 7)
    attention("ViT-B, whole grid of 64 x 64", 1, 12, 64, 64, 3)
    for name in sys.argv[1:]:
        encoder(name, 3)


if __name__ == "__main__":
    main()
