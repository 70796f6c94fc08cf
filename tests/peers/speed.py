"""csm's speed beside transformers', in one run: the same checkpoint, texts, seeds, threads and number of frames, taken in turns.

    pip install -r ../goldens/requirements.txt
    python3 speed.py CSM CHECKPOINT [--rounds 5] [--frames 40] [--threads 2] [--codec] [--modes native,exact,hybrid]

Prints milliseconds a frame (median and range over the rounds) and their ratio to transformers'. transformers runs eagerly in
float32; with --codec its time includes decoding the clip at the end, as csm's includes decoding while it speaks. Loading is not
counted on either side: csm prints its own generation time.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

TEXT = "The little boat sailed across the lake."


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csm", type=pathlib.Path)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--modes", default="native,exact,hybrid")
    parser.add_argument("--precision")
    parser.add_argument("--codec", action="store_true")
    return parser.parse_args()


class Peer:
    def __init__(self, args):
        import torch
        from transformers import AutoTokenizer, CsmForConditionalGeneration, PreTrainedTokenizerFast

        torch.set_num_threads(args.threads)
        self.torch = torch
        self.model = CsmForConditionalGeneration.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(args.checkpoint / "tokenizer.json"))
        self.ids = torch.tensor([tokenizer.encode(f"[1]{TEXT}")])
        self.args = args

    def run(self, seed):
        torch, args = self.torch, self.args
        torch.manual_seed(seed)
        started = time.time()
        with torch.no_grad():
            out = self.model.generate(input_ids=self.ids, attention_mask=torch.ones_like(self.ids), do_sample=True,
                                      temperature=0.9, top_k=50, depth_decoder_do_sample=True, depth_decoder_temperature=0.9,
                                      depth_decoder_top_k=50, max_new_tokens=args.frames, output_audio=args.codec)
        seconds = time.time() - started
        if args.codec:
            frames = out[0].shape[-1] // 1920
        else:
            frames = out.shape[1]
        return seconds / frames, frames


def ours(args, mode, seed):
    environment = dict(os.environ, OPENBLAS_NUM_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads))
    command = [args.csm, "generate", "--model-path", args.checkpoint, "--text", TEXT, "--speaker", "1", "--sampling", mode,
               "--seed", str(seed), "--temperature", "0.9", "--topk", "50", "--json", "--output", "/dev/null",
               "--max-audio-length-ms", str(80 * args.frames)]
    if args.precision:
        command += ["--precision", args.precision]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result = json.loads(done.stdout)
    return result["real_time_factor"] * result["seconds"] / result["frames"], result["frames"]


def main():
    args = arguments()
    peer = Peer(args)
    peer.run(0)
    times = {"transformers": []} | {mode: [] for mode in args.modes.split(",")}
    for round_number in range(1, args.rounds + 1):
        times["transformers"].append(peer.run(round_number)[0])
        for mode in args.modes.split(","):
            times[mode].append(ours(args, mode, round_number)[0])
    base = statistics.median(times["transformers"])
    print(f"{args.checkpoint.name}, {args.frames} frames, {args.threads} threads, {args.rounds} rounds, "
          f"{'sound included' if args.codec else 'csm with sound, transformers tokens only'}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:13} {1000 * median:8.1f} ms a frame ({1000 * min(values):.1f} to {1000 * max(values):.1f}), "
              f"{median / base:.2f} of transformers' time")


if __name__ == "__main__":
    main()
