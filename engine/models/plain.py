"""A SAM asked the plain way: by segment_anything's own predictor, a prompt at a time, in float32.

The reference that every arrangement of ours is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from segment_anything import SamPredictor

from engine.models.base import Image
from engine.models.sam import SamModel
from engine.prompts.base import Prompt

SHARE_OF_RANGE = 1e-5
"""A mask's pixel may differ where its logit is nearer to 0 than this share of the logits' range."""


@dataclass(frozen=True, eq=False)
class PlainAnswer:
    """Candidates 0..3 of one prompt.

    Attributes:
        logits: float32[4, y, x], on the image's grid.
        predicted_iou: float32[4].
    """

    logits: NDArray[np.float32]
    predicted_iou: NDArray[np.float32]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """bool[4, y, x]."""
        masks: NDArray[np.bool_] = self.logits > 0
        return masks

    def rounds(self) -> NDArray[np.bool_]:
        """bool[4, y, x]: pixels that rounding may turn."""
        reach = SHARE_OF_RANGE * np.ptp(self.logits, axis=(1, 2), keepdims=True)
        near: NDArray[np.bool_] = np.abs(self.logits) < reach
        return near


class PlainSam:
    """`SamPredictor` over a model's network, with a prompt in and four candidates out."""

    def __init__(self, model: SamModel) -> None:
        self._predictor = SamPredictor(model.network)

    def look_at(self, image: Image) -> None:
        """Encode a slice: uint8[y, x] or uint8[y, x, 3]."""
        rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        self._predictor.set_image(rgb)

    def answer(self, prompt: Prompt) -> PlainAnswer:
        """Decode one prompt twice, with and without multimask output."""
        points, box = prompt.points, prompt.box
        many, one = (
            self._predictor.predict(
                point_coords=np.array([[p.x, p.y] for p in points]) if points else None,
                point_labels=np.array([int(p.positive) for p in points]) if points else None,
                box=None if box is None else np.array([box.x0, box.y0, box.x1, box.y1]),
                multimask_output=multimask,
                return_logits=True,
            )
            for multimask in (True, False)
        )
        return PlainAnswer(
            np.concatenate([many[0], one[0]]), np.concatenate([many[1], one[1]]).astype(np.float32)
        )
