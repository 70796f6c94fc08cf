"""The shapes of the models, in transformers' words, and how text becomes ids."""

from transformers import CsmConfig, MimiConfig

from common import CODEBOOK_SIZE, CODEBOOKS, SAMPLE_RATE

K, VOCAB = CODEBOOKS, CODEBOOK_SIZE + 3
BOS, EOS, AUDIO, AUDIO_EOS = 256, 257, 258, 259  # after the 256 bytes
BOOK_DIM, LATENT = 64, 128  # of a code's vector, and of what the codec's decoder gets
LLAMA3 = dict(rope_type="llama3", rope_theta=500_000.0, factor=32.0)


def codec_config() -> MimiConfig:
    """Mimi, small: a chain of K - 1 codebooks and one in parallel."""
    return MimiConfig(
        sampling_rate=SAMPLE_RATE, num_filters=16, hidden_size=LATENT, num_quantizers=K, codebook_size=CODEBOOK_SIZE,
        codebook_dim=BOOK_DIM, num_semantic_quantizers=K - 1, vector_quantization_hidden_dimension=BOOK_DIM,
        upsample_groups=LATENT, num_hidden_layers=6, intermediate_size=512, num_attention_heads=4, num_key_value_heads=4,
        head_dim=32, sliding_window=100, layer_scale_initial_scale=0.5,
    )  # fmt: skip


def csm_config() -> CsmConfig:
    """CSM, small: the backbone's shape, the depth decoder's, and the codec's."""
    depth = dict(
        num_codebooks=K, backbone_hidden_size=256, vocab_size=VOCAB, hidden_size=192, intermediate_size=576,
        num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=48, max_position_embeddings=32,
        rope_parameters=dict(
            LLAMA3, high_freq_factor=0.0078125, low_freq_factor=0.001953125, original_max_position_embeddings=16
        ),
    )  # fmt: skip
    return CsmConfig(
        num_codebooks=K, vocab_size=VOCAB, text_vocab_size=AUDIO_EOS + 1, hidden_size=256, intermediate_size=768,
        num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, head_dim=64, max_position_embeddings=2_048,
        rope_parameters=dict(
            LLAMA3, high_freq_factor=0.5, low_freq_factor=0.125, original_max_position_embeddings=1_024
        ),
        depth_decoder_config=depth, codec_config=codec_config(), pad_token_id=AUDIO, codebook_pad_token_id=VOCAB - 1,
        codebook_eos_token_id=0, audio_token_id=AUDIO, audio_eos_token_id=AUDIO_EOS, bos_token_id=BOS,
    )  # fmt: skip


def text_ids(speaker: int, text: str) -> list[int]:
    """What the tokenizer makes of a sentence (pack.py writes that tokenizer): lower-cased bytes between BOS and EOS."""
    return [BOS, *f"[{speaker}]{text}".lower().encode(), EOS]
