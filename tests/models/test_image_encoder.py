"""The encoder arranged anew against segment_anything's own, and a slice against its neighbours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_samples import MINIATURE, smooth_image
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor

from engine.evaluation.trials import _decode
from engine.models import image_encoder
from engine.models.image_encoder import ImageEncoder, cut, in_batches, joined
from engine.models.network import NetworkConfig, empty_network
from engine.models.relative_attention import (
    BiasedAttention,
    FoldedAttention,
    RelativeAttention,
    marks,
    relative_attention,
)
from engine.models.sam import SamModel
from engine.prompts.base import Point, Prompt
from engine.study import EverythingParams

EQUAL = 1e-5
"""Of the largest value."""


def folded(rows: Tensor, columns: Tensor, dtype: torch.dtype) -> RelativeAttention:
    return FoldedAttention(rows, columns, marks(rows, columns))


def biased(rows: Tensor, columns: Tensor, dtype: torch.dtype, *, few: int) -> RelativeAttention:
    return BiasedAttention(rows, columns, bias_bytes=few)


WAYS: dict[str, Any] = {
    "chosen": relative_attention,
    "folded": folded,
    "a query at a time": partial(biased, few=1),
    "a few queries or windows at a time": partial(biased, few=900),
}


def library(seed: int, **config: Any) -> ImageEncoderViT:
    """An encoder whose every weight matters, relative positions included."""
    made = ImageEncoderViT(use_rel_pos=True, out_chans=16, **config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in made.named_parameters():
            size = 0.5 if value.ndim < 2 or "rel_pos" in name else value[0].numel() ** -0.5
            value.copy_(torch.randn(value.shape, generator=generator) * size)
            value += float("norm" in name or name.startswith(("neck.1", "neck.3")))
    return made


def frames(n: int, side: int, seed: int = 0) -> Tensor:
    return torch.randn((n, 3, side, side), generator=torch.Generator().manual_seed(seed))


def assert_equal(found: Tensor, expected: Tensor, share: float = EQUAL) -> None:
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    apart = (found - expected).abs().max() / expected.abs().max()
    assert apart < share, f"{apart:.1e} of the largest value"


@given(
    grid=st.integers(1, 7),
    window=st.integers(0, 5),
    heads=st.integers(1, 3),
    channels=st.sampled_from([16, 18, 21]),  # a norm over fewer magnifies rounding
    everywhere=st.sets(st.integers(0, 2)),
    n=st.integers(1, 3),
    way=st.sampled_from(sorted(WAYS)),
)
@torch.inference_mode()
def test_equals_the_library(
    grid: int, window: int, heads: int, channels: int, everywhere: set[int], n: int, way: str
) -> None:
    """Windows that fit the grid, jut out of it or are larger than it, and none."""
    net = library(
        grid, img_size=4 * grid, patch_size=4, embed_dim=heads * channels, depth=3,
        num_heads=heads, window_size=window, global_attn_indexes=tuple(everywhere),
    )  # fmt: skip
    seen = frames(n, 4 * grid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_encoder, "relative_attention", WAYS[way])
        assert_equal(ImageEncoder(net)(seen), net(seen))


@pytest.mark.parametrize("way", WAYS)
@torch.inference_mode()
def test_tiny_equals_the_library(
    trained: SamModel, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_encoder, "relative_attention", WAYS[way])
    net, seen = trained.network.image_encoder, frames(2, trained.card.input_size)
    assert_equal(ImageEncoder(net)(seen), net(seen))


@pytest.mark.parametrize("length", [2, 5, 12])
@pytest.mark.parametrize("window", [0, 3])
@torch.inference_mode()
def test_tables_of_another_size_are_stretched_as_the_library_does(length: int, window: int) -> None:
    net = library(
        0, img_size=20, patch_size=4, embed_dim=16, depth=2, num_heads=2, window_size=window
    )
    seen = frames(1, 20)
    before = net(seen)
    for block in net.blocks:
        for name in ("rel_pos_h", "rel_pos_w"):
            table = torch.randn((length, 8), generator=torch.Generator().manual_seed(length))
            setattr(block.attn, name, torch.nn.Parameter(table, requires_grad=False))
    assert (net(seen) - before).abs().max() > 0.01
    assert_equal(ImageEncoder(net)(seen), net(seen))


@torch.inference_mode()
def test_attention_by_hand() -> None:
    """Every score written out, on a grid that is wider than high."""
    h, w, d = 2, 3, 4
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn((3, 2, 2, h * w, d), generator=generator)
    rows = torch.randn((h, h, d), generator=generator)
    columns = torch.randn((w, w, d), generator=generator)
    expected = torch.empty_like(q)
    for b, head, i in np.ndindex(2, 2, h * w):
        scores = [
            float(
                q[b, head, i] @ k[b, head, j] / d**0.5
                + q[b, head, i] @ rows[i // w, j // w]
                + q[b, head, i] @ columns[i % w, j % w]
            )
            for j in range(h * w)
        ]
        weights = np.exp(scores) / np.exp(scores).sum()
        expected[b, head, i] = torch.tensor(weights, dtype=torch.float32) @ v[b, head]
    for way in WAYS.values():
        assert_equal(way(rows, columns, torch.float32)(q, k, v), expected)


@pytest.mark.parametrize(("d", "empty"), [(4, 7), (3, 0), (8, 3)])
def test_marks_by_hand(d: int, empty: int) -> None:
    said = marks(torch.zeros(2, 2, d), torch.zeros(3, 3, d))
    assert said.tolist() == [
        [1, 0, 1, 0, 0, *[0] * empty],
        [1, 0, 0, 1, 0, *[0] * empty],
        [1, 0, 0, 0, 1, *[0] * empty],
        [0, 1, 1, 0, 0, *[0] * empty],
        [0, 1, 0, 1, 0, *[0] * empty],
        [0, 1, 0, 0, 1, *[0] * empty],
    ]


def test_which_way_is_chosen() -> None:
    tables = torch.zeros(2, 2, 4), torch.zeros(2, 2, 4)
    assert isinstance(relative_attention(*tables, torch.float32), BiasedAttention)
    lower = relative_attention(*tables, torch.bfloat16)
    assert isinstance(lower, FoldedAttention)
    assert {x.dtype for x in (lower.rows, lower.columns, lower.marks)} == {torch.bfloat16}


def test_windows_by_hand() -> None:
    tokens = torch.arange(1, 7).view(1, 2, 3, 1)
    windows = cut(tokens, 2, torch.zeros((), dtype=torch.int64))
    assert windows.flatten(1).tolist() == [[1, 2, 4, 5], [3, 0, 6, 0]]
    assert torch.equal(joined(windows, 1, 2, 3), tokens)


@given(
    n=st.integers(1, 3), h=st.integers(1, 6), w=st.integers(1, 6), side=st.integers(1, 7),
)  # fmt: skip
def test_windows_joined_are_the_tokens(n: int, h: int, w: int, side: int) -> None:
    tokens = torch.arange(n * h * w * 2).view(n, h, w, 2)
    assert torch.equal(joined(cut(tokens, side, torch.tensor([-1, -2])), n, h, w), tokens)


@torch.inference_mode()
def test_batches_have_one_shape_and_blanks_say_nothing() -> None:
    shapes = []

    def encoder(batch: Tensor) -> Tensor:
        shapes.append(tuple(batch.shape))
        return batch.sum(dim=(2, 3)).view(-1, 3, 1, 1)

    seen = frames(5, 4)
    for count in range(6):
        encoded = list(in_batches(encoder, iter(seen[:count]), 2))  # type: ignore[arg-type]
        found = [one.features for one in encoded]
        assert not any(one.smaller_batch for one in encoded)
        assert [x.shape for x in found] == [(3, 1, 1)] * count
        assert all(
            torch.equal(x[:, 0, 0], y.sum(dim=(1, 2))) for x, y in zip(found, seen, strict=False)
        )
        assert all(x.untyped_storage().nbytes() == x.nbytes for x in found), "a batch is kept alive"
    assert set(shapes) == {(2, 3, 4, 4)}


@torch.inference_mode()
def test_a_batch_without_room_is_halved_and_says_so() -> None:
    asked = []

    def encoder(batch: Tensor, room: int = 2) -> Tensor:
        asked.append(len(batch))
        if len(batch) > room:
            raise torch.OutOfMemoryError
        return batch.sum(dim=(2, 3)).view(-1, 3, 1, 1)

    seen = frames(6, 4)
    found = list(in_batches(encoder, seen, 5))  # type: ignore[arg-type]
    assert asked == [5, 2, 3, 1, 2] * 2
    assert all(one.smaller_batch for one in found)
    for one, frame in zip(found, seen, strict=True):
        assert torch.equal(one.features[:, 0, 0], frame.sum(dim=(1, 2)))
    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(partial(encoder, room=0), seen, 4))  # type: ignore[arg-type]


def test_trials_of_a_halved_batch_carry_the_note(tiny: SamModel) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    embedding = replace(tiny.embed([image])[0], smaller_batch=True)
    params = EverythingParams(
        points_per_side=2, pred_iou_thresh=-10, stability_score_thresh=0, box_nms_thresh=0.9
    )
    assert tiny.everything(embedding, params).smaller_batch
    assert not tiny.everything(replace(embedding, smaller_batch=False), params).smaller_batch
    (said,) = _decode(tiny, embedding, [Prompt((Point(3, 4, True),))])
    assert said.notes == ("smaller_batch",)


BATCH = 4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("which", ["tiny", "miniature"])
@settings(max_examples=15)
@given(data=st.data())
def test_an_embedding_is_the_same_in_any_place_beside_any_neighbours(
    tiny: SamModel, which: str, dtype: str, data: st.DataObject
) -> None:
    """To the bit: which slices share a unit must not move a number."""
    model = of_batch(tiny, which, dtype)
    count = data.draw(st.integers(1, BATCH))
    place = data.draw(st.integers(0, count - 1))
    seeds = data.draw(st.lists(st.integers(0, 50), min_size=count, max_size=count))
    images = [smooth_image((20 + seed, 64 - seed), seed) for seed in seeds]
    alone = model.embed([images[place]])[0].features
    beside = model.embed(images)[place].features
    assert torch.equal(alone.embedding, beside.embedding)
    for name in ("image", "keys", "values", "queries"):
        assert torch.equal(getattr(alone.shared, name), getattr(beside.shared, name))


MADE: dict[tuple[str, str], SamModel] = {}


def of_batch(tiny: SamModel, which: str, dtype: str) -> SamModel:
    if (which, dtype) not in MADE:
        numerics = replace(tiny.numerics, encode_batch=BATCH, dtype=dtype)
        network, card = tiny.network, tiny.card
        if which == "miniature":
            uneven = {**MINIATURE["encoder"], "window": 3}  # type: ignore[dict-item]
            config = NetworkConfig.model_validate({**MINIATURE, "encoder": uneven})
            network, card = (
                empty_network(config).to_empty(device="cpu"),
                replace(card, input_size=64),
            )
            network.load_state_dict(
                {
                    name: torch.randn(value.shape, generator=torch.Generator().manual_seed(1)) / 4
                    for name, value in network.state_dict().items()
                }
            )
            for name in ("pixel_mean", "pixel_std"):
                setattr(network, name, getattr(tiny.network, name))
        MADE[which, dtype] = SamModel(card, network, numerics, tiny.device)
    return MADE[which, dtype]


@torch.inference_mode()
def test_bfloat16_is_near_float32_and_leaves_as_float32(trained: SamModel) -> None:
    net, seen = trained.network.image_encoder, frames(2, trained.card.input_size)
    expected, found = net(seen), ImageEncoder(net, torch.bfloat16)(seen)
    assert_equal(found, expected, share=0.03)
    assert (found - expected).abs().max() > 100 * EQUAL, "as if nothing were in bfloat16"
