"""The optimiser of a training: AdamW, or Muon for the matrices and AdamW for the rest.

Muon (Jordan et al. 2024) makes every step of a hidden matrix nearly orthogonal, so that directions
with small gradients move as well; with its step scaled to AdamW's (Liu et al. 2025, "Muon is
Scalable for LLM Training") both share one learning rate and one weight decay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from engine.training.config import Optimiser

_BETAS = (0.9, 0.98)


class Optimisers:
    """One or two of torch's optimisers that step together.

    Attributes:
        parts: in a fixed order; their states are kept in that order.
    """

    def __init__(
        self, network: torch.nn.Module, learning: Sequence[torch.nn.Parameter], how: Optimiser
    ) -> None:
        matrices = set(_matrices(network) if how.kind == "muon" else ())
        hidden = [p for p in learning if p in matrices]
        others = [p for p in learning if p not in matrices]
        self.parts: list[torch.optim.Optimizer] = []
        if hidden:
            self.parts.append(
                torch.optim.Muon(
                    hidden, lr=how.lr, weight_decay=how.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )  # fmt: skip
        if others:
            self.parts.append(
                torch.optim.AdamW(others, lr=how.lr, weight_decay=how.weight_decay, betas=_BETAS)
            )

    def step(self, lr: float) -> None:
        """Change the weights by their gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = lr
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Of every part, in order."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """What `state_dict` gave.

        Raises:
            ValueError: of another number of parts, or of other parameters.
        """
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def _matrices(network: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Weights of linear layers; embeddings and kernels are no maps between hidden states."""
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            yield module.weight
