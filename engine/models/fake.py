"""A model for tests whose every answer can be worked out by hand, without a network.

With a box of w x h pixels (inclusive corners):
    candidate 0   the box
    candidate 1   the box less w // 4 columns and h // 4 rows on each side
    candidate 2   the box with w // 4 columns and h // 4 rows more on each side, clipped
    candidate 3   the box less w // 10 columns and h // 10 rows on each side
    a box without area (x0 = x1 or y0 = y1) gives four empty masks
Without a box: discs around the first positive point, squared distance <= r * r, with r from
`radii` for candidates 0..3; without a positive point, four empty masks.
Then, always, a disc of `negative_radius` around every negative point is taken out.

Predicted IoU is fixed per candidate (`predicted_iou`) and by default highest for candidate 2, the
generous one, while candidate 0 usually fits best: `oracle` and `predicted_iou` select differently.

Everything: `tiles` x `tiles` rectangles; tile t (row-major) has predicted IoU
0.99 - 0.08 * rank / tiles^2 with rank = (7 t) mod tiles^2 if 7 does not divide tiles, else t;
stability 1; its point is the tile's centre, mask index 0. Empty tiles of very small slices are
left out. Nothing overlaps, so suppression removes nothing.

Failures on demand (for tests of failure handling) and `seconds_per_slice` (for tests of
scheduling) belong to circumstances, not to the model: they do not enter the weights' hash.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from engine.errors import UserError
from engine.identity import fingerprint
from engine.models.base import Candidates, Capabilities, Card, Embedding, EverythingMasks, Image
from engine.models.kind import Kind, ModelConfig, Request
from engine.models.numerics import Numerics, numerics_of, prompt_shape
from engine.prompts.base import Box, Point, Prompt
from engine.study import EverythingParams, Precision

_RULES = 1
"""Raised when an answer changes, so that stored results are not taken for current ones."""


class FakeFailureError(RuntimeError):
    """The failure a test asked for."""


class FakeConfig(ModelConfig):
    """A model YAML of kind `fake`.

    Attributes:
        fail_on_width: `embed` fails for slices this wide.
        fail_on_corner: `embed` fails for slices whose pixel (0, 0) has this grey level (red).
        fits: more prompts than that in one `decode` find no memory.
        fail_on_x: `decode` fails when a prompt's box begins, or its first point lies, in this
            column.
        die_on_width: `embed` ends the whole process for slices this wide, as a crash would.
        hang_on_width: `embed` does not come back for slices this wide.
        seconds_per_slice: `embed` sleeps that long per slice.
    """

    kind: Literal["fake"]
    radii: tuple[int, int, int, int] = (8, 4, 16, 12)
    negative_radius: int = Field(4, ge=0)
    predicted_iou: tuple[float, float, float, float] = (0.9, 0.7, 0.95, 0.8)
    tiles: int = Field(4, ge=1, le=64)
    fail_on_width: int | None = None
    fail_on_corner: int | None = None
    fits: int | None = None
    fail_on_x: int | None = None
    die_on_width: int | None = None
    hang_on_width: int | None = None
    seconds_per_slice: float = Field(0.0, ge=0)

    def weights_sha256(self) -> str:
        """Hash of all that decides an answer."""
        fields = {"radii", "negative_radius", "predicted_iou", "tiles"}
        return fingerprint({"fake": _RULES, **self.model_dump(mode="json", include=fields)})


class FakeModel:
    """Answers by the rules above. The embedding holds nothing."""

    def __init__(self, card: Card, config: FakeConfig, numerics: Numerics) -> None:
        self.card = card
        self.config = config
        self.numerics = numerics

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """Note each slice's size. Raises FakeFailureError where the configuration says so."""
        return [self._embed(image) for image in images]

    def _embed(self, image: Image) -> Embedding:
        time.sleep(self.config.seconds_per_slice)
        corner = int(np.ravel(image[0, 0])[0])
        if image.shape[1] == self.config.hang_on_width:
            time.sleep(1e6)
        if image.shape[1] == self.config.die_on_width:
            os._exit(9)
        if image.shape[1] == self.config.fail_on_width:
            raise FakeFailureError(f"asked to fail on slices {image.shape[1]} pixels wide")
        if corner == self.config.fail_on_corner:
            raise FakeFailureError(f"asked to fail on slices with corner level {corner}")
        return Embedding(None, image.shape[0], image.shape[1])

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        """Four closed-form masks for each prompt.

        Raises:
            UserError (a ValueError): prompts of different shapes, or none.
            FakeFailureError: where the configuration says so.
        """
        if len({prompt_shape(prompt) for prompt in prompts}) != 1:
            raise UserError("prompts of one decoder pass must have the same shape")
        if self.config.fits is not None and len(prompts) > self.config.fits:
            raise MemoryError(f"asked to have no room for {len(prompts)} prompts")
        if any(_column(prompt) == self.config.fail_on_x for prompt in prompts):
            raise FakeFailureError(f"asked to fail on column {self.config.fail_on_x}")
        masks = np.stack([self._masks(prompt, embedding) for prompt in prompts])
        iou = np.tile(np.array(self.config.predicted_iou, np.float32), (len(prompts), 1))
        return Candidates(masks, iou)

    def _masks(self, prompt: Prompt, embedding: Embedding) -> NDArray[np.bool_]:
        height, width = embedding.height, embedding.width
        masks = np.zeros((4, height, width), np.bool_)
        positive = [point for point in prompt.points if point.positive]
        if prompt.box is not None:
            _fill_boxes(masks, prompt.box)
        elif positive:
            for mask, radius in zip(masks, self.config.radii, strict=True):
                mask |= _disc(positive[0], radius, height, width)
        for point in prompt.points:
            if not point.positive:
                masks &= ~_disc(point, self.config.negative_radius, height, width)
        return masks

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        """The tiles whose fixed scores pass the thresholds, by descending predicted IoU."""
        height, width, tiles = embedding.height, embedding.width, self.config.tiles
        iou = _tile_scores(tiles)
        kept = [
            tile
            for tile in np.argsort(-iou, kind="stable")
            if _passes(iou[tile], params) and _tile(int(tile), tiles, height, width).any()
        ]
        masks = [_tile(int(tile), tiles, height, width) for tile in kept]
        return EverythingMasks(
            packed=np.packbits(np.array(masks, np.bool_).reshape(-1, height, width), axis=-1),
            width=width,
            predicted_iou=iou[kept],
            stability_score=np.ones(len(kept), np.float32),
            points=np.array([_centre(mask) for mask in masks], np.float64).reshape(-1, 2),
            mask_index=np.zeros(len(kept), np.int64),
            n_raw=tiles * tiles,
        )


