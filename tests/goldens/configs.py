"""The small checkpoints, and how large their random weights are."""

import math
from dataclasses import dataclass, field

BOS, EOS, AUDIO, AUDIO_EOS = 256, 257, 258, 259  # ids of the demo voice's tokenizer, after its 256 bytes
TEXTS = {
    "short": "Hi.",
    "medium": "The little boat sailed across the lake.",
    "long": "I have lost my keys again, and the old clock stopped at midnight, so nobody knew how late it was.",
}


@dataclass
class Case:
    """One prompt and what is stored about it. `context`: (speaker, text, samples) of turns with sound."""

    name: str
    speaker: int
    text: str
    context: list[tuple[int, str, int]] = field(default_factory=list)
    frames: int = 24  # cap of the sampled clips
    greedy: int = 24  # cap of the greedy clip
    logits: int = 2  # frames whose logits are stored
    audio: int = 6  # frames whose sound and latents are stored
    # (seed, (temperature, top_k, depth temperature, depth top_k))
    sampled: list[tuple[int, tuple[float, int, float, int]]] = field(default_factory=list)


@dataclass
class Override:
    """Rows first, first + step, ... of axis 0 have numbers of their own."""

    tensor: str
    first: int
    step: int
    offset: float
    scale: float


@dataclass
class Golden:
    """One checkpoint."""

    name: str
    config: dict
    cases: list[Case]
    dtype: str = "float32"
    shard: str | None = None  # size of a shard
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)  # tensor -> (offset, scale), before the rules below
    overrides: list[Override] = field(default_factory=list)
    zero_column: float | None = None  # what column 0 of every depth head holds
    ends: bool = False  # clips end by themselves
    head_gain: float = 3.0  # about the standard deviation of the logits


def rope(llama3: bool, original: int, low: float, high: float) -> dict:
    """RoPE with or without llama3's scaling, whose wavelengths fall within a short clip."""
    if not llama3:
        return dict(rope_type="default", rope_theta=10_000.0)
    return dict(
        rope_type="llama3", rope_theta=10_000.0, factor=8.0,
        low_freq_factor=low, high_freq_factor=high, original_max_position_embeddings=original,
    )  # fmt: skip


def config(
    k: int, size: int, heads: tuple[int, int], depth_heads: tuple[int, int], *,
    hidden: int = 64, depth: int = 48, head_dim: int = 16, depth_head_dim: int = 12,
    llama3: bool = True, codec: dict | None = None, depth_more: dict | None = None, **more,
) -> dict:  # fmt: skip
    """A small config. `heads`, `depth_heads`: (query heads, key and value heads). `size`: ids of the codec."""
    vocab = size + 3
    return dict(
        num_codebooks=k, vocab_size=vocab, text_vocab_size=260, hidden_size=hidden, intermediate_size=2 * hidden,
        num_hidden_layers=2, num_attention_heads=heads[0], num_key_value_heads=heads[1], head_dim=head_dim,
        max_position_embeddings=2048, rope_parameters=rope(llama3, 64, 0.5, 4.0),
        pad_token_id=AUDIO, codebook_pad_token_id=vocab - 1, codebook_eos_token_id=0,
        audio_token_id=AUDIO, audio_eos_token_id=AUDIO_EOS, bos_token_id=BOS,
        depth_decoder_config=dict(
            num_codebooks=k, backbone_hidden_size=hidden, vocab_size=vocab, hidden_size=depth, intermediate_size=2 * depth,
            num_hidden_layers=2, num_attention_heads=depth_heads[0], num_key_value_heads=depth_heads[1],
            head_dim=depth_head_dim, max_position_embeddings=33, rope_parameters=rope(llama3, 16, 0.25, 2.0),
            **(depth_more or {}),
        ),
        codec_config=dict(
            dict(
                num_filters=4, hidden_size=32, num_quantizers=k, codebook_size=size, codebook_dim=16,
                num_semantic_quantizers=1, vector_quantization_hidden_dimension=16, upsample_groups=32,
                num_hidden_layers=2, intermediate_size=64, num_attention_heads=4, num_key_value_heads=4, head_dim=8,
                sliding_window=250, layer_scale_initial_scale=0.5,
            ),
            **(codec or {}),
        ),
        **more,
    )  # fmt: skip


T09, T07 = (0.9, 50, 0.9, 50), (0.7, 5, 1.3, 20)
SEEDS = (0, 1, 2, 2**32 + 7, 2**64 - 1)
ONE = [(0, TEXTS["short"], 5 * 1920)]
TWO = [(0, TEXTS["medium"], 9 * 1920), (1, TEXTS["short"], 4 * 1920)]
PARTIAL = [(1, TEXTS["short"], 5 * 1920 + 700)]
TWIN_VOCAB = 259

