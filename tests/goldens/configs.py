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
    """One clip: `context` are (speaker, text, samples) of turns with sound."""

    name: str
    speaker: int
    text: str
    context: list = field(default_factory=list)
    frames: int = 24
    logits: int = 2  # frames whose logits are stored
    audio: int = 6  # frames whose sound and latents are stored
    sampled: list = field(default_factory=list)  # (seed, temperature, top_k, depth_temperature, depth_top_k)


@dataclass
class Golden:
    name: str
    config: dict
    cases: list
    dtype: str = "float32"
    shard: str | None = None
    overrides: list = field(default_factory=list)  # (tensor, first row, step, offset, scale): rows with numbers of their own
    head_gain: float = 3.0
    zero_column: float | None = None  # what column 0 of every depth head holds


def rope(llama3: bool, original: int, low: float, high: float) -> dict:
    if not llama3:
        return dict(rope_type="default", rope_theta=10_000.0)
    return dict(rope_type="llama3", rope_theta=10_000.0, factor=8.0, low_freq_factor=low, high_freq_factor=high, original_max_position_embeddings=original)


def config(k, size, heads, depth_heads, llama3=True, tied=True, codec=None, hidden=64, depth=48, head_dim=16, depth_head_dim=12) -> dict:
    """`heads`, `depth_heads`: (query heads, key and value heads). `size`: ids of the codec."""
    vocab = size + 3
    codec = dict(
        dict(
            num_filters=4, hidden_size=32, num_quantizers=k, codebook_size=size, codebook_dim=16, num_semantic_quantizers=1,
            vector_quantization_hidden_dimension=16, upsample_groups=32, num_hidden_layers=2, intermediate_size=64,
            num_attention_heads=4, num_key_value_heads=4, head_dim=8, sliding_window=250, layer_scale_initial_scale=0.5,
        ),
        **(codec or {}),
    )
    return dict(
        num_codebooks=k, vocab_size=vocab, text_vocab_size=260, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=2,
        num_attention_heads=heads[0], num_key_value_heads=heads[1], head_dim=head_dim, max_position_embeddings=2048,
        rope_parameters=rope(llama3, 64, 0.5, 4.0), tie_codebooks_embeddings=tied,
        depth_decoder_config=dict(
            num_codebooks=k, backbone_hidden_size=hidden, vocab_size=vocab, hidden_size=depth, intermediate_size=2 * depth, num_hidden_layers=2,
            num_attention_heads=depth_heads[0], num_key_value_heads=depth_heads[1], head_dim=depth_head_dim, max_position_embeddings=33,
            rope_parameters=rope(llama3, 16, 0.25, 2.0),
        ),
        codec_config=codec, pad_token_id=AUDIO, codebook_pad_token_id=vocab - 1, codebook_eos_token_id=0,
        audio_token_id=AUDIO, audio_eos_token_id=AUDIO_EOS, bos_token_id=BOS,
    )


T09, T07 = (0.9, 50, 0.9, 50), (0.7, 5, 1.3, 20)
SEEDS = (0, 1, 2, 2**32 + 7, 2**64 - 1)
ONE = [(0, TEXTS["short"], 5 * 1920)]
TWO = [(0, TEXTS["medium"], 9 * 1920), (1, TEXTS["short"], 4 * 1920)]
PARTIAL = [(1, TEXTS["short"], 5 * 1920 + 700)]

