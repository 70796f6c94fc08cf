#!/usr/bin/env python3
"""Reads the files of CSM Studio: takes, token files, word times, listening tests and results. Needs Python 3.9 and nothing else.

    python3 read_files.py FILE_OR_TAKE_FOLDER...      prints what each file is
    python3 read_files.py --wav FOLDER TEST.json      also writes the sounds of a test as WAV files
"""
import base64
import json
import pathlib
import sys


def read_codes(frames):
    """Codes as a list of frames; each frame has one token id per codebook."""
    codebooks = {len(frame) for frame in frames}
    if len(codebooks) > 1:
        raise ValueError(f"frames have different numbers of codebooks: {sorted(codebooks)}")
    return [[int(token) for token in frame] for frame in frames]


def read(path):
    """Returns (kind, content) of a file, or of a take's folder with its codes and the path of its sound."""
    path = pathlib.Path(path)
    if path.is_dir():
        take = json.loads((path / "take.json").read_text(encoding="utf-8"))
        _, tokens = read(path / "tokens.json")
        return "take", {**take, "tokens": tokens, "audio": path / "audio.wav"}
    content = json.loads(path.read_text(encoding="utf-8"))
    name = content.get("format", "")
    if name.startswith("csm-listening-test/"):
        return "listening test", content
    if name.startswith("csm-listening-results/"):
        return "results", content
    if "words" in content and "frames" not in content:
        return "word times", content
    if "frames" in content:
        content["frames"] = read_codes(content["frames"])
        return "tokens", content
    raise ValueError(f"{path}: not a file of CSM Studio")


def describe(kind, content):
    """One line about a file."""
    if kind == "take":
        frames = content["tokens"]["frames"]
        return f"{content['id']}: {content['text']!r}, {len(frames)} frames, {content['measures']['seconds']:.2f} s"
    if kind == "tokens":
        rate, frames = content.get("frame_rate", 12.5), content["frames"]
        mode = content.get("sampling", {}).get("mode", "unknown mode")
        return f"{content.get('text')!r}: {len(frames)} frames, {len(frames) / rate:.2f} s, {mode}"
    if kind == "word times":
        return ", ".join(f"{w['word']} {w['start']:.2f}-{w['end']:.2f}" for w in content["words"])
    if kind == "listening test":
        names = ", ".join(content["conditions"])
        return f"{content['kind']}: {len(content['trials'])} trials, {len(content['stimuli'])} sounds, conditions {names}"
    return f"{content['listener']}: {len(content['answers'])} answers to test {content['test_sha256'][:12]}"


def main(arguments):
    folder = pathlib.Path(arguments[1]) if arguments[:1] == ["--wav"] else None
    for argument in arguments[2 if folder else 0:]:
        kind, content = read(argument)
        print(f"{kind}: {describe(kind, content)}")
        if folder and kind == "listening test":
            for n, sound in enumerate(content["stimuli"]):
                name = f"{n:03}-{content['conditions'][sound['condition']]}.wav"
                (folder / name).write_bytes(base64.b64decode(sound["wav"]))


if __name__ == "__main__":
    main(sys.argv[1:])
