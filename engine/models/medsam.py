"""MedSAM behind the model contract: box prompts, one mask, its own normalisation.

Follows the inference script its authors released: the image is stretched to a square, the decoder
is asked for its single mask, and the mask is where sigmoid(logits), enlarged by one bilinear step
straight to the original size, exceeds 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.functional import interpolate

from engine.errors import UserError
from engine.masks import on_host
from engine.models.base import (
    SINGLE,
    Candidates,
    Capabilities,
    Card,
    Embedding,
    EverythingMasks,
    Image,
)
from engine.models.decoding import PromptTensors, box_corners, check_same_shape
from engine.models.image_encoder import ImageEncoder, in_batches
from engine.models.kind import Kind, ModelConfig, Request
from engine.models.network import NetworkConfig, SamConfig, filled_network
from engine.models.numerics import Numerics, deterministic, numerics_of, torch_device
from engine.models.preprocessing_medsam import MEDSAM_PREPROCESSING, medsam_input, to_square
from engine.models.prompt_decoder import SINGLE_TOKEN, PromptDecoder
from engine.models.registry import read_config
from engine.models.weights import Weights, obtain_weights
from engine.prompts.base import Prompt
from engine.study import EverythingParams, Precision

MASK_PROBABILITY = 0.5


class MedSamConfig(ModelConfig):
    """A model YAML of kind `medsam`.

    Attributes:
        network: built-in name or YAML path of the SAM whose shape the weights have.
    """

    kind: Literal["medsam"]
    network: str = "vit_b"

    def shape(self) -> NetworkConfig:
        """The network's configuration. Raises UserError when `network` is no SAM."""
        config = read_config(self.network)
        if not isinstance(config, SamConfig):
            raise UserError(
                "a medsam model needs the shape of a SAM",
                where="field network",
                got=f"'{self.network}' of kind {config.kind}",
                expected="a model of kind sam, e.g. vit_b",
            )
        return config.network


class MedSamModel:
    """A SAM-shaped network asked the way MedSAM was trained to be asked.

    Attributes:
        card: what it declares; candidates (3,).
        network: the `segment_anything` Sam module, in evaluation mode on `device`.
        numerics: device, kernels and batch shapes its results depend on.
        on_device: masks stay where the network is; by default on anything but a CPU.
    """

    def __init__(
        self,
        card: Card,
        network: Any,
        numerics: Numerics,
        device: torch.device,
        *,
        on_device: bool | None = None,
    ) -> None:
        self.card = card
        self.network = network
        self.numerics = numerics
        self.device = device
        self.on_device = device.type != "cpu" if on_device is None else on_device
        self._encoder = ImageEncoder(network.image_encoder, numerics.torch_dtype)
        self._decoder = PromptDecoder(network, numerics.torch_dtype)

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """Encode slices in batches of `numerics.encode_batch`; sizes may differ.

        Args:
            images: uint8[y, x] or uint8[y, x, 3], RGB.

        Raises:
            UserError: not such an image.
        """
        size = self.card.input_size
        with deterministic(self.device):
            frames = (medsam_input(image, size, self.device) for image in images)
            encoded = in_batches(self._encoder, frames, self.numerics.encode_batch)
            return [
                Embedding(self._decoder.prepare(features), image.shape[0], image.shape[1], smaller)
                for (features, smaller), image in zip(encoded, images, strict=True)
            ]

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        """The single mask for each box, in one pass.

        Raises:
            UserError (a ValueError): no prompt, a prompt with points, or one without a box.
        """
        check_same_shape(prompts)
        if any(prompt.points for prompt in prompts):
            raise UserError(
                f"model '{self.card.name}' takes boxes only",
                got="a prompt with points",
                remedy="give it `strategies: [box]` in the study",
            )
        with deterministic(self.device):
            logits, iou = self._low_res(embedding, box_corners(prompts))
            masks = _enlarged_masks(torch.sigmoid(logits), embedding.height, embedding.width)
            kept = masks if self.on_device else on_host(masks)
            return Candidates(kept, iou.cpu().numpy().astype(np.float32))

    def _low_res(
        self, embedding: Embedding, corners: list[list[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """float[n, 1, h, w] logits of the single mask, and float[n, 1] predicted IoU."""
        square = to_square(corners, embedding.height, embedding.width, self.card.input_size)
        boxes = torch.as_tensor(square, dtype=torch.float32, device=self.device)
        attended = self._decoder.attend(embedding.features, PromptTensors(None, None, boxes))
        logits = self._decoder.logits(attended, (SINGLE_TOKEN,))
        iou = self._decoder.predicted_iou(attended)[:, :1]
        return logits, iou

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        """MedSAM was never trained to segment everything. Raises UserError."""
        raise UserError(
            f"model '{self.card.name}' cannot segment everything",
            remedy="give it `strategies: [box]` in the study",
        )


def _enlarged_masks(probability: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """bool[n, 1, height, width]: probabilities enlarged one mask at a time, above one half."""
    masks = probability.new_empty((*probability.shape[:2], height, width), dtype=torch.bool)
    for index in range(len(probability)):
        large = interpolate(
            probability[index : index + 1], (height, width), mode="bilinear", align_corners=False
        )
        masks[index] = large[0] > MASK_PROBABILITY
    return masks


def _card(request: Request, network: NetworkConfig, weights: Weights) -> Card:
    return Card(
        name=request.choice.name,
        architecture=request.architecture,
        input_size=network.input_size,
        preprocessing=MEDSAM_PREPROCESSING,
        precision="float32",
        candidates=(SINGLE,),
        capabilities=Capabilities(points=False, multimask=False, everything=False),
        weights_sha256=weights.sha256,
        trained_on=weights.trained_on,
        trained_subjects=weights.trained_subjects,
        parameters=weights.parameters,
        untrained=weights.untrained,
    )


def _describe(request: Request) -> Card:
    config = request.config_as(MedSamConfig)
    network = config.shape()
    return _card(request, network, obtain_weights(request.choice, network, config))


def _load(request: Request, device: str, precision: Precision) -> MedSamModel:
    config = request.config_as(MedSamConfig)
    network, where = config.shape(), torch_device(device)
    numerics = numerics_of(device, precision)
    weights = obtain_weights(request.choice, network, config)
    module = filled_network(network, weights.state, where)
    return MedSamModel(_card(request, network, weights), module, numerics, where)


def _network(request: Request) -> NetworkConfig:
    return request.config_as(MedSamConfig).shape()


KIND = Kind(schema=MedSamConfig, describe=_describe, load=_load, network=_network)
