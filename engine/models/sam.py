"""SAM and everything shaped like it, behind the model contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from engine.models.base import Candidates, Capabilities, Card, Embedding, EverythingMasks, Image
from engine.models.decoding import prompt_tensors
from engine.models.enlarge import enlarged_masks
from engine.models.everything import segment_everything
from engine.models.image_encoder import ImageEncoder, in_batches
from engine.models.kind import Kind, Request
from engine.models.network import NetworkConfig, SamConfig, filled_network
from engine.models.numerics import Numerics, deterministic, numerics_of, torch_device
from engine.models.preprocessing import SAM_PREPROCESSING, sam_input
from engine.models.prompt_decoder import CANDIDATE_TOKENS, PromptDecoder
from engine.models.weights import Weights, obtain_weights
from engine.prompts.base import Prompt
from engine.study import EverythingParams, Precision


class SamModel:
    """A Sam network that encodes each slice once and answers any number of prompts on it.

    Attributes:
        card: what it declares.
        network: the `segment_anything` Sam module, in evaluation mode on `device`.
        numerics: device, kernels and batch shapes its results depend on.
        on_device: masks stay where the network is; by default on anything but a CPU.
        encoder, decoder: the network's arithmetic, arranged anew.
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
        self.encoder = ImageEncoder(network.image_encoder, numerics.torch_dtype)
        self.decoder = PromptDecoder(network, numerics.torch_dtype)

    def embed(self, images: Sequence[Image]) -> list[Embedding]:
        """Encode slices in batches of the fixed shape `numerics.encode_batch`.

        Args:
            images: uint8[y, x] or uint8[y, x, 3], RGB; sizes may differ.

        Raises:
            UserError: not such an image, or too elongated for the model.
        """
        size, mean, std = self.card.input_size, self.network.pixel_mean, self.network.pixel_std
        with deterministic(self.device):
            frames = (sam_input(image, size, mean, std) for image in images)
            encoded = in_batches(self.encoder, frames, self.numerics.encode_batch)
            return [
                Embedding(self.decoder.prepare(features), image.shape[0], image.shape[1], smaller)
                for (features, smaller), image in zip(encoded, images, strict=True)
            ]

    def decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> Candidates:
        """Candidates 0, 1, 2 (multimask) and 3 (single-mask token) of each prompt, in one pass.

        Masks are logits > 0 on the original grid after SAM's two bilinear steps.

        Raises:
            UserError (a ValueError): no prompt, or prompts that cannot share a pass.
        """
        height, width, size = embedding.height, embedding.width, self.card.input_size
        with deterministic(self.device):
            tensors = prompt_tensors(prompts, height, width, size, self.device)
            attended = self.decoder.attend(embedding.features, tensors)
            logits = self.decoder.logits(attended, CANDIDATE_TOKENS)
            iou = self.decoder.predicted_iou(attended)[:, CANDIDATE_TOKENS]
            masks = enlarged_masks(logits, height, width, size, on_device=self.on_device)
            return Candidates(masks, iou.cpu().numpy().astype(np.float32))

    def everything(self, embedding: Embedding, params: EverythingParams) -> EverythingMasks:
        """Segment the whole slice; equal to SamAutomaticMaskGenerator, without encoding again."""
        with deterministic(self.device):
            return segment_everything(
                self.decoder, embedding, params, self.card.input_size, self.numerics,
                on_device=self.on_device,
            )  # fmt: skip


def sam_card(request: Request, config: SamConfig, weights: Weights) -> Card:
    """What a SAM-shaped model with these weights declares."""
    return Card(
        name=request.choice.name,
        architecture=request.architecture,
        input_size=config.network.input_size,
        preprocessing=SAM_PREPROCESSING,
        precision="float32",
        candidates=(0, 1, 2, 3),
        capabilities=Capabilities(),
        weights_sha256=weights.sha256,
        trained_on=weights.trained_on,
        trained_subjects=weights.trained_subjects,
        parameters=weights.parameters,
        untrained=weights.untrained,
    )


def _describe(request: Request) -> Card:
    config = request.config_as(SamConfig)
    return sam_card(request, config, obtain_weights(request.choice, config.network, config))


def _load(request: Request, device: str, precision: Precision) -> SamModel:
    config = request.config_as(SamConfig)
    where, numerics = torch_device(device), numerics_of(device, precision)
    weights = obtain_weights(request.choice, config.network, config)
    network = filled_network(config.network, weights.state, where)
    return SamModel(sam_card(request, config, weights), network, numerics, where)


def _network(request: Request) -> NetworkConfig:
    return request.config_as(SamConfig).network


KIND = Kind(schema=SamConfig, describe=_describe, load=_load, network=_network)
