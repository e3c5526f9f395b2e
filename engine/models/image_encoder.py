"""SAM's image encoder for batches of slices, its arithmetic arranged anew.

The same function as `segment_anything`'s ImageEncoderViT with relative positions (equal up to
rounding), for one network:

- Attention is fused, see `relative_attention`; tables of relative positions are gathered once.
- Windows are cut out of queries, keys and values instead of out of tokens. A window that juts
  out over the image holds padding, zeros before the projection and hence the projection's bias
  after it: it need not be computed, nor projected back.
- What follows the channels stays with channels last: patches and neck are products per token.

The residual stream, layer norms and the embedding of patches are in float32 for every dtype: in
bfloat16 a step near white is as large as a grey level.

Shapes: n slices, h x w tokens, c channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear

from engine.models.numerics import out_of_memory
from engine.models.relative_attention import RelativeAttention, relative_attention


class ImageEncoder:
    """The encoder of one network, its weights laid out for a dtype.

    Args:
        encoder: a `segment_anything` ImageEncoderViT; its weights must not change afterwards.
        dtype: of products and attention.
    """

    def __init__(self, encoder: Any, dtype: torch.dtype = torch.float32) -> None:
        patches = encoder.patch_embed.proj
        self._patch = patches.kernel_size
        with torch.no_grad():
            self._patches = _Product(patches.weight.flatten(1), patches.bias)
            self._position = encoder.pos_embed.detach()
            side = self._position.shape[1:3]
            self._blocks = [_Block.of(block, side, dtype) for block in encoder.blocks]
            self._neck = _Neck.of(encoder.neck, dtype)

    def __call__(self, frames: Tensor) -> Tensor:
        """float32[n, c, h, w] of float32[n, 3, y, x], normalised and padded."""
        x = self._patches(_patches(frames, *self._patch)) + self._position
        for block in self._blocks:
            x = block(x)
        return self._neck(x)


@dataclass(frozen=True, eq=False)
class _Product:
    """A linear layer of one dtype: float[..., in] of any dtype to float[..., out]."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype) -> _Product:
        """That of a `torch.nn.Linear`; shares its memory where the dtype is its own."""
        bias = layer.bias
        return cls(
            layer.weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)
        )

    def __call__(self, x: Tensor) -> Tensor:
        return linear(x.to(self.weight.dtype), self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class _Block:
    """One transformer block; `window` is the side of its windows in tokens, 0 for none."""

    norms: tuple[Any, Any]
    project: _Product
    attend: RelativeAttention
    join: _Product
    widen: _Product
    narrow: _Product
    heads: int
    window: int

    @classmethod
    def of(cls, block: Any, side: tuple[int, int], dtype: torch.dtype) -> _Block:
        from segment_anything.modeling.image_encoder import get_rel_pos  # see `network`

        attention, window = block.attn, int(block.window_size)
        height, width = (window, window) if window else side
        return cls(
            norms=(block.norm1, block.norm2),
            project=_Product.of(attention.qkv, dtype),
            attend=relative_attention(
                get_rel_pos(height, height, attention.rel_pos_h.detach()),
                get_rel_pos(width, width, attention.rel_pos_w.detach()),
                dtype,
            ),
            join=_Product.of(attention.proj, dtype),
            widen=_Product.of(block.mlp.lin1, dtype),
            narrow=_Product.of(block.mlp.lin2, dtype),
            heads=int(attention.num_heads),
            window=window,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """float32[n, h, w, c] of the same."""
        first, second = self.norms
        x = x + self.join(self._mixed(self.project(first(x))))
        return x + self.narrow(gelu(self.widen(second(x))))

    def _mixed(self, projected: Tensor) -> Tensor:
        """float[n, h, w, c], values mixed: of float[n, h, w, 3 c], tokens projected."""
        n, h, w, _ = projected.shape
        if not self.window:
            return self._attended(projected)
        bias = self.project.bias
        windows = cut(projected, self.window, projected.new_zeros(()) if bias is None else bias)
        return joined(self._attended(windows), n, h, w)

    def _attended(self, projected: Tensor) -> Tensor:
        b, h, w, _ = projected.shape
        q, k, v = projected.view(b, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        return self.attend(q, k, v).transpose(1, 2).reshape(b, h, w, -1)


@dataclass(frozen=True, eq=False)
class _Neck:
    """Two convolutions to the width of the embedding, each followed by a norm over channels."""

    narrow: _Product
    norms: tuple[Any, Any]
    weight: Tensor  # float[c, c, 3, 3]

    @classmethod
    def of(cls, neck: Any, dtype: torch.dtype) -> _Neck:
        first, norm1, second, norm2 = neck
        narrow = _Product(first.weight.detach().flatten(1).to(dtype), None)
        return cls(narrow, (norm1, norm2), second.weight.detach().to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """float32[n, c, h, w] of float32[n, h, w, tokens' channels]."""
        first, second = self.norms
        x = _normed(first, self.narrow(x)).permute(0, 3, 1, 2)
        x = conv2d(x.to(self.weight.dtype), self.weight, padding=1)
        return _normed(second, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


class Encoded(NamedTuple):
    """One frame encoded.

    Attributes:
        features: float32[c, h, w].
        smaller_batch: the batch it was in did not fit into memory and was halved.
    """

    features: Tensor
    smaller_batch: bool


def in_batches(encoder: ImageEncoder, frames: Iterable[Tensor], size: int) -> Iterator[Encoded]:
    """Each frame, encoded in batches of one shape; blanks fill the last.

    Args:
        frames: float32[3, y, x] each.
    """
    source = iter(frames)
    while some := list(islice(source, size)):
        blanks = [torch.zeros_like(some[0])] * (size - len(some))
        passes = _fitting(encoder, torch.stack([*some, *blanks]))
        encoded = [one for features in passes for one in features]
        # A copy for each slice, so that keeping one does not keep the whole batch alive.
        yield from (Encoded(one.clone(), len(passes) > 1) for one in encoded[: len(some)])


def _fitting(encoder: ImageEncoder, batch: Tensor) -> list[Tensor]:
    """A batch encoded in one pass, or in halves where the device has no room for it."""
    try:
        return [encoder(batch)]
    except Exception as problem:
        if len(batch) == 1 or not out_of_memory(problem):
            raise
    # Outside of the handler: an exception holds on to all that its frames had on the device.
    half = len(batch) // 2
    return _fitting(encoder, batch[:half]) + _fitting(encoder, batch[half:])


def cut(tokens: Tensor, side: int, fill: Tensor) -> Tensor:
    """float[n * windows, side, side, c]: windows row-major, as far as they jut out `fill`.

    Args:
        tokens: float[n, h, w, c].
        fill: float[c] or float[].
    """
    n, h, w, c = tokens.shape
    down, across = -(-h // side), -(-w // side)
    if (down * side, across * side) != (h, w):
        whole = fill.expand(n, down * side, across * side, c).clone()
        whole[:, :h, :w] = tokens
        tokens = whole
    windows = tokens.view(n, down, side, across, side, c).transpose(2, 3)
    return windows.reshape(-1, side, side, c)


def joined(windows: Tensor, n: int, h: int, w: int) -> Tensor:
    """float[n, h, w, c]: the tokens of `cut` again, without what jutted out."""
    side, c = windows.shape[2:]
    down, across = -(-h // side), -(-w // side)
    tokens = windows.view(n, down, across, side, side, c).transpose(2, 3)
    return tokens.reshape(n, down * side, across * side, c)[:, :h, :w]


def _patches(frames: Tensor, high: int, wide: int) -> Tensor:
    """float[n, h, w, 3 high wide]: each patch's values as the patches' convolution takes them."""
    n, _, y, x = frames.shape
    cells = frames.view(n, -1, y // high, high, x // wide, wide)
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(3)


def _normed(norm: Any, x: Tensor) -> Tensor:
    """float32[..., c]: the library's LayerNorm2d where channels come last."""
    return layer_norm(x.float(), norm.weight.shape, norm.weight, norm.bias, norm.eps)
