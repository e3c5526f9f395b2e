"""A SAM asked the plain way: by segment_anything's own predictor, a prompt at a time, in float32.

The reference that every arrangement of ours is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import SamscopeError
from engine.models.base import Image
from engine.models.numerics import deterministic
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
    """`SamPredictor` over a model's network, without TF32 and with one CPU thread, as the model."""

    def __init__(self, model: SamModel) -> None:
        from segment_anything import SamPredictor  # long to import: see `network`

        self._predictor = SamPredictor(model.network)
        self._device = model.device

    def look_at(self, image: Image) -> None:
        """Encode a slice: uint8[y, x] or uint8[y, x, 3]."""
        with deterministic(self._device):
            self._predictor.set_image(as_rgb(image))

    def predict(
        self, prompt: Prompt, multimask: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """float32[c, y, x] logits and float32[c] predicted IoU: three masks, or the single one."""
        points, box = prompt.points, prompt.box
        with deterministic(self._device):
            logits, iou, _ = self._predictor.predict(
                point_coords=np.array([[p.x, p.y] for p in points]) if points else None,
                point_labels=np.array([int(p.positive) for p in points]) if points else None,
                box=None if box is None else np.array([box.x0, box.y0, box.x1, box.y1]),
                multimask_output=multimask,
                return_logits=True,
            )
        return logits, iou

    def answer(self, prompt: Prompt) -> PlainAnswer:
        """All four candidates of a prompt.

        Raises:
            SamscopeError: a logit is not finite, so that nothing could be compared.
        """
        many, one = self.predict(prompt, multimask=True), self.predict(prompt, multimask=False)
        logits, iou = (np.concatenate(pair) for pair in zip(many, one, strict=True))
        if not np.isfinite(logits).all():
            raise SamscopeError(
                "the network's logits are not finite",
                got=f"{np.count_nonzero(~np.isfinite(logits))} of {logits.size}",
                remedy="check the weights: samscope info CHECKPOINT",
            )
        return PlainAnswer(logits, iou)


def as_rgb(image: Image) -> Image:
    """uint8[y, x, 3] of uint8[y, x] or itself."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
