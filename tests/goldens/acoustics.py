"""Writes acoustics.json: what librosa, mel-cepstral-distance, pyloudnorm and jiwer say of fixed sounds and sentences (see README.md)."""

import json
import tempfile
from pathlib import Path

import jiwer
import librosa
import numpy as np
import pyloudnorm
from librosa.core import pitch
from mel_cepstral_distance import compare_audio_files
from mel_cepstral_distance.alignment import align_2d_sequences_using_dtw
from mel_cepstral_distance.computation import get_w_n_m, get_X_km
from scipy.io import wavfile

RATE = 24_000
WINDOW, HOP = 768, 192
SHORTEST, LONGEST = RATE // 500, RATE // 50
THRESHOLD, VOICED, AUDIBLE = 0.15, 0.4, 0.02

# seconds, fundamental frequency at both ends (0: noise; negative: silence), loudness
SOUNDS = {
    "vowels": [(0.3, -1, 0), (0.5, 120, 150, 0.5), (0.35, 0, 0, 0.1), (0.4, 210, 180, 0.3), (0.3, -1, -1, 0), (0.6, 140, 95, 0.4)],
    "slower": [(0.2, -1, 0), (0.7, 118, 155, 0.4), (0.3, 0, 0, 0.12), (0.5, 215, 170, 0.35), (0.4, -1, -1, 0), (0.7, 150, 90, 0.4)],
    "clipped": [(1.3, 300, 320, 1.6), (0.2, -1, 0), (0.9, 0, 0, 0.02)],
}  # fmt: skip
SENTENCES = [
    ("the quick brown fox jumps over the lazy dog", "the quick brown fox jumps over the lazy dog"),
    ("the quick brown fox jumps over the lazy dog", "a quick brown fox jumped over lazy dog today"),
    ("hello world", ""),
    ("one two three", "three two one zero"),
    ("naïve café", "naive cafe"),
]


def sound(parts: list) -> np.ndarray:
    """Ten harmonics of a gliding tone, or noise of a linear congruential generator; clipped at full scale."""
    out, state = [], 1
    for seconds, first, last, *level in parts:
        n = round(seconds * RATE)
        if first < 0:
            out.append(np.zeros(n))
        elif first == 0:
            noise = np.empty(n)
            for i in range(n):
                state = (state * 1_664_525 + 1_013_904_223) % 2**32
                noise[i] = state / 2**31 - 1
            out.append(level[0] * noise)
        else:
            t = np.arange(n) / n
            phase = 2 * np.pi * n / RATE * (first * t + (last - first) * t * t / 2)
            tone = sum(np.sin(k * phase) / k for k in range(1, 11))
            out.append(level[0] * np.sin(np.pi * t) * tone)
    return np.clip(np.concatenate(out), -1, 1).astype(np.float32)


def fundamental(y: np.ndarray) -> list:
    f0 = librosa.yin(y, fmin=50, fmax=500, sr=RATE, frame_length=1024, hop_length=HOP, trough_threshold=THRESHOLD)
    frames = librosa.util.frame(np.pad(y, (512, 512)), frame_length=1024, hop_length=HOP)
    normalised = pitch._cumulative_mean_normalized_difference(frames.copy(), SHORTEST, LONGEST)
    trough = librosa.util.localmin(normalised, axis=-2)
    trough[0] = normalised[0] < normalised[1]
    level = np.sqrt((frames**2).mean(axis=-2))
    voiced = (trough & (normalised < VOICED)).any(axis=-2) & (level >= AUDIBLE * level.max())
    return [round(f, 6) if v else None for f, v in zip(f0.tolist(), voiced, strict=True)]


def measures(y: np.ndarray) -> dict:
    rms = librosa.feature.rms(y=y, frame_length=WINDOW, hop_length=HOP)[0]
    sounding = rms >= max(1e-3, rms.max() * 0.01)
    decibels = 20 * np.log10(rms[sounding])
    f0 = fundamental(y)
    inside = [f for f, s in zip(f0, sounding, strict=True) if s]
    semitones = np.array([12 * np.log2(f) for f in inside if f])
    return dict(
        fundamental=f0,
        # DeMan's filters are the standard's at any rate; pyloudnorm's default ones lie 0.08 LU below its reference tone
        loudness_lufs=pyloudnorm.Meter(RATE, filter_class="DeMan").integrated_loudness(y),
        peak_dbfs=20 * np.log10(np.abs(y).max()),
        clipped_samples=int((np.abs(y) >= 32767 / 32768).sum()),
        level_dbfs=decibels.mean(), level_deviation_db=decibels.std(),
        silence_share=100 * (1 - sounding.mean()),
        f0_median_hz=2 ** (np.median(semitones) / 12), f0_deviation_semitones=semitones.std(),
        voiced_share=100 * len(semitones) / len(inside),
    )  # fmt: skip


def spectra(y: np.ndarray) -> np.ndarray:
    return np.abs(get_X_km(y / np.abs(y).max(), WINDOW, WINDOW, HOP, "hanning").T) ** 2


def distances(a: np.ndarray, b: np.ndarray) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("a.wav", "b.wav")]
        for path, y in zip(paths, (a, b), strict=True):
            wavfile.write(path, RATE, y.astype(np.float64))
        mcd, _ = compare_audio_files(*paths, dtw_radius=None)
    power = [spectra(y) for y in (a, b)]
    bank = get_w_n_m(RATE, WINDOW, 20, 0, RATE // 2)
    mel = [np.log10(bank @ p + np.finfo(float).eps) for p in power]
    # the same path as for the mel-cepstral distance: where silence is aligned with silence, many are equally good
    *_, path = align_2d_sequences_using_dtw(*mel, None)
    i, j = path.T
    decibels = [librosa.power_to_db(p, ref=np.max, amin=1e-30, top_db=80) for p in power]
    lsd = np.sqrt(((decibels[0][:, i] - decibels[1][:, j]) ** 2).mean(axis=0)).mean()
    pitches = [fundamental(y)[2:] for y in (a, b)]
    both = [(pitches[0][s], pitches[1][t]) for s, t in zip(i, j, strict=True) if pitches[0][s] and pitches[1][t]]
    semitones = np.array([12 * np.log2(x / y) for x, y in both])
    return dict(mel_cepstral=mcd, log_spectral=lsd, pitch=float(np.sqrt((semitones**2).mean())))


def errors(reference: str, heard: str) -> dict:
    words, characters = jiwer.process_words(reference, heard), jiwer.process_characters(reference, heard)
    counts = lambda x: dict(substitutions=x.substitutions, deletions=x.deletions, insertions=x.insertions)
    return dict(
        reference=reference, heard=heard,
        words=dict(rate=words.wer, **counts(words)), characters=dict(rate=characters.cer, **counts(characters)),
    )  # fmt: skip


if __name__ == "__main__":
    sounds = {name: sound(parts) for name, parts in SOUNDS.items()}
    pairs = [("vowels", "slower"), ("vowels", "clipped"), ("slower", "slower")]
    answer = dict(
        sounds=[dict(name=n, parts=SOUNDS[n], measures=measures(y.astype(np.float64))) for n, y in sounds.items()],
        pairs=[dict(a=a, b=b, distances=distances(sounds[a].astype(float), sounds[b].astype(float))) for a, b in pairs],
        sentences=[errors(*pair) for pair in SENTENCES],
    )  # fmt: skip
    plain = lambda x: x.item() if hasattr(x, "item") else x
    Path(__file__).with_suffix(".json").write_text(json.dumps(answer, default=plain) + "\n")
