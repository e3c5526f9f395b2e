"""SAM's two-way transformer for many prompts of one slice, with what they share computed once.

The same function as `segment_anything`'s TwoWayTransformer (equal up to rounding), arranged anew:

- In the first layer every prompt looks at the same image, so its three projections are made once
  per slice, and all prompts' queries meet them in one product per head.
- Later, every prompt has an image of its own. There, attention between few tokens and many pixels
  is *absorbed*: the projection of the pixels moves to the tokens, `(x W) . q = x . (W q)`, and the
  projection of values comes after averaging, `a (x W) = (a x) W`. It costs heads x tokens columns
  per pixel instead of half the width, and is used where that is less.

Shapes: n prompts, t tokens, p pixels (row-major), c channels, h heads, d channels per head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention


@dataclass(frozen=True, eq=False)
class SharedImage:
    """A slice as every prompt meets it in the first layer.

    Attributes:
        image: float[p, c], the embedding with the embedding of "no mask prompt" added.
        position: float[p, c], the positional encoding of the pixels.
        keys, values: float[h, p, d], for tokens that attend to the image.
        queries: float[h, p, d], for the image attending to tokens.
    """

    image: Tensor
    position: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


def share(transformer: Any, image: Tensor, position: Tensor) -> SharedImage:
    """Project a slice once for all its prompts.

    Args:
        transformer: a `segment_anything` TwoWayTransformer.
        image, position: float[p, c].
    """
    first = transformer.layers[0]
    placed = image + position
    to_image, to_tokens = first.cross_attn_token_to_image, first.cross_attn_image_to_token
    return SharedImage(
        image,
        position,
        keys=_heads(to_image.k_proj(placed), to_image.num_heads).contiguous(),
        values=_heads(to_image.v_proj(image), to_image.num_heads).contiguous(),
        queries=_heads(to_tokens.q_proj(placed), to_tokens.num_heads).contiguous(),
    )


def attend(
    transformer: Any, shared: SharedImage, tokens: Tensor, outputs: int
) -> tuple[Tensor, Tensor]:
    """The whole transformer.

    Args:
        tokens: float[n, t, c], output tokens and then prompts.
        outputs: how many of the tokens are asked for afterwards.

    Returns:
        float[n, outputs, c] tokens and float[n, p, c] image, one per prompt.
    """
    first, *others = transformer.layers
    # What the first layer says stands for the tokens, unlike later ones: it begins the residual.
    queries = first.norm1(_self_attention(first.self_attn, tokens, tokens).to(tokens.dtype))
    queries = first.norm2(queries + _look_at_shared(first, shared, queries + tokens))
    queries = first.norm3(queries + first.mlp(queries))
    image = first.norm4(_shared_answers(first, shared, queries + tokens, queries))
    placed = image + shared.position
    for layer in others:
        placed_queries = queries + tokens
        queries = queries + _self_attention(layer.self_attn, placed_queries, queries)
        queries = layer.norm1(queries)
        look = layer.cross_attn_token_to_image
        queries = layer.norm2(queries + _look(look, queries + tokens, placed, image))
        queries = layer.norm3(queries + layer.mlp(queries))
        answer = layer.cross_attn_image_to_token
        image = layer.norm4(_answer(answer, placed, image, queries + tokens, queries))
        placed = image + shared.position
    # What becomes of the prompts' own tokens is never asked for: the outputs alone look again.
    look = transformer.final_attn_token_to_image
    queries, tokens = queries[:, :outputs], tokens[:, :outputs]
    queries = queries + _look(look, queries + tokens, placed, image)
    return transformer.norm_final_attn(queries), image


def absorbs(attention: Any, tokens: int) -> bool:
    """Whether absorbing costs less than projecting every pixel to the attention's width."""
    return bool(attention.num_heads * tokens <= attention.internal_dim)


def _self_attention(attention: Any, placed: Tensor, queries: Tensor) -> Tensor:
    heads = attention.num_heads
    mixed = scaled_dot_product_attention(
        _heads(attention.q_proj(placed), heads),
        _heads(attention.k_proj(placed), heads),
        _heads(attention.v_proj(queries), heads),
    )
    return _joined(attention, mixed)


def _look_at_shared(layer: Any, shared: SharedImage, placed_queries: Tensor) -> Tensor:
    """Tokens attend to the one image of all prompts: float[n, t, c]."""
    attention = layer.cross_attn_token_to_image
    n, t, _ = placed_queries.shape
    asked = _heads(attention.q_proj(placed_queries).flatten(0, 1), attention.num_heads)
    mixed = scaled_dot_product_attention(asked[None], shared.keys[None], shared.values[None])
    return _joined(attention, mixed[0].reshape(-1, n, t, asked.shape[-1]).transpose(0, 1))


