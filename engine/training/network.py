"""The network being trained: loaded by the registry's rules, with gradients where it learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import UserError
from engine.models.network import NetworkConfig, SamConfig, filled_network
from engine.models.preprocessing import sam_input
from engine.models.registry import request
from engine.models.weights import Weights, obtain_weights
from engine.training.config import TrainingConfig
from engine.training.kindle import kindle


class Trainee:
    """A SAM on a device.

    Attributes:
        architecture: name of its model configuration.
        config: sizes of the network.
        network: the `segment_anything` Sam module.
        started_from: the weights it began with.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        asked = request(config.model)
        if not isinstance(asked.config, SamConfig):
            raise UserError(
                f"model '{config.model.model}' cannot be trained here",
                where="model",
                got=f"kind '{asked.config.kind}'",
                expected="a model of kind 'sam'",
                remedy="name a SAM, e.g. `model: {name: tiny}`",
            )
        self.device = device
        self.architecture = asked.architecture
        self.config: NetworkConfig = asked.config.network
        self.started_from: Weights = obtain_weights(config.model, self.config, asked.config)
        if config.kindled and not self.started_from.untrained:
            raise UserError(
                f"kindled would overwrite what '{config.model.model}' has learnt",
                where="kindled",
                got="weights that come with samscope",
                remedy="set kindled: false, or draw weights with model.init_seed: 0",
            )
        self.network: Any = filled_network(self.config, dict(self.started_from.state), device)
        if config.kindled:
            kindle(self.network.mask_decoder)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        for parameter in self._learning(config):
            parameter.requires_grad_(True)

    def _learning(self, config: TrainingConfig) -> Iterator[torch.nn.Parameter]:
        """All that is asked to learn and can: the rest would only shrink by weight decay."""
        decoder = self.network.mask_decoder
        part = self.network if config.learns == "all" else decoder
        deaf: set[torch.nn.Parameter] = set()
        if config.loss.tokens == "single":
            others = list(decoder.output_hypernetworks_mlps)[1:]
            for module in (decoder.iou_prediction_head, *others):
                deaf |= set(module.parameters())
        yield from (parameter for parameter in part.parameters() if parameter not in deaf)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Those that learn, in a fixed order."""
        return [p for p in self.network.parameters() if p.requires_grad]

    @property
    def cells(self) -> int:
        """Side of the decoder's masks."""
        return 4 * (self.config.input_size // self.config.patch_size)

    def precision(self) -> AbstractContextManager[Any]:
        """bfloat16 where a GPU computes, with float32 where torch keeps it; float32 on a CPU."""
        if self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    def inputs(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """float32[n, 3, side, side]: model inputs, made as for evaluation."""
        mean, std = self.network.pixel_mean.cpu(), self.network.pixel_std.cpu()
        size = self.config.input_size
        return torch.stack([sam_input(image, size, mean, std) for image in images])

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """float[n, channels, h, w]: embeddings of model inputs."""
        with self.precision():
            features: torch.Tensor = self.network.image_encoder(inputs.to(self.device))
        return features

    def state(self) -> dict[str, torch.Tensor]:
        """Copies of all tensors, on the CPU."""
        return {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
