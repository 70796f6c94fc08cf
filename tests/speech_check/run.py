"""The speech check: is our program understood as well as transformers, speaking the same sentences from the same checkpoint?

Exit codes: 0 ours is understood as well; 1 it is not, or it failed to speak; 2 something is missing. See README.md.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MARGIN = 3.0  # points of word error rate that ours may be worse
SURE = MARGIN / 2  # points: with a larger standard error, chance alone fails more than one run in fifty
DEAF = 60.0  # per cent: with a peer heard as badly as that, the check itself is broken

try:
    import soundfile

    from peer import Peer
    from scoring import SENTENCES, Clip, Missing, Recogniser, clip_path, clip_seed, fetch_whisper, rate, score, spread
except ImportError as error:
    print(f"speech check: missing: {error.name}: pip install -r {HERE}/requirements.txt", file=sys.stderr)
    sys.exit(2)

VERSIONS = " ".join(f"{name} {version(name)}" for name in ("torch", "transformers")).encode()


class Failed(Exception):
    """Our program did not speak."""


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    p.add_argument("--program", type=Path, default=target / "release/csm", metavar="FILE", help="ours (%(default)s)")
    p.add_argument("--checkpoint", type=Path, metavar="DIR", help="what both speak with (the voice in the program)")
    p.add_argument("--whisper", type=Path, metavar="DIR", help="another faster-whisper model (Whisper base, fetched)")
    p.add_argument("--work", type=Path, default=target / "speech_check", metavar="DIR", help="clips, notes (%(default)s)")
    p.add_argument("--seeds", type=numbers, default=range(6), metavar="A,B,…", help="rounds, each of new seeds (0 to 5)")
    p.add_argument("--speakers", type=numbers, default=[0, 1], metavar="A,B,…", help="speakers (0,1)")
    p.add_argument("--sentences", type=int, default=len(SENTENCES), metavar="N", help="the first N only (%(default)s)")
    p.add_argument("--temperature", type=float, default=0.6, metavar="X")
    p.add_argument("--topk", type=int, default=50, metavar="N")
    p.add_argument("--cap-ms", type=int, default=10_000, metavar="N", help="longest clip (%(default)s)")
    p.add_argument("--sampling", default="native", metavar="MODE", help="ours: native, exact or hybrid (%(default)s)")
    p.add_argument("--peer-only", action="store_true", help="transformers alone: no program needed, nothing compared")
    p.add_argument("--score", type=Path, metavar="DIR", help="only score the clips of a folder")
    p.add_argument("--quiet", action="store_true", help="do not print each clip")
    return p.parse_args()


def numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",")]


def wanted(a) -> list[tuple[int, int, int]]:
    """(speaker, seed, sentence) of every clip."""
    return [(speaker, seed, n) for speaker in a.speakers for seed in a.seeds for n in range(a.sentences)]


def speak_peer(a) -> Path:
    """The folder of transformers' clips. Those that an earlier run made are kept."""
    checkpoint = a.checkpoint or ROOT / "assets/voice"
    weights = checkpoint / "model.safetensors"
    if not weights.is_file():
        raise Missing(f"the checkpoint: no {weights}")
    made_by = hashlib.sha256(weights.read_bytes() + (HERE / "peer.py").read_bytes() + VERSIONS).hexdigest()[:12]
    folder = a.work / f"transformers.{made_by}.t{a.temperature}.k{a.topk}.{a.cap_ms}ms"
    folder.mkdir(parents=True, exist_ok=True)
    todo = [clip for clip in wanted(a) if not clip_path(folder, *clip).with_suffix(".json").exists()]
    peer = Peer(checkpoint) if todo else None
    for done, (speaker, seed, n) in enumerate(todo):
        progress("transformers speaks", done, len(todo))
        wave, frames, stop = peer.speak(SENTENCES[n], speaker, clip_seed(speaker, seed, n), a.temperature, a.topk, a.cap_ms)
        path = clip_path(folder, speaker, seed, n)
        soundfile.write(path, wave, peer.sample_rate, subtype="FLOAT")
        path.with_suffix(".json").write_text(json.dumps(dict(frames=frames, stop=stop)))
    return folder