GOLDENS = [
    Golden(
        "mini",
        config(3, 64, (4, 2), (4, 1)),
        [
            Case("plain", 0, TEXTS["medium"], sampled=[(s, T09) for s in SEEDS]),
            Case("one_context", 1, TEXTS["short"], ONE, sampled=[(3, T09), (4, T07)]),
            Case("two_contexts", 0, TEXTS["long"], TWO, sampled=[(5, T07)]),
        ],
    ),
    # The codec's window (7 steps) is shorter than clip and context; a chain of five and one in parallel; two residual units a
    # stage (a dilated one); shared keys and values in the codec; no llama3.
    Golden(
        "window",
        config(
            6, 128, (4, 4), (2, 1), llama3=False,
            codec=dict(sliding_window=7, num_semantic_quantizers=5, num_residual_layers=2, num_key_value_heads=2),
        ),
        [
            Case("plain", 0, TEXTS["long"], audio=12, sampled=[(6, T09)]),
            Case("two_contexts", 1, TEXTS["medium"], TWO, audio=8, sampled=[(7, T07)]),
        ],
    ),  # fmt: skip
    # Own code tables for backbone and depth decoder, biases, head_dim that is not hidden / heads, several shards, a partial
    # last frame in the context.
    Golden(
        "untied",
        config(
            8, 64, (8, 2), (4, 4), head_dim=24, depth_head_dim=20, tie_codebooks_embeddings=False,
            attention_bias=True, mlp_bias=True, depth_more=dict(attention_bias=True, mlp_bias=True),
            codec=dict(num_semantic_quantizers=2, sliding_window=12),
        ),
        [
            Case("plain", 0, TEXTS["short"], sampled=[(8, T09)]),
            Case("partial_context", 0, TEXTS["medium"], PARTIAL, sampled=[(9, T09)]),
        ],
        shard="300KB",
    ),  # fmt: skip
    Golden(
        "bfloat16",
        config(4, 64, (4, 1), (4, 2), hidden=48, depth=32),
        [Case("one_context", 0, TEXTS["medium"], ONE, sampled=[(10, T09)])],
        dtype="bfloat16",
    ),
    Golden(
        "wide",
        config(32, 256, (4, 2), (4, 2)),
        [
            Case("plain", 0, TEXTS["medium"], frames=40, greedy=20, logits=1, sampled=[(11, T09), (12, T07)]),
            Case("two_contexts", 1, TEXTS["long"], TWO, frames=40, greedy=20, logits=1, sampled=[(13, T09), (14, T09)]),
        ],
        head_gain=4.0,
    ),
    # 32 codebooks whose clips end by themselves, for exact against hybrid. All ones is the direction that says "end": code
    # embeddings lean away from it, so codebook 0 has a steady, low logit for id 0 and the other heads have none to speak of;
    # but the depth decoder's embedding of id 0 points along it, so once code 0 is 0 all the others are. Its tables are apart
    # because the depth decoder needs more lean than lets the backbone's clips vary.
    Golden(
        "twin",
        config(32, 256, (4, 2), (4, 2), tie_codebooks_embeddings=False),
        [
            Case("plain", 0, TEXTS["medium"], frames=200, greedy=8, logits=1, sampled=[(s, T09) for s in (1, 0, 2, 3)]),
            Case("one_context", 1, TEXTS["long"], ONE, frames=200, greedy=8, logits=1, sampled=[(s, T09) for s in (5, 4)]),
        ],
        scales={
            "embed_text_tokens.weight": (-0.5, 1.5),
            "backbone_model.embed_tokens.embed_audio_tokens.weight": (-0.03125, 0.453125),
            "depth_decoder.model.embed_tokens.weight": (-0.078125, 0.453125),
            "depth_decoder.model.inputs_embeds_projector.weight": (0.125, 0.5),
        },
        overrides=[
            Override("lm_head.weight", 0, 10**9, -0.171875, 0.0),
            Override("depth_decoder.model.embed_tokens.weight", 0, TWIN_VOCAB, 1.0, 0.0),
        ],
        zero_column=0.5,
        ends=True,
    ),
]


def spread(name: str, shape: list[int], golden: Golden) -> tuple[float, float]:
    """(offset, scale) of a tensor: activations neither die nor explode, logits are peaked, norms and scales are not 1."""
    if name in golden.scales:
        return golden.scales[name]
    fixed = {
        "layernorm.bias": (0.0, 0.25), "norm.weight": (1.0, 0.5), "layer_scale.scale": (0.5, 0.375),
        "cluster_usage": (1.5, 1.0), "embed_sum": (0.0, 2.0), "initialized": (1.0, 0.0),
        ".bias": (0.0, 0.0625), "embed_text_tokens.weight": (0.0, 1.5),
    }  # fmt: skip
    for ending, numbers in fixed.items():
        if name.endswith(ending):
            return numbers
    if name.endswith(("embed_tokens.weight", "embed_audio_tokens.weight")):
        return 0.0, uniform_of(1.5 / math.sqrt(golden.config["num_codebooks"]))
    if name.endswith(("lm_head.weight", "codebooks_head.weight")):
        return 0.0, uniform_of(golden.head_gain / math.sqrt(shape[1]))
    if name.startswith("codec_model.") and len(shape) == 3:
        return 0.0, uniform_of(convolution(name, shape, golden.config["codec_config"]))
    gain = 1.5 if name.endswith(("q_proj.weight", "k_proj.weight")) else 1.0
    return 0.0, uniform_of(gain / math.sqrt(shape[1]))


def convolution(name: str, shape: list[int], codec: dict) -> float:
    """Standard deviation of a convolution's weights."""
    if name.endswith("upsample.conv.weight"):
        return 1 / math.sqrt(2)  # depthwise, two of its four taps a step
    side, _, rest = name.removeprefix("codec_model.").partition(".layers.")
    layer = int(rest.split(".")[0]) if side == "decoder" and rest.endswith(".conv.weight") else 0
    stage = 2 + codec.get("num_residual_layers", 1)  # ELU, transposed convolution, residual units
    if layer == 4 * stage + 2:
        return 1 / 16 / math.sqrt(shape[1] * shape[2])  # the last: samples within -1 to 1
    if "block" not in rest and layer % stage == 2:
        return 1 / math.sqrt(2 * shape[0])  # transposed: (in, out, kernel of two strides)
    return 1 / math.sqrt(shape[1] * shape[2])


def uniform_of(deviation: float) -> float:
    """Half-width of the uniform distribution with this standard deviation, to a 1024th, so that it is the same number in
    decimal, float32 and float64."""
    return max(1, round(deviation * math.sqrt(3) * 1024)) / 1024
