"""How far a waveform is from the one wanted."""

import math

import torch

from common import SAMPLE_RATE


def mel_filters(size: int, bands: int) -> torch.Tensor:
    """(bands, size / 2 + 1) triangles, evenly spaced on the mel scale."""
    mel = lambda hz: 2_595 * math.log10(1 + hz / 700)
    hz = lambda m: 700 * (10 ** (m / 2_595) - 1)
    edges = torch.tensor([hz(mel(SAMPLE_RATE / 2) * i / (bands + 1)) for i in range(bands + 2)])
    bins = torch.linspace(0, SAMPLE_RATE / 2, size // 2 + 1)
    rise = lambda i: (bins - edges[i]) / (edges[i + 1] - edges[i])
    return torch.stack([torch.minimum(rise(i), 1 - rise(i + 1)).clamp(min=0) for i in range(bands)])


def stft(x, size):
    """Complex spectra of waveforms, four windows to a size."""
    return torch.stft(x, size, size // 4, size, torch.hann_window(size), return_complex=True)


class WaveLoss:
    """Complex spectra (the waveform is deterministic, so phases count) at three sizes, and log mel at two.

    `usual`: a waveform that shows how loud each frequency usually is; errors count in proportion.
    """

    def __init__(self, usual: torch.Tensor):
        sizes = (128, 512, 2_048)
        self.usual = [(n, stft(usual, n).abs().mean(1, keepdim=True).clamp(min=1e-4)) for n in sizes]
        self.mels = [(n, mel_filters(n, bands)) for n, bands in ((512, 32), (1_024, 64))]

    def __call__(self, y, x):
        spectral = mel = 0.0
        for n, usual in self.usual:
            Y, X = stft(y, n), stft(x, n)
            loudness = X.abs().mean(1, keepdim=True) / usual.mean() + 0.3
            spectral = spectral + ((Y - X).abs() / usual**0.8 / loudness**0.3).mean()
        for n, filters in self.mels:
            Y, X = (torch.log(filters @ stft(t, n).abs() + 3e-3) for t in (y, x))
            mel = mel + (Y - X).abs().mean()
        return spectral / len(self.usual) + 0.5 * mel
