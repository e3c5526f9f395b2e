"""SAM's prompt encoder and mask decoder for many prompts of one slice.

The same function as `segment_anything`'s (equal up to rounding), with the slice's own part done
once and in stages, so that masks are made only of the prompts that are worth it.

In a lower dtype than float32 the products of the transformer and of the upscaling are in it, and
nothing else: coordinates would move by pixels, and the last product's sign is the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

from engine.models.decoding import PromptTensors
from engine.models.numerics import products_in
from engine.models.two_way import SharedImage, attend, share

SINGLE_TOKEN = 0
"""The decoder's single-mask token comes first: candidate 3."""

MULTIMASK_TOKENS = (1, 2, 3)
"""Mask tokens of candidates 0, 1, 2."""

CANDIDATE_TOKENS = (*MULTIMASK_TOKENS, SINGLE_TOKEN)
"""Mask tokens in the order of the candidates."""


@dataclass(frozen=True, eq=False)
class SliceFeatures:
    """A slice, encoded and made ready for prompts.

    Attributes:
        embedding: float[c, h, w], the image encoder's output.
        shared: what all prompts of the slice have in common.
    """

    embedding: Tensor
    shared: SharedImage


@dataclass(frozen=True, eq=False)
class Attended:
    """Prompts after the transformer, before any mask.

    Attributes:
        tokens: float[n, 5, c]: IoU token and four mask tokens.
        image: float[n, p, c], each prompt's image, pixels row-major.
    """

    tokens: Tensor
    image: Tensor

    def take(self, which: Tensor) -> Attended:
        """Only some prompts, by bool[n] or index."""
        return Attended(self.tokens[which], self.image[which])


class PromptDecoder:
    """Decoder of one network, with its weights laid out for products of pixels and channels.

    Args:
        network: a `segment_anything` Sam module; its weights must not change afterwards.
        dtype: of products and attention.
    """

    def __init__(self, network: Any, dtype: torch.dtype = torch.float32) -> None:
        self._products = partial(products_in, dtype, network.device)
        self._encoder = network.prompt_encoder
        self._decoder = decoder = network.mask_decoder
        first, norm, _, second, _ = decoder.output_upscaling
        self._norm = norm
        with torch.no_grad():
            self._outputs = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
            self._first, self._first_bias = _as_product(first)
            self._second, self._second_bias = _as_product(second)

    def prepare(self, embedding: Tensor) -> SliceFeatures:
        """Do a slice's part. Args: embedding: float[c, h, w]."""
        dense = embedding + self._encoder.no_mask_embed.weight.view(-1, 1, 1)
        position = self._encoder.get_dense_pe()[0]
        image, position = (x.flatten(1).T.contiguous() for x in (dense, position))
        with self._products():
            shared = share(self._decoder.transformer, image, position)
        return SliceFeatures(embedding, shared)

    def attend(self, features: SliceFeatures, prompts: PromptTensors) -> Attended:
        """Take prompts through the transformer in one pass."""
        points = None if prompts.coords is None else (prompts.coords, prompts.labels)
        sparse, _ = self._encoder(points=points, boxes=prompts.boxes, masks=None)
        outputs = self._outputs.expand(len(sparse), -1, -1)
        tokens = torch.cat([outputs, sparse], dim=1)
        count = len(self._outputs)
        with self._products():
            return Attended(*attend(self._decoder.transformer, features.shared, tokens, count))

    def predicted_iou(self, attended: Attended) -> Tensor:
        """float[n, 4], by mask token."""
        iou: Tensor = self._decoder.iou_prediction_head(attended.tokens[:, 0])
        return iou

    def logits(self, attended: Attended, tokens: tuple[int, ...]) -> Tensor:
        """float[n, len(tokens), 4h, 4w]: masks of these tokens at the decoder's resolution."""
        with self._products():
            upscaled = self._upscaled(attended.image)
        mlps = self._decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlps[k](attended.tokens[:, 1 + k]) for k in tokens], dim=1)
        masks = hyper @ upscaled.transpose(1, 2)
        height, width = self._encoder.image_embedding_size
        n, k, _ = masks.shape
        # [n, k, y, x, y2, x2, y4, x4]: a pixel's four parts, and their four.
        parts = masks.view(n, k, height, width, 2, 2, 2, 2)
        return parts.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(n, k, 4 * height, 4 * width)

    def _upscaled(self, image: Tensor) -> Tensor:
        """float32[n, 16 p, c / 8] of float32[n, p, c]: each pixel's parts, one after the other."""
        n, p, c = image.shape
        # Each transposed convolution has stride 2 and a 2 x 2 kernel: one product per pixel.
        quarter, eighth = self._first_bias, self._second_bias
        x = (image.reshape(n * p, c) @ self._first).view(n * p * 4, len(quarter)) + quarter
        norm = self._norm
        x = gelu(layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        return gelu((x @ self._second).view(n, p * 16, len(eighth)) + eighth)


def _as_product(convolution: Any) -> tuple[Tensor, Tensor]:
    """float[in, 4 out] and float[out] of a transposed convolution of stride and kernel 2."""
    weight = convolution.weight.permute(0, 2, 3, 1)
    return weight.reshape(len(weight), -1).contiguous(), convolution.bias