def _shared_answers(
    layer: Any, shared: SharedImage, placed_queries: Tensor, queries: Tensor
) -> Tensor:
    """The one image plus what it hears from each prompt's tokens: float[n, p, c]."""
    attention = layer.cross_attn_image_to_token
    keys = _heads(attention.k_proj(placed_queries), attention.num_heads)
    n, h, t, d = keys.shape
    scale = 1 / math.sqrt(d)
    # [h, n t, d] x [h, d, p]
    together = (keys * scale).transpose(0, 1).reshape(h, n * t, d)
    weights = (together @ shared.queries.transpose(1, 2)).view(h, n, t, -1).softmax(dim=2)
    return _spoken(attention, weights.transpose(0, 1), queries, shared.image)


def _look(attention: Any, placed_queries: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Tokens attend to their prompt's own image: float[n, t, c]."""
    h = attention.num_heads
    asked = _heads(attention.q_proj(placed_queries), h)  # [n, h, t, d]
    n, _, t, d = asked.shape
    if not absorbs(attention, t):
        keys = _heads(attention.k_proj(placed), h)
        values = _heads(attention.v_proj(image), h)
        return _joined(attention, scaled_dot_product_attention(asked, keys, values))
    # The keys' bias adds the same to every pixel of a token: softmax does not see it.
    asked = (asked / math.sqrt(d)) @ attention.k_proj.weight.view(h, d, -1)  # [n, h, t, c]
    weights = (asked.reshape(n, h * t, -1) @ placed.transpose(1, 2)).softmax(dim=-1)
    means = (weights @ image).view(n, h, t, -1)
    mixed = means @ attention.v_proj.weight.view(h, d, -1).transpose(1, 2)
    # Weights add up to 1, so the values' bias comes through once.
    return _joined(attention, mixed + attention.v_proj.bias.view(h, 1, d))


def _answer(
    attention: Any, placed: Tensor, image: Tensor, placed_queries: Tensor, queries: Tensor
) -> Tensor:
    """Every pixel of a prompt's image attends to the prompt's tokens: float[n, p, c]."""
    h = attention.num_heads
    keys = _heads(attention.k_proj(placed_queries), h)
    n, _, t, d = keys.shape
    if not absorbs(attention, t):
        asked = _heads(attention.q_proj(placed), h)
        values = _heads(attention.v_proj(queries), h)
        return image + _joined(attention, scaled_dot_product_attention(asked, keys, values))
    keys = keys / math.sqrt(d)
    offsets = (keys @ attention.q_proj.bias.view(h, d, 1)).view(n, h * t, 1)
    keys = (keys @ attention.q_proj.weight.view(h, d, -1)).view(n, h * t, -1)
    scores = torch.baddbmm(offsets, keys, placed.transpose(1, 2))
    weights = scores.view(n, h, t, -1).softmax(dim=2)
    return _spoken(attention, weights, queries, image)


def _spoken(attention: Any, weights: Tensor, queries: Tensor, image: Tensor) -> Tensor:
    """`image` plus the tokens' values, weighted and projected: float[n, p, c].

    Args:
        weights: float[n, h, t, p].
        image: float[n, p, c], or float[p, c] for all prompts.
    """
    n, h, t, p = weights.shape
    values = _heads(attention.v_proj(queries), h)
    out = attention.out_proj
    if not absorbs(attention, t):
        mixed = weights.transpose(2, 3) @ values
        return image + _joined(attention, mixed)
    each = out.weight.view(-1, h, values.shape[-1]).permute(1, 2, 0)  # [h, d, c]
    words = (values @ each).view(n, h * t, -1)
    base, heard = image + out.bias, weights.reshape(n, h * t, p).transpose(1, 2)
    if words.dtype != base.dtype:  # a sum inside the product would leave in its lower precision
        apart: Tensor = base + heard @ words
        return apart
    return torch.baddbmm(base.expand(n, p, -1), heard, words)


def _heads(x: Tensor, heads: int) -> Tensor:
    """float[..., h, rows, d] of float[..., rows, h d]."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)


def _joined(attention: Any, mixed: Tensor) -> Tensor:
    """float[n, rows, c]: heads side by side, through the output projection."""
    joined: Tensor = linear(
        mixed.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias
    )
    return joined
