"""Greedy tokens of checkpoints that `csm quantize` wrote: csm's beside mlx-audio's, from the same files.

    pip install "mlx[cpu]" mlx-audio==0.6.2
    python3 quantised_tokens.py CSM CHECKPOINT     # the program; a small checkpoint in transformers' layout, tied tables

mlx-audio's language model is built without its tokenizer and codec, which it would download. Its RoPE is the original's whatever
the config says, so the copies of the checkpoint get that.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import mlx.core as mx
import mlx.nn as nn
from mlx_audio.tts.models.sesame.sesame import SesameModel

TEXT = "Hello."
FRAMES = 25
ROPE = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192, "rope_theta": 500000.0}


def csm_tokens(csm, folder):
    tokens = folder / "tokens.json"
    subprocess.run([csm, "generate", "--model-path", folder, "--text", TEXT, "--temperature", "0", "--precision", "float32",
                    "--max-audio-length-ms", str(80 * FRAMES), "--dump-tokens", tokens, "--output", folder / "x.wav"],
                   check=True, capture_output=True)
    return json.loads(tokens.read_text())["frames"]


def ids(csm, folder):
    found = subprocess.run([csm, "doctor", folder, "--json"], check=True, capture_output=True)
    return json.loads(found.stdout)["example_ids"]  # of "[0]Hello."


def peer_tokens(folder, prompt):
    config = json.loads((folder / "config.json").read_text())
    model = SesameModel(dict(config))
    weights = mx.load(str(folder / "model.safetensors"))
    weights = {name.removeprefix("model."): value for name, value in weights.items()}
    if "quantization" in config:
        q = config["quantization"]
        nn.quantize(model, group_size=q["group_size"], bits=q["bits"],
                    class_predicate=lambda path, module: f"{path}.scales" in weights)
    model.load_weights(list(weights.items()), strict=True)
    model.setup_caches(1)
    k = config["audio_num_codebooks"]
    tokens, mask = mx.zeros((1, len(prompt), k + 1), mx.int32), mx.zeros((1, len(prompt), k + 1), mx.bool_)
    tokens[0, :, -1] = mx.array(prompt)
    mask[0, :, -1] = True
    position = mx.arange(len(prompt))[None]
    frames = []
    for _ in range(FRAMES):
        sample = model.generate_frame(tokens, mask, position, lambda logits: mx.argmax(logits, axis=-1))
        frame = sample[0].tolist()
        if not any(frame):
            break
        frames.append(frame)
        tokens = mx.concat([sample, mx.zeros((1, 1), mx.int32)], axis=1)[:, None].astype(mx.int32)
        mask = mx.concat([mx.ones_like(sample).astype(mx.bool_), mx.zeros((1, 1), mx.bool_)], axis=1)[:, None]
        position = position[:, -1:] + 1
    return frames


def main():
    csm, base = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    failed = False
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        copy = work / "base"
        shutil.copytree(base, copy)
        config = json.loads((base / "config.json").read_text())
        for part in [config, config["depth_decoder_config"]]:
            part.pop("rope_scaling", None)
            part["rope_parameters"] = ROPE
        (copy / "config.json").unlink()
        (copy / "config.json").write_text(json.dumps(config))
        for bits, group in [(8, 64), (8, 32), (4, 64), (4, 32)]:
            out = work / f"q{bits}-{group}"
            subprocess.run([csm, "quantize", copy, out, "--bits", str(bits), "--group", str(group), "--no-report"],
                           check=True, capture_output=True)
            ours, theirs = csm_tokens(csm, out), peer_tokens(out, ids(csm, out))
            first = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
            same = ours == theirs
            failed |= not same
            print(f"{bits} bits, groups of {group}: {'the same' if same else f'differ from frame {first} of'} {len(ours)} frames")
    sys.exit(failed)


if __name__ == "__main__":
    main()
