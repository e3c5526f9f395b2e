"""The contract every promptable model fulfils, and the values that cross it.

Coordinates are x = column, y = row on the original pixel grid; a model maps them to its own
input frame itself. Masks come back on the original grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.masks import Masks, Packed, on_host, unpack
from engine.prompts.base import Prompt
from engine.study import EverythingParams

Image = NDArray[np.uint8]
"""uint8[y, x] or uint8[y, x, 3], RGB, 0..255: the image as the model sees it before resizing."""

SINGLE = 3
"""Candidate index of the single-mask token; 0, 1, 2 are the multimask candidates."""


@dataclass(frozen=True)
class Capabilities:
    """What a model can be asked for."""

    points: bool = True
    boxes: bool = True
    mask_input: bool = False
    multimask: bool = True
    everything: bool = True
    video: bool = False


@dataclass(frozen=True)
class Card:
    """What a model declares about itself; enters runs and identities.

    Attributes:
        name: key in every table.
        architecture: registry name or YAML name it was built from.
        input_size: side of the square model input, pixels.
        preprocessing: name and version of the rule from uint8 image to model input.
        precision: dtype of its weights, e.g. `float32`; that of a pass is `Numerics.dtype`.
        candidates: candidate indices `decode` returns, in order; (0, 1, 2, 3) for SAM, (3,) for a
            model with one mask.
        weights_sha256: hash of the loaded tensors, so that untrained weights have one too.
        trained_on: names of datasets seen in training.
        trained_subjects: ids of the subjects seen, where the checkpoint says so; of a dataset with
            none here, every subject counts as seen.
        untrained: the weights were drawn from a seed: scores say nothing about a trained model.
    """

    name: str
    architecture: str
    input_size: int
    preprocessing: str
    precision: str
    candidates: tuple[int, ...]
    capabilities: Capabilities
    weights_sha256: str
    trained_on: tuple[str, ...] = ()
    trained_subjects: tuple[str, ...] = ()
    parameters: int = 0
    untrained: bool = False


@dataclass(frozen=True)
class Embedding:
    """One slice encoded once.

    Attributes:
        features: model-specific tensor(s), without a batch axis.
        height, width: original size of the slice, pixels.
        smaller_batch: it went through the encoder in a smaller batch than the numerics say, because
            the whole one did not fit into memory.
    """

    features: Any
    height: int
    width: int
    smaller_batch: bool = False


@dataclass(frozen=True)
class Candidates:
    """Answers to n prompts of one slice.

    Attributes:
        masks: bool[n, c, y, x] on the original grid; c follows `Card.candidates`. A numpy array, or
            a torch tensor on any device: it is scored where it is, and never copied whole.
        predicted_iou: float32[n, c], the model's own estimate.
    """

    masks: Masks
    predicted_iou: NDArray[np.float32]


@dataclass(frozen=True)
class EverythingMasks:
    """Masks of Everything that survived its filters, in protocol order (section 3, S1).

    Attributes:
        packed: uint8[k, y, ceil(x / 8)], `numpy.packbits(mask, axis=-1)` of each mask; numpy, or a
            torch tensor on any device, as `Candidates.masks`.
        width: x size of the slice.
        predicted_iou, stability_score: float32[k].
        points: float64[k, 2], xy of the grid point, original pixels.
        mask_index: int64[k], 0..2, which mask of that point.
        n_raw: masks before any filter.
        smaller_batch: some points went through the decoder in a smaller batch than the numerics
            say, because the whole one did not fit into memory.
    """

    packed: Packed
    width: int
    predicted_iou: NDArray[np.float32]
    stability_score: NDArray[np.float32]
    points: NDArray[np.float64]
    mask_index: NDArray[np.int64]
    n_raw: int
    smaller_batch: bool = False

    def __len__(self) -> int:
        return len(self.packed)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """bool[y, x] of candidate `index`, on the host."""
        mask: NDArray[np.bool_] = unpack(on_host(self.packed[index]), self.width)
        return mask


class Model(Protocol):
    """A promptable segmentation model. Stateless between calls."""

    @property
    def card(self) -> Card: ...

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """Encode slices; sizes may differ. Each slice's result is independent of the others."""
        ...

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        """Answer prompts of equal token count in one forward pass.

        Raises:
            ValueError: prompts of different token counts, or of a kind the model lacks.
        """
        ...

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        """Segment the whole slice from its embedding (models with the capability only)."""
        ...


def token_count(prompt: Prompt) -> int:
    """Sparse tokens of a prompt in SAM's prompt encoder: a padding point only without a box."""
    return len(prompt.points) + (2 if prompt.box is not None else 1)
