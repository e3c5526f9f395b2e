"""What a SAM needs of memory, before it runs: a projection to state, and to refuse by.

Counted are the tensors alive at once at the worst moment of each step, as the code of
`image_encoder`, `two_way`, `prompt_decoder` and `enlarge` makes them. The shapes of batches are
fixed by the numerics and by the slice, never by what a machine has: a machine with too little is
refused, not given other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.models.network import NetworkConfig
from engine.models.numerics import Numerics

FLOAT32 = 4

RESERVED_BYTES = 1280 * 2**20
"""Libraries and interpreter of a worker with what it compiles; on CUDA its context and kernels."""

SLACK = 1.25
"""What allocators keep beside what is asked of them."""

OUTPUT_TOKENS = 5
"""IoU token and four mask tokens."""


@dataclass(frozen=True)
class Workload:
    """The heaviest that a study asks of a model.

    Attributes:
        sizes: (height, width) of the slices, pixels, each once.
        tokens: most sparse tokens of a prompt; 0: no prompts.
        everything: whether the whole slice is segmented.
        candidates: masks of a prompt.
    """

    sizes: Sequence[tuple[int, int]]
    tokens: int
    everything: bool
    candidates: int = 4


@dataclass(frozen=True)
class Projection:
    """Bytes of an evaluator at its worst moment; `encode`, `decode` and `everything` take turns."""

    weights: int
    encode: int
    decode: int
    everything: int
    reserved: int = RESERVED_BYTES

    def beside(self, other: Projection) -> Projection:
        """One evaluator that holds both models and asks one at a time."""
        return Projection(
            self.weights + other.weights,
            max(self.encode, other.encode),
            max(self.decode, other.decode),
            max(self.everything, other.everything),
            max(self.reserved, other.reserved),
        )

    @property
    def total(self) -> int:
        """Sum of what is there at once."""
        return self.reserved + self.weights + max(self.encode, self.decode, self.everything)

    def __str__(self) -> str:
        parts = ", ".join(
            f"{name} {_mib(getattr(self, name))}"
            for name in ("reserved", "weights", "encode", "decode", "everything")
        )
        return f"{_mib(self.total)} ({parts}; the last three take turns)"


def project(
    config: NetworkConfig, parameters: int, numerics: Numerics, workload: Workload
) -> Projection:
    """What an evaluator of this network needs for this work."""
    decode = everything = 0
    if workload.tokens:
        per_prompt = _prompt_bytes(config, workload.tokens)
        # Small slices are decoded in larger batches: any size may be the heaviest.
        for height, width in workload.sizes:
            batch = numerics.decode_batch_for(height, width, workload.candidates)
            masks = batch * workload.candidates * height * width
            decode = max(decode, batch * per_prompt + 2 * masks)
    if workload.everything:
        # A point and the padding token; of its masks at most `mask_bytes` exist unpacked at once.
        everything = numerics.everything_batch * _prompt_bytes(config, 2)
        largest = max(height * width for height, width in workload.sizes)
        everything += 2 * max(numerics.mask_bytes, largest)
    return Projection(
        weights=_weight_bytes(parameters, numerics),
        encode=int(SLACK * numerics.encode_batch * _slice_bytes(config, numerics)),
        decode=int(SLACK * decode),
        everything=int(SLACK * everything),
    )


def _weight_bytes(parameters: int, numerics: Numerics) -> int:
    """The network in float32, and in bfloat16 a second copy of what is multiplied in it."""
    return parameters * (FLOAT32 if numerics.dtype == "float32" else FLOAT32 + 2)


def _slice_bytes(config: NetworkConfig, numerics: Numerics) -> int:
    """One slice in the encoder: the residual twice, and the larger of attention and MLP."""
    encoder = config.encoder
    side = config.input_size // config.patch_size
    tokens = side * side
    size = FLOAT32 if numerics.dtype == "float32" else 2
    residual = 2 * tokens * encoder.width * FLOAT32
    frame = 2 * 3 * config.input_size**2 * FLOAT32
    # Queries, keys and values as projected, filled up to whole windows, cut, and laid out by heads;
    # then what was mixed. Folded queries, keys and padded values are wider by a column for each row
    # and column of the grid.
    folded = numerics.dtype != "float32" or not numerics.device.startswith("cpu")
    wide = 3 * encoder.heads * tokens * 2 * side * size if folded else 0
    attention = tokens * encoder.width * (3 + 3 * 3 * 1.2 + 2) * size + wide
    mlp = 2 * int(encoder.mlp_ratio * encoder.width) * tokens * size
    neck = 12 * tokens * config.decoder.width * FLOAT32  # a 3 x 3 convolution is a product of 9
    return int(frame + residual + max(attention, mlp, neck))


def _prompt_bytes(config: NetworkConfig, sparse_tokens: int) -> int:
    """One prompt in the decoder: the larger of the transformer and the upscaling of masks."""
    decoder = config.decoder
    pixels = (config.input_size // config.patch_size) ** 2
    image = pixels * decoder.width * FLOAT32
    tokens = OUTPUT_TOKENS + sparse_tokens
    scores = decoder.heads * tokens * pixels * FLOAT32
    transformer = 4 * image + 3 * scores
    # 4 x the pixels with a quarter of the channels, then 16 x with an eighth, each before and
    # after its activation; and logits at 4 x the grid, once more while they are put in order.
    upscaling = image + 2 * image + 2 * 2 * image + 2 * 4 * 16 * pixels * FLOAT32
    return 2 * image + max(transformer, upscaling)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