def speak_ours(a) -> Path:
    """The folder of our clips, made again: the program may have changed."""
    if not os.access(a.program, os.X_OK):
        raise Missing(f"our program: {a.program} (cargo build --release)")
    folder = a.work / f"ours.{a.sampling}.t{a.temperature}.k{a.topk}.{a.cap_ms}ms"
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("*.wav"), *folder.glob("*.json")]:
        old.unlink()
    for done, (speaker, seed, n) in enumerate(wanted(a)):
        progress("ours speaks", done, len(wanted(a)))
        path = clip_path(folder, speaker, seed, n)
        drawn = clip_seed(speaker, seed, n)
        flags = dict(
            text=SENTENCES[n], speaker=speaker, seed=drawn, temperature=a.temperature, topk=a.topk, sampling=a.sampling,
            output=path, max_audio_length_ms=a.cap_ms, **({"model_path": a.checkpoint} if a.checkpoint else {}),
        )  # fmt: skip
        command = [a.program, "generate", "--json"]
        for name, value in flags.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        run = subprocess.run(command, capture_output=True, text=True)
        try:
            result = json.loads(run.stdout.splitlines()[-1])
            said = dict(frames=result["frames"], stop=result["stop"])
            assert run.returncode == 0 and result["seed"] == drawn and path.is_file()
        except (IndexError, ValueError, KeyError, TypeError, AssertionError):
            line = " ".join(map(repr, map(str, command)))
            raise Failed(f"exit code {run.returncode} of {line}\nstdout: {run.stdout}\nstderr: {run.stderr}") from None
        path.with_suffix(".json").write_text(json.dumps(said))
    return folder


def progress(what: str, done: int, of: int):
    if done % 30 == 0:
        print(f"{time.strftime('%H:%M:%S')} {what}: {done} of {of}", file=sys.stderr, flush=True)


def print_clip(c: Clip):
    print(f"[{c.speaker}] seed {c.seed} {c.stop:4}| {SENTENCES[c.sentence]} | {c.heard}", flush=True)


def table(sides: dict[str, list[Clip]]):
    """A row for each speaker, then both together, with the standard error that comes from the seeds."""
    print(f"\n{'':14}{'speaker':>8}{'clips':>7}{'word error rate':>19}{'ended by themselves':>22}")
    for name, clips in sides.items():
        speakers = sorted({c.speaker for c in clips})
        for speaker in [*speakers, "all"] if len(speakers) > 1 else speakers:
            some = [c for c in clips if speaker in (c.speaker, "all")]
            ended = "unknown" if some[0].stop == "unknown" else f"{sum(c.stop == 'eos' for c in some)} of {len(some)}"
            errors = f"{rate(some):.1f} %" + (f" ± {spread(some):.1f}" if len({c.seed for c in some}) > 1 else "")
            print(f"{name:14}{speaker:>8}{len(some):7}{errors:>19}{ended:>22}")


def judge(ours: list[Clip], peer: list[Clip]) -> int:
    """The verdict, on both speakers together."""
    worse, unsure = rate(ours) - rate(peer), math.hypot(spread(ours), spread(peer))
    error = "?" if math.isnan(unsure) else f"{unsure:.1f}"  # one round has no spread
    print(f"\nours minus transformers: {worse:+.1f} points ± {error}; allowed: up to {MARGIN:+.1f}")
    if rate(peer) > DEAF:
        raise Missing(f"a recogniser or voice that works: transformers too is misheard, in {rate(peer):.0f} % of the words")
    if not unsure <= SURE:
        print(f"speech check: to tell {MARGIN} points from chance the standard error should be {SURE} at most: more --seeds")
    if worse > MARGIN:
        print("speech check: FAILED, ours is understood less well")
    return int(worse > MARGIN)


def main() -> int:
    a = arguments()
    show = None if a.quiet else print_clip
    recogniser = Recogniser(a.whisper or fetch_whisper(), a.work)
    sides = {}
    if a.score:
        folders = {a.score.name[:13]: a.score}
    elif a.peer_only:
        folders = {"transformers": speak_peer(a)}
    else:
        folders = {"ours": speak_ours(a), "transformers": speak_peer(a)}
    for name, folder in folders.items():
        if show:
            print(f"\n{name}: {folder}")
        sides[name] = score(folder, a.speakers, a.seeds, range(a.sentences), recogniser, show)
    table(sides)
    return judge(sides["ours"], sides["transformers"]) if "ours" in sides else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Missing as error:
        print(f"speech check: missing: {error}", file=sys.stderr)
        sys.exit(2)
    except Failed as error:
        print(f"speech check: FAILED, our program did not speak: {error}", file=sys.stderr)
        sys.exit(1)