def _column(prompt: Prompt) -> int | None:
    if prompt.box is not None:
        return prompt.box.x0
    return prompt.points[0].x if prompt.points else None


def _fill_boxes(masks: NDArray[np.bool_], box: Box) -> None:
    """The four box candidates, into bool[4, y, x]."""
    if box.x0 == box.x1 or box.y0 == box.y1:
        return
    w, h = box.x1 - box.x0 + 1, box.y1 - box.y0 + 1
    margins = (0, 0), (-(w // 4), -(h // 4)), (w // 4, h // 4), (-(w // 10), -(h // 10))
    for mask, (dx, dy) in zip(masks, margins, strict=True):
        rows = slice(max(0, box.y0 - dy), box.y1 + dy + 1)
        mask[rows, max(0, box.x0 - dx) : box.x1 + dx + 1] = True


def _disc(point: Point, radius: int, height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.ogrid[:height, :width]
    inside: NDArray[np.bool_] = (x - point.x) ** 2 + (y - point.y) ** 2 <= radius * radius
    return inside


def _tile_scores(tiles: int) -> NDArray[np.float32]:
    """float32[tiles^2]: fixed, distinct predicted IoU of each tile, row-major."""
    count = tiles * tiles
    tile = np.arange(count)
    rank = tile * 7 % count if tiles % 7 else tile
    return (0.99 - 0.08 * rank / count).astype(np.float32)


def _passes(iou: float, params: EverythingParams) -> bool:
    likely = params.pred_iou_thresh <= 0 or iou > params.pred_iou_thresh
    return likely and params.stability_score_thresh <= 1.0


def _tile(index: int, tiles: int, height: int, width: int) -> NDArray[np.bool_]:
    row, column = divmod(index, tiles)
    mask = np.zeros((height, width), np.bool_)
    rows = slice(row * height // tiles, (row + 1) * height // tiles)
    mask[rows, column * width // tiles : (column + 1) * width // tiles] = True
    return mask


def _centre(mask: NDArray[np.bool_]) -> tuple[float, float]:
    y, x = np.nonzero(mask)
    return float(x.mean()), float(y.mean())


def _describe(request: Request) -> Card:
    config = request.config_as(FakeConfig)
    return Card(
        name=request.choice.name,
        architecture=request.architecture,
        input_size=256,
        preprocessing="none-1",
        precision="none",
        candidates=(0, 1, 2, 3),
        capabilities=Capabilities(),
        weights_sha256=config.weights_sha256(),
        trained_on=config.trained_on,
        untrained=True,
    )


def _load(request: Request, device: str, precision: Precision) -> FakeModel:
    config = request.config_as(FakeConfig)
    return FakeModel(_describe(request), config, numerics_of(device, precision))


KIND = Kind(schema=FakeConfig, describe=_describe, load=_load)
