"""csm's speed beside its peers', in one run: the same checkpoint, text, settings, threads and number of frames, taken in turns.

    python3 speed.py CSM demo [--rounds 5]     # transformers; the demo voice, sound included on both sides
    python3 speed.py CSM full [--rounds 3]     # transformers, mlx-audio, candle-transformers; CSM-1B's shapes, random weights

CSM is the program, target/release/csm. Peers and checkpoints are set up in --work on the first call (7 GB for demo, 25 for full;
pip and cargo fetch them). Every turn is a separate process that loads, warms up and then makes one clip; loading is not counted.
`--busy` keeps one core busy meanwhile. Prints milliseconds a frame, median and range, and their ratio to transformers'.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEXT = "The little boat sailed across the lake."
MLX_AUDIO = ["mlx[cpu]==0.32.4" if sys.platform == "linux" else "mlx==0.32.4", "mlx-audio==0.6.2", "numpy", "safetensors"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csm", type=pathlib.Path)
    parser.add_argument("suite", choices=["demo", "full"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "csm-studio" / "peers")
    parser.add_argument("--only", help="names of the contestants, separated by commas; transformers always runs")
    parser.add_argument("--busy", action="store_true")
    return parser.parse_args()


def python_with(folder, packages):
    """The Python of a virtual environment with these packages."""
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        print(f"setting up {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "done").touch()
    return python


def full_size(python, folder, layout):
    """A checkpoint of CSM-1B's shapes, bfloat16."""
    if not (folder / "tokenizer.json").exists():
        print(f"making {folder}", flush=True)
        subprocess.run([python, ROOT / "tests/full_size/make.py", folder, "--layout", layout, "--dtype", "bfloat16"], check=True)
    return folder


class Contestants:
    """The alternating programs: name and a function of the seed that gives seconds and frames."""

    def __init__(self, args):
        self.args = args
        self.torch = python_with(args.work / "transformers", ["-r", HERE.parent / "goldens" / "requirements.txt"])
        self.environment = dict(os.environ, OPENBLAS_NUM_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads),
                                RAYON_NUM_THREADS=str(args.threads))
        self.all = {}

    def run(self, command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=self.environment)
        if done.returncode:
            sys.exit(f"{command[0]} failed:\n{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def ids(self, checkpoint):
        script = "import sys, tokenizers; print(tokenizers.Tokenizer.from_file(sys.argv[1]).encode(sys.argv[2]).ids)"
        return ",".join(map(str, self.run([self.torch, "-c", script, checkpoint / "tokenizer.json", f"[1]{TEXT}"])))

    def add_peer(self, name, command, checkpoint, *more):
        args, ids = self.args, self.ids(checkpoint if (checkpoint / "tokenizer.json").exists() else checkpoint.parent)
        self.all[name] = lambda seed: self.run([*command, checkpoint, ids, args.frames, seed, *more])

    def add_csm(self, name, checkpoint, mode, precision="float32"):
        args = self.args
        def turn(seed):
            # A clip of two frames first, as the peers warm up: it is another process, so only the disk's cache is warm.
            result = self.run([args.csm, "generate", "--model-path", checkpoint, "--text", TEXT, "--speaker", 1, "--whole",
                               "--sampling", mode, "--seed", seed, "--temperature", 0.9, "--topk", 50, "--precision", precision,
                               "--json", "--output", "/dev/null", "--max-audio-length-ms", 80 * args.frames])
            return {"seconds": result["real_time_factor"] * result["seconds"], "frames": result["frames"]}
        self.all[name] = turn


def demo(args):
    voice = ROOT / "assets" / "voice"
    contestants = Contestants(args)
    contestants.add_peer("transformers", [contestants.torch, HERE / "transformers_peer.py"], voice, args.threads, "--codec")
    for mode in ["native", "exact", "hybrid"]:
        contestants.add_csm(mode, voice, mode)
    return contestants


def full(args):
    contestants = Contestants(args)
    torch = contestants.torch
    plain = full_size(torch, args.work / "full", "transformers")
    eight = full_size(torch, args.work / "full-8bit", "mlx-8bit-64")
    contestants.add_peer("transformers", [torch, HERE / "transformers_peer.py"], plain, args.threads)
    contestants.add_csm("native", plain, "native")
    contestants.add_csm("native-8bit", eight, "native")
    contestants.add_csm("hybrid", plain, "hybrid")
    mlx = python_with(args.work / "mlx-audio", MLX_AUDIO)
    peer = [mlx, HERE / "mlx_audio_peer.py"]
    contestants.add_peer("mlx-audio", peer, full_size(torch, args.work / "full-mlx", "mlx"), "--float32")
    contestants.add_peer("mlx-audio-8bit", peer, eight)
    target = args.work / "candle-target"
    subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", HERE / "candle" / "Cargo.toml",
                    "--target-dir", target], check=True)
    original = full_size(torch, args.work / "full-original", "torchtune") / "model.safetensors"
    contestants.add_peer("candle", [target / "release" / "candle-peer"], original)
    return contestants


def main():
    args = arguments()
    args.csm = args.csm.resolve()
    args.frames = args.frames or {"demo": 40, "full": 8}[args.suite]
    contestants = {"demo": demo, "full": full}[args.suite](args).all
    if args.only:
        contestants = {name: turn for name, turn in contestants.items() if name in ["transformers", *args.only.split(",")]}
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if args.busy else None
    times = {name: [] for name in contestants}
    try:
        for seed in range(1, args.rounds + 1):
            for name, turn in contestants.items():
                result = turn(seed)
                times[name].append(1_000 * result["seconds"] / result["frames"])
                print(f"round {seed}: {name}: {times[name][-1]:.1f} ms per frame", file=sys.stderr, flush=True)
    finally:
        if busy:
            busy.kill()
    base = statistics.median(times["transformers"])
    print(f"{args.suite}, {args.frames} frames, {args.threads} threads, {args.rounds} rounds{', a core busy' if busy else ''}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:16} {median:8.1f} ms per frame ({min(values):.1f} to {max(values):.1f}), {median / base:.2f} of transformers'")


if __name__ == "__main__":
    main()
