"""Whether the tensors of a weights file belong to a network, and which one they look like."""

from __future__ import annotations

from engine.errors import CheckpointError
from engine.models.checkpoints import Checkpoint, listed
from engine.models.network import NetworkConfig, SamConfig, Shapes, expected_shapes
from engine.models.registry import model_names, read_config


def check_fits(checkpoint: Checkpoint, network: NetworkConfig, model: str) -> None:
    """Refuse tensors that do not belong to `network`.

    Raises:
        CheckpointError: naming the first missing, unexpected and mis-shaped tensors, and the
            built-in model the file looks like.
    """
    found: Shapes = {name: tuple(t.shape) for name, t in checkpoint.state.items()}
    wrong = differences(found, expected_shapes(network))
    declared = checkpoint.meta.get("network")
    if not wrong and declared is not None and declared != network.model_dump(mode="json"):
        wrong = "equal shapes, but other heads, windows or normalisation"
    if not wrong:
        return
    like = looks_like(found)
    raise CheckpointError(
        f"the checkpoint does not fit model '{model}'",
        where=str(checkpoint.path),
        got=(f"this looks like {like}; " if like else "") + wrong,
        remedy=f"set `model: {like}`" if like else "choose the model these weights belong to",
    )


def differences(found: Shapes, expected: Shapes) -> str:
    """Missing, unexpected and mis-shaped tensors in words; empty when there are none."""
    missing = sorted(expected.keys() - found.keys())
    unexpected = sorted(found.keys() - expected.keys())
    shaped = [
        f"{name} is {list(found[name])} instead of {list(expected[name])}"
        for name in sorted(expected.keys() & found.keys())
        if found[name] != expected[name]
    ]
    parts = [
        f"{len(names)} {label}: {listed(names)}"
        for label, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shaped),
        )
        if names
    ]
    return "; ".join(parts)


def looks_like(found: Shapes) -> str | None:
    """The built-in SAM whose tensors have these names and shapes."""
    for name in model_names():
        config = read_config(name)
        if isinstance(config, SamConfig) and expected_shapes(config.network) == found:
            return name
    return None
