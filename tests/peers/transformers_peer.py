"""transformers' CSM: `transformers_peer.py CHECKPOINT IDS FRAMES SEED THREADS [--codec] [--compile]`. Computes in float32, two frames to warm up,
and prints one line of JSON. Prompt ids are separated by commas."""

import json
import pathlib
import sys
import time

import torch
from transformers import CsmForConditionalGeneration

checkpoint, ids, frames, seed, threads = sys.argv[1:6]
codec = "--codec" in sys.argv
torch.set_num_threads(int(threads))
model = CsmForConditionalGeneration.from_pretrained(pathlib.Path(checkpoint), dtype=torch.float32).eval()
prompt = torch.tensor([[int(n) for n in ids.split(",")]])


def run(frames):
    torch.manual_seed(int(seed))
    started = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=True, temperature=0.9, top_k=50,
                             depth_decoder_do_sample=True, depth_decoder_temperature=0.9, depth_decoder_top_k=50,
                             max_new_tokens=frames, output_audio=codec)
    made = out[0].shape[-1] // 1920 if codec else out.shape[1]
    return time.perf_counter() - started, made


run(2)
seconds, made = run(int(frames))
print(json.dumps({"seconds": seconds, "frames": made}))
