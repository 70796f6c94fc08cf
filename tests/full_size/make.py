"""Random weights of CSM-1B's shapes, in every layout that it is found in: for memory, load times and speed, not for speech.

    python3 make.py OUT [--layout transformers|torchtune|torch|csm-mlx|mlx|mlx-8bit-64|…] [--dtype float32|bfloat16]

Needs NumPy. Names and shapes are those of ../goldens/checkpoints/*.tsv; 6 to 7 GB a float32 layout.
"""

import argparse
import json
import pathlib
import shutil
import struct
import zipfile

import numpy as np

HERE = pathlib.Path(__file__).parent
LISTS = HERE.parent / "goldens" / "checkpoints"
VOICE = HERE.parents[1] / "assets" / "voice"
MIMI = "tokenizer-e351c8d8-checkpoint125.safetensors"
ROPE = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192}


def read_list(name):
    for line in (LISTS / f"{name}.tsv").read_text().splitlines():
        tensor, dtype, shape = line.split("\t")
        yield tensor, dtype, [int(n) for n in shape.split("x")]


class Source:
    """Numbers from one block of normal noise, taken at a place that moves on."""

    def __init__(self):
        self.block = np.random.default_rng(0).standard_normal(1 << 24, dtype=np.float32)
        self.at = 0

    def floats(self, name, count):
        if "norm" in name and "weight" in name or name.endswith(("scale", "cluster_usage", "_initialized", "initialized")):
            return np.ones(count, np.float32)
        self.at = (self.at + 104729) % len(self.block)
        values = np.resize(np.roll(self.block, -self.at) if count >= len(self.block) else self.block[self.at:self.at + count],
                           count)
        small = 1e-4 if name.endswith(".scales") else 0.02
        return (values * np.float32(small)).astype(np.float32)

    def bytes(self, name, dtype, shape):
        count = int(np.prod(shape))
        if dtype == "U32":
            return np.random.default_rng(count).integers(0, 1 << 32, count, dtype=np.uint32).tobytes()
        values = self.floats(name, count)
        if dtype == "BF16":
            return ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16).tobytes()
        return values.tobytes()


SIZES = {"F32": 4, "BF16": 2, "U32": 4}


def write(path, tensors, source):
    header, end = {}, 0
    for name, dtype, shape in tensors:
        size = int(np.prod(shape)) * SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, dtype, shape in tensors:
            out.write(source.bytes(name, dtype, shape))


def write_torch(path, tensors, source):
    """`torch.save` of a state_dict, without torch: an uncompressed zip with a protocol 2 pickle."""
    def text(s):
        return b"X" + struct.pack("<I", len(s)) + s.encode()

    def number(n):
        return b"J" + struct.pack("<i", n) if n < 1 << 31 else b"\x8a\x05" + n.to_bytes(5, "little")

    storages = {"F32": "FloatStorage", "BF16": "BFloat16Storage"}
    pickle = b"\x80\x02}("
    for n, (name, dtype, shape) in enumerate(tensors):
        strides = [int(np.prod(shape[d + 1:])) for d in range(len(shape))]
        pickle += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage")
        pickle += b"ctorch\n" + storages[dtype].encode() + b"\n" + text(str(n)) + text("cpu")
        pickle += number(int(np.prod(shape))) + b"tQK\x00(" + b"".join(map(number, shape)) + b"t("
        pickle += b"".join(map(number, strides)) + b"t\x89ccollections\nOrderedDict\n)RtR"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ckpt/data.pkl", pickle + b"u.")
        for n, (name, dtype, shape) in enumerate(tensors):
            with archive.open(f"ckpt/data/{n}", "w", force_zip64=True) as entry:
                entry.write(source.bytes(name, dtype, shape))


def config():
    stack = {"num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 2048, "intermediate_size": 8192,
             "num_hidden_layers": 16, "head_dim": 64, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048,
             "hidden_act": "silu", "rope_theta": 500000, "rope_scaling": ROPE, "attention_bias": False, "mlp_bias": False}
    depth = stack | {"num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 1024, "num_hidden_layers": 4,
                     "head_dim": 128, "max_position_embeddings": 33, "backbone_hidden_size": 2048, "num_codebooks": 32,
                     "vocab_size": 2051, "model_type": "csm_depth_decoder_model"}
    codec = {"model_type": "mimi", "sampling_rate": 24000, "audio_channels": 1, "hidden_size": 512, "num_filters": 64,
             "num_residual_layers": 1, "upsampling_ratios": [8, 6, 5, 4], "kernel_size": 7, "last_kernel_size": 3,
             "residual_kernel_size": 3, "dilation_growth_rate": 2, "compress": 2, "pad_mode": "constant",
             "use_causal_conv": True, "use_conv_shortcut": False, "trim_right_ratio": 1.0, "num_quantizers": 32,
             "num_semantic_quantizers": 1, "codebook_size": 2048, "codebook_dim": 256,
             "vector_quantization_hidden_dimension": 256, "num_hidden_layers": 8, "num_attention_heads": 8,
             "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2048, "norm_eps": 1e-5, "sliding_window": 250,
             "hidden_act": "gelu", "upsample_groups": 512, "rope_theta": 10000.0}
    return stack | {
        "architectures": ["CsmForConditionalGeneration"], "model_type": "csm", "num_codebooks": 32, "vocab_size": 2051,
        "text_vocab_size": 128256, "bos_token_id": 256, "pad_token_id": 258, "audio_token_id": 258,
        "audio_eos_token_id": 259, "codebook_eos_token_id": 0, "codebook_pad_token_id": 2050,
        "tie_codebooks_embeddings": True, "depth_decoder_config": depth, "codec_config": codec,
        "backbone_flavor": "llama-1B", "decoder_flavor": "llama-100M", "audio_vocab_size": 2051, "audio_num_codebooks": 32,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layout", default="transformers")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    float_type = {"float32": "F32", "bfloat16": "BF16"}[args.dtype]
    names = {"torch": "torchtune"}.get(args.layout, args.layout)
    tied = "backbone_model.embed_tokens.embed_audio_tokens.weight"
    tensors = [(name, "U32" if dtype == "U32" else float_type, shape) for name, dtype, shape in read_list(names)
               if name != tied]
    source = Source()
    if args.layout == "torch":
        write_torch(args.out / "ckpt.pt", tensors, source)
    else:
        write(args.out / ("ckpt.safetensors" if args.layout == "csm-mlx" else "model.safetensors"), tensors, source)
    if args.layout != "transformers":
        write(args.out / MIMI, list(read_list("mimi-kyutai")), source)
    settings = config()
    if args.layout.startswith("mlx-"):
        bits, group = args.layout.removeprefix("mlx-").split("bit-")
        settings["quantization"] = {"bits": int(bits), "group_size": int(group)}
    if args.layout in ("transformers",) or args.layout.startswith("mlx"):
        (args.out / "config.json").write_text(json.dumps(settings, indent=2))
    for name in ["tokenizer.json"]:
        shutil.copy(VOICE / name, args.out / name)


if __name__ == "__main__":
    main()
