"""SAM-shaped networks from a configuration, built without weights."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from engine.configuration import Frozen
from engine.models.kind import ModelConfig

Shapes = dict[str, tuple[int, ...]]


class EncoderConfig(Frozen):
    """The image encoder, a vision transformer with windowed attention.

    `window` is the side of an attention window in patches (0: none); the blocks in
    `global_blocks` attend to the whole image.
    """

    width: int = Field(ge=1)
    depth: int = Field(ge=1)
    heads: int = Field(ge=1)
    global_blocks: tuple[int, ...] = ()
    window: int = Field(14, ge=0)
    mlp_ratio: float = Field(4.0, gt=0)


class DecoderConfig(Frozen):
    """Prompt encoder and mask decoder; `width` is also the depth of the image embedding."""

    width: int = Field(256, ge=8)
    depth: int = Field(2, ge=1)
    heads: int = Field(8, ge=1)
    mlp_width: int = Field(2048, ge=1)
    iou_depth: int = Field(3, ge=1)
    iou_width: int = Field(256, ge=1)
    mask_channels: int = Field(16, ge=4)


class NetworkConfig(Frozen):
    """All that turns tensors into a function: sizes, heads, windows and normalisation."""

    input_size: int = Field(1024, ge=16, le=4096)
    patch_size: int = Field(16, ge=4)  # masks have 4 x 4 logits a patch, none finer than a pixel
    encoder: EncoderConfig
    decoder: DecoderConfig = DecoderConfig()
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    @model_validator(mode="after")
    def _fits(self) -> NetworkConfig:
        encoder, decoder = self.encoder, self.decoder
        if self.input_size % self.patch_size:
            raise ValueError("input_size must be a multiple of patch_size")
        if encoder.width % encoder.heads:
            raise ValueError("encoder.width must be a multiple of encoder.heads")
        if any(not 0 <= block < encoder.depth for block in encoder.global_blocks):
            raise ValueError(f"encoder.global_blocks must lie in 0..{encoder.depth - 1}")
        if decoder.width % 8 or (decoder.width // 2) % decoder.heads:
            raise ValueError("decoder.width must be a multiple of 8 and of 2 * decoder.heads")
        return self


class SamConfig(ModelConfig):
    """A model YAML of kind `sam`."""

    kind: Literal["sam"]
    network: NetworkConfig


def empty_network(config: NetworkConfig) -> Any:
    """The `Sam` module of `config` in evaluation mode, its parameters on torch's meta device."""
    with torch.device("meta"):
        network = _parts().Sam(
            image_encoder=_encoder(config),
            prompt_encoder=_prompt_encoder(config),
            mask_decoder=_decoder(config.decoder),
        )
    for name in ("pixel_mean", "pixel_std"):
        setattr(network, name, torch.tensor(getattr(config, name)).view(3, 1, 1))
    return network.eval()


def expected_shapes(config: NetworkConfig) -> Shapes:
    """Name and shape of every tensor a state dict of `config` holds."""
    return {name: tuple(value.shape) for name, value in empty_network(config).state_dict().items()}


def filled_network(config: NetworkConfig, state: dict[str, torch.Tensor], device: Any) -> Any:
    """The `Sam` module with `state` as its weights, on `device`.

    Args:
        state: exactly the tensors of `expected_shapes`; used in place, not copied, on a CPU.
    """
    network = empty_network(config)
    network.load_state_dict(state, strict=True, assign=True)
    return network.to(device).eval()


def _parts() -> Any:
    """`segment_anything.modeling`; with torchvision it is a quarter of the time that a worker takes
    to begin, which none without a SAM needs."""
    from segment_anything import modeling

    return modeling


def _encoder(config: NetworkConfig) -> Any:
    encoder = config.encoder
    return _parts().ImageEncoderViT(
        img_size=config.input_size,
        patch_size=config.patch_size,
        embed_dim=encoder.width,
        depth=encoder.depth,
        num_heads=encoder.heads,
        mlp_ratio=encoder.mlp_ratio,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=encoder.global_blocks,
        window_size=encoder.window,
        out_chans=config.decoder.width,
    )


def _prompt_encoder(config: NetworkConfig) -> Any:
    side = config.input_size // config.patch_size
    return _parts().PromptEncoder(
        embed_dim=config.decoder.width,
        image_embedding_size=(side, side),
        input_image_size=(config.input_size, config.input_size),
        mask_in_chans=config.decoder.mask_channels,
    )


def _decoder(decoder: DecoderConfig) -> Any:
    parts = _parts()
    return parts.MaskDecoder(
        num_multimask_outputs=3,
        transformer=parts.TwoWayTransformer(
            depth=decoder.depth,
            embedding_dim=decoder.width,
            mlp_dim=decoder.mlp_width,
            num_heads=decoder.heads,
        ),
        transformer_dim=decoder.width,
        iou_head_depth=decoder.iou_depth,
        iou_head_hidden_dim=decoder.iou_width,
    )
