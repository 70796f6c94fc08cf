"""mlx-audio's CSM: `mlx_audio_peer.py CHECKPOINT IDS FRAMES SEED`, a checkpoint in its layout. Computes in the numbers of the
checkpoint, one frame to warm up, and prints one line of JSON. Its tokenizer and codec, which it would download, are left out."""

import json
import pathlib
import sys
import time

import mlx.core as mx
import mlx.nn as nn
from mlx_audio.tts.models.sesame.sesame import SesameModel

folder, ids, frames, seed = sys.argv[1:5]
folder, prompt = pathlib.Path(folder), [int(n) for n in ids.split(",")]
config = json.loads((folder / "config.json").read_text())
# Fields that mlx-audio wants and that have no effect on speech.
unused = {"attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": True}
config["depth_decoder_config"] = unused | config["depth_decoder_config"]
model = SesameModel(unused | config)
weights = {name.removeprefix("model."): value for name, value in mx.load(str(folder / "model.safetensors")).items()}
if "quantization" in config:
    q = config["quantization"]
    nn.quantize(model, group_size=q["group_size"], bits=q["bits"],
                class_predicate=lambda path, module: f"{path}.scales" in weights)
if "--float32" in sys.argv:
    weights = {name: value.astype(mx.float32) if value.dtype == mx.bfloat16 else value for name, value in weights.items()}
model.load_weights(list(weights.items()), strict=True)
mx.eval(model.parameters())
del weights
k = config["audio_num_codebooks"]


def sampler(logits):
    """Temperature 0.9, top-k 50."""
    logits = logits / 0.9
    floor = mx.topk(logits, 50, axis=-1).min(axis=-1, keepdims=True)
    return mx.random.categorical(mx.where(logits < floor, -mx.inf, logits))


def run(frames):
    mx.random.seed(int(seed))
    model.setup_caches(1)
    started = time.perf_counter()
    tokens, mask = mx.zeros((1, len(prompt), k + 1), mx.int32), mx.zeros((1, len(prompt), k + 1), mx.bool_)
    tokens[0, :, -1] = mx.array(prompt)
    mask[0, :, -1] = True
    position = mx.arange(len(prompt))[None]
    for _ in range(frames):
        sample = model.generate_frame(tokens, mask, position, sampler)
        mx.eval(sample)
        tokens = mx.concat([sample, mx.zeros((1, 1), mx.int32)], axis=1)[:, None].astype(mx.int32)
        mask = mx.concat([mx.ones_like(sample).astype(mx.bool_), mx.zeros((1, 1), mx.bool_)], axis=1)[:, None]
        position = position[:, -1:] + 1
    return time.perf_counter() - started


run(1)
print(json.dumps({"seconds": run(int(frames)), "frames": int(frames)}))