GOLDENS = [
    Golden(
        "mini", config(3, 64, (4, 2), (4, 1)),
        [
            Case("plain", 0, TEXTS["medium"], sampled=[(s, *T09) for s in SEEDS]),
            Case("one_context", 1, TEXTS["short"], ONE, sampled=[(3, *T09), (4, *T07)]),
            Case("two_contexts", 0, TEXTS["long"], TWO, sampled=[(5, *T07)]),
        ],
    ),
    # The codec's window (7 steps) is shorter than clip and context; a chain of five and one in parallel; no llama3.
    Golden(
        "window", config(6, 128, (4, 4), (2, 1), llama3=False, codec=dict(sliding_window=7, num_semantic_quantizers=5, layer_scale_initial_scale=0.5)),
        [
            Case("plain", 0, TEXTS["long"], audio=12, sampled=[(6, *T09)]),
            Case("two_contexts", 1, TEXTS["medium"], TWO, audio=8, sampled=[(7, *T07)]),
        ],
    ),
    # Own tables for backbone and depth decoder, head_dim that is not hidden / heads, several shards, a partial last frame.
    Golden(
        "untied", config(8, 64, (8, 2), (4, 4), tied=False, head_dim=24, depth_head_dim=20, codec=dict(num_semantic_quantizers=2, sliding_window=12)),
        [
            Case("plain", 0, TEXTS["short"], sampled=[(8, *T09)]),
            Case("partial_context", 0, TEXTS["medium"], PARTIAL, sampled=[(9, *T09)]),
        ],
        shard="300KB",
    ),
    Golden(
        "bfloat16", config(4, 64, (4, 1), (4, 2), hidden=48, depth=32),
        [Case("one_context", 0, TEXTS["medium"], ONE, sampled=[(10, *T09)])],
        dtype="bfloat16",
    ),
    Golden(
        "wide", config(32, 256, (4, 2), (4, 2), codec=dict(codebook_size=256)),
        [
            Case("plain", 0, TEXTS["medium"], frames=40, logits=1, sampled=[(11, *T09), (12, *T07)]),
            Case("two_contexts", 1, TEXTS["long"], TWO, frames=40, logits=1, sampled=[(13, *T09), (14, *T09)]),
        ],
    ),
    # 32 codebooks whose clips end by themselves, for exact against hybrid. Its code tables are apart, so that the backbone's
    # can have a mean (a steady logit for id 0 of codebook 0) and the depth decoder's id 0 can stand out (once 0, always 0).
    Golden(
        "twin", config(32, 256, (4, 2), (4, 2), tied=False),
        [
            Case("plain", 0, TEXTS["medium"], frames=200, logits=1, sampled=[(s, *T09) for s in range(4)]),
            Case("one_context", 1, TEXTS["long"], ONE, frames=200, logits=1, sampled=[(s, *T09) for s in (4, 5)]),
        ],
        overrides=[
            ("backbone_model.embed_tokens.embed_audio_tokens.weight", 0, 1, 0.09375, 0.3125),
            ("embed_text_tokens.weight", 0, 1, 1.0, 1.0),
            ("lm_head.weight", 0, 10**9, 0.09375, 0.0),
            ("depth_decoder.model.embed_tokens.weight", 0, 259, 4.0, 0.0),
            ("depth_decoder.model.inputs_embeds_projector.weight", 0, 1, 0.0625, 0.1875),
        ],
        zero_column=0.375,
    ),
]


def size_of(name: str, shape, golden: Golden) -> tuple[float, float]:
    """(offset, scale) of a tensor: activations neither die nor explode, logits are peaked, norms and scales are not 1."""
    c = golden.config
    three = math.sqrt(3)
    if name.endswith("layernorm.bias"):
        return 0.0, 0.25
    if "norm.weight" in name:
        return 1.0, 0.5
    if name.endswith("layer_scale.scale"):
        return 0.5, 0.375
    if name.endswith("cluster_usage"):
        return 1.5, 1.0
    if name.endswith("embed_sum"):
        return 0.0, 2.0
    if name.endswith("initialized"):
        return 1.0, 0.0
    if name.endswith("conv.bias"):
        return 0.0, 0.0625
    if name == "embed_text_tokens.weight":
        return 0.0, 1.5
    if name.endswith("embed_tokens.weight") or name.endswith("embed_audio_tokens.weight"):
        return 0.0, rounded(1.5 * three / math.sqrt(c["num_codebooks"]))
    if name == "lm_head.weight":
        return 0.0, rounded(golden.head_gain * three / math.sqrt(shape[1]))
    if name.endswith("codebooks_head.weight"):
        return 0.0, rounded(golden.head_gain * three / math.sqrt(shape[1]))
    fan_in = math.prod(shape[1:])
    gain = 1.0
    if "decoder.layers" in name and "codec" in name and len(shape) == 3 and shape[2] > 3 and "layers.0." not in name:
        fan_in, gain = shape[0] * 2, 1.0  # transposed: (in, out, kernel = 2 strides)
    elif name.startswith("codec_model") and len(shape) == 3:
        gain = 1.0
    elif "q_proj" in name or "k_proj" in name:
        gain = 1.5
    if name.endswith("decoder.layers.14.conv.weight"):
        gain = 0.0625
    if name.endswith("upsample.conv.weight"):
        fan_in = 2
    return 0.0, rounded(gain * three / math.sqrt(fan_in))


def rounded(x: float) -> float:
    """To a 1024th, so that it is the same in decimal, float32 and float64."""
    return max(1, round(x * 1024)) / 1024
