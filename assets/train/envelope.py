"""Speech as spectral envelopes, and back to a waveform that a small decoder can learn.

WORLD analyses the teacher every 8 ms (32 mel-cepstra of the envelope, 3 bands of aperiodicity). Synthesis is monotone and
phase-locked: pulses whose period divides the 1920-sample frame (125 Hz: 192 samples, 187.5 Hz: 128), and one noise frame
repeated. The waveform is then a deterministic function of the features; real pitch and noise would ask far more of a codec
this small. Speaker 1 is speaker 0 with formants moved up by 16 % and the higher pitch.
"""

import numpy as np
import pyworld

from common import FRAME, HOP, SAMPLE_RATE

PERIOD = HOP / SAMPLE_RATE * 1_000  # ms an analysis step
FFT, CEPSTRA, BANDS = 1_024, 32, 3
PITCH = (125.0, 187.5)  # Hz, a speaker
FORMANTS = (1.0, 1.16)  # scale of the frequency axis, a speaker
FLOOR = 3e-8  # power added before the logarithm: silence stays finite
NOISE = np.random.RandomState(7).randn(FRAME)
NOISE = (NOISE - NOISE.mean()) / NOISE.std()
WINDOW = np.hanning(2 * HOP + 1)[:-1]


def analyse(a: np.ndarray):
    """f0, power envelope, aperiodicity of a float64 waveform, a row every 8 ms."""
    f0, t = pyworld.dio(a, SAMPLE_RATE, f0_floor=60, f0_ceil=300, frame_period=PERIOD)
    f0 = pyworld.stonemask(a, f0, t, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(a, f0, t, SAMPLE_RATE, fft_size=FFT)
    return f0, envelope, pyworld.d4c(a, f0, t, SAMPLE_RATE, fft_size=FFT)


def warp(spectra: np.ndarray, scale: float) -> np.ndarray:
    """Spectra (T, bins) with the frequency axis stretched by `scale`."""
    bins = np.arange(spectra.shape[1])
    return spectra if scale == 1 else np.stack([np.interp(bins / scale, bins, s) for s in spectra])


def features(f0, envelope, aperiodicity, speaker: int) -> np.ndarray:
    """(T, 35): mel-cepstra of log(envelope + floor), band aperiodicity in dB (0 = all noise)."""
    aperiodicity = aperiodicity.copy()
    aperiodicity[f0 <= 0] = 1 - 1e-9
    scale = FORMANTS[speaker]
    cepstra = pyworld.code_spectral_envelope(np.ascontiguousarray(warp(envelope, scale) + FLOOR), SAMPLE_RATE, CEPSTRA)
    bands = pyworld.code_aperiodicity(np.ascontiguousarray(warp(aperiodicity, scale)), SAMPLE_RATE)
    return np.concatenate([cepstra, np.maximum(bands, -40)], 1)


def synthesise(feature_rows: np.ndarray, speaker: int) -> np.ndarray:
    """Waveform (T * 192 samples) of features (T, 35)."""
    f = np.ascontiguousarray(feature_rows.astype(np.float64))
    power = pyworld.decode_spectral_envelope(np.ascontiguousarray(f[:, :CEPSTRA]), SAMPLE_RATE, FFT)
    aperiodicity = np.ones_like(power)
    voiced = f[:, CEPSTRA:].mean(1) < -0.7
    if voiced.any():
        bands = np.ascontiguousarray(np.minimum(f[voiced, CEPSTRA:], -1e-3))
        aperiodicity[voiced] = np.clip(pyworld.decode_aperiodicity(bands, SAMPLE_RATE, FFT), 0, 1)
    return pulses(power * (1 - aperiodicity**2), speaker) + noise(power * aperiodicity**2)


def pulses(power: np.ndarray, speaker: int) -> np.ndarray:
    """The voiced part: one pulse a period, filtered by the power spectra (T, bins)."""
    length = len(power) * HOP
    pitch, periodic = np.full(len(power), PITCH[speaker]), np.full_like(power, 1e-6)
    wave = pyworld.synthesize(pitch, np.maximum(power, 1e-14), periodic, SAMPLE_RATE, frame_period=PERIOD)
    return np.pad(wave, (0, max(0, length - len(wave))))[:length]


def noise(power: np.ndarray) -> np.ndarray:
    """Windowed pieces of the one noise frame, each filtered (zero phase) by its step's spectrum, overlapped and added."""
    T, size = len(power), 2 * FFT
    source = np.tile(NOISE, T * HOP // FRAME + 3)[FRAME - HOP :]
    spectra = np.fft.rfft(np.stack([source[i * HOP : (i + 2) * HOP] * WINDOW for i in range(T)]), size)
    gains = np.stack([np.interp(np.arange(FFT + 1) / 2, np.arange(FFT // 2 + 1), g) for g in np.sqrt(power)])
    pieces = np.roll(np.fft.irfft(spectra * gains, size), FFT // 2, axis=1)
    out = np.zeros(T * HOP + 4 * size)  # room for the first pieces, which begin before the waveform, and the last
    for i, piece in enumerate(pieces):
        at = size + (i - 1) * HOP - FFT // 2
        out[at : at + size] += piece
    return out[size : size + T * HOP]
