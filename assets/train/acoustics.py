"""How the codes sound: a vector for every code and a causal decoder from their sum to envelopes.  acoustics.py MINUTES

-> WORK/acoustics.pt. The vectors become Mimi's codebooks. Mimi adds the vectors of its chain (codes 0..4) before it projects
them; each code has its own dimensions of the 64, so the sum loses nothing and searching one code after the other is exact.
"""

import math
import random
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import CODEBOOK_SIZE, CODEBOOKS, SPEAKERS, STEPS, WORK, Training, begin, read_rows
from config import BOOK_DIM, LATENT
from envelope import BANDS, CEPSTRA
from units import MOST, NONE, OLDEST, UNITS, codes_of

KEPT = 20  # cepstra that the decoder gives, of 32
COLUMNS = KEPT + 1  # and one mean aperiodicity
OUTPUT = STEPS * COLUMNS  # a frame
MEAN, SCALE = np.zeros(COLUMNS, np.float32), np.ones(COLUMNS, np.float32)
MEAN[0], MEAN[1], SCALE[0], SCALE[KEPT] = -10, 3, 2.0, 2.5
WEIGHT = torch.ones(COLUMNS)  # of each column in the loss
WEIGHT[0], WEIGHT[1], WEIGHT[2:14], WEIGHT[14:KEPT], WEIGHT[KEPT] = 1.2, 0.8, 1.15, 0.9, 0.6
HIDDEN = 384
DIMS = (16, 14, 12, 10, 12)  # of the chain's codes; together BOOK_DIM
PLACES = (MOST + 1, NONE + 1, NONE + 1, NONE + 1, OLDEST + 1)  # counts, steps or ages that go with a unit
HELD_OUT = 40  # sentences


def to_frames(f: np.ndarray) -> np.ndarray:
    """(T * 10, 35) features -> (T, 210) scaled frames."""
    columns = np.concatenate([f[:, :KEPT], np.clip(f[:, CEPSTRA:].mean(1, keepdims=True), -5, 0)], 1)
    return ((columns - MEAN) / SCALE).reshape(-1, OUTPUT).astype(np.float32)


def from_frames(x: np.ndarray) -> np.ndarray:
    """(T, 210) frames -> (T * 10, 35) features."""
    columns = x.reshape(-1, COLUMNS) * SCALE + MEAN
    out = np.zeros((len(columns), CEPSTRA + BANDS), np.float32)
    out[:, :KEPT], out[:, CEPSTRA:] = columns[:, :KEPT], columns[:, KEPT:]
    return out


class CausalConv(nn.Module):
    """Convolution over the past and the present, GELU, and the input added where the sizes allow."""

    def __init__(self, channels_in, channels_out, kernel):
        super().__init__()
        self.c = nn.Conv1d(channels_in, channels_out, kernel)
        self.residual = channels_in == channels_out

    def forward(self, x):
        y = F.gelu(self.c(F.pad(x, (self.c.kernel_size[0] - 1, 0))))
        return x + y if self.residual else y


class Acoustics(nn.Module):
    """Codes -> frames of features. A code's vector is its unit's plus its place's plus a little for the pair of them."""

    def __init__(self):
        super().__init__()
        vectors = lambda *sizes: nn.ParameterList([nn.Parameter(torch.randn(n, d) * 0.5) for n, d in sizes])
        self.unit, self.place = vectors(*[(len(UNITS), d) for d in DIMS]), vectors(*zip(PLACES, DIMS))
        self.pair = vectors(*[(n * len(UNITS), d) for n, d in zip(PLACES, DIMS)])
        with torch.no_grad():
            for p in self.pair:
                p.mul_(0.1)
        self.speaker = nn.Parameter(torch.randn(SPEAKERS, BOOK_DIM) * 0.5)
        self.phrase = nn.Parameter(torch.randn(256, BOOK_DIM) * 0.3)
        self.chain_out = nn.Conv1d(BOOK_DIM, LATENT, 1, bias=False)
        self.parallel_out = nn.Conv1d(BOOK_DIM, LATENT, 1, bias=False)
        sizes = ((LATENT, HIDDEN, 3), (HIDDEN, HIDDEN, 3), (HIDDEN, HIDDEN, 3), (HIDDEN, HIDDEN, 1), (HIDDEN, HIDDEN, 1))
        self.decoder = nn.Sequential(*(CausalConv(*size) for size in sizes), nn.Conv1d(HIDDEN, OUTPUT, 1))

    def books(self) -> torch.Tensor:
        """(CODEBOOKS, CODEBOOK_SIZE, 64) vectors; unused ids are zero."""
        out = torch.zeros(CODEBOOKS, CODEBOOK_SIZE, BOOK_DIM)
        first = 0
        for k, (places, d) in enumerate(zip(PLACES, DIMS)):
            i = torch.arange(places * len(UNITS))
            unit, place = (i // places, i % places) if k == 4 else (i % len(UNITS), i // len(UNITS))
            v = self.unit[k][unit] + self.place[k][place] + self.pair[k]
            out = out.index_put((torch.tensor(k), (i + 1)[:, None], torch.arange(first, first + d)[None]), v)
            first += d
        v = (self.speaker[:, None] + self.phrase).flatten(0, 1)
        return out.index_put((torch.tensor(5), torch.arange(1, 1 + len(v))[:, None], torch.arange(BOOK_DIM)[None]), v)

    def forward(self, c):
        """Codes (B, K, T) -> frames (B, 210, T)."""
        v = [book[c[:, k]] for k, book in enumerate(self.books())]
        return self.decoder(self.chain_out(sum(v[:-1]).transpose(1, 2)) + self.parallel_out(v[-1].transpose(1, 2)))

    @torch.no_grad()
    def features(self, c) -> np.ndarray:
        """Codes (K, T) -> features (T * 10, 35)."""
        return from_frames(self(torch.as_tensor(c).long()[None])[0].T.numpy())


def load_acoustics() -> Acoustics:
    """As trained."""
    model = Acoustics()
    model.load_state_dict(torch.load(WORK / "acoustics.pt"))
    return model.eval()


def envelope_loss(y, x):
    """Squared error of frames, loud steps first; and that plus the error of their change from step to step."""
    B, _, T = x.shape
    d = (y - x).reshape(B, STEPS, COLUMNS, T) * WEIGHT[:, None]
    energy = x.reshape(B, STEPS, COLUMNS, T)[:, :, 0] * SCALE[0] + MEAN[0]
    error = ((d**2).sum(2) * (0.08 + torch.sigmoid(energy + 11.0))).mean()
    return error, error + 0.3 * ((d[:, 1:] - d[:, :-1]) ** 2).sum(2).mean()


def mistaken(c, share=0.1):
    """Codes (B, K, T) of which 1..4 are now and then another clip's: the language model will get them wrong now and then."""
    wrong = torch.rand(c.shape) < share * torch.rand(len(c), 1, 1)
    wrong[:, 0] = wrong[:, 5] = False
    return torch.where(wrong, c.roll(1, 0), c)


def load_speech():
    """(frames (T, 210), codes (T, K)) of every sentence heard, by each of its speakers: to train on, and held out."""
    rows = read_rows("speech.*.jsonl")
    random.Random(1).shuffle(rows)

    def items(some):
        for row in some:
            for speaker in row["speakers"]:
                x = to_frames(np.load(WORK / "features" / f"{speaker}{row['id']:06d}.npy").astype(np.float32))
                yield x, codes_of(row["units"], len(x), speaker).T.astype(np.int64)

    return list(items(rows[HELD_OUT:])), list(items(rows[:HELD_OUT]))


def train(minutes: float, length=32, batch=32):
    """Keeps the model that was best on what is held out."""
    begin(0)
    heard, held_out = load_speech()
    frames, codes = (np.concatenate(part) for part in zip(*heard))
    model, best = Acoustics(), math.inf
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=1e-2, betas=(0.9, 0.98))
    training = Training(model, optimiser, minutes, warm_up=100)

    @torch.no_grad()
    def check() -> float:
        model.eval()
        pairs = [(model(torch.from_numpy(c.T)[None]), torch.from_numpy(x.T)[None]) for x, c in held_out]
        error = np.mean([envelope_loss(*pair)[0].item() for pair in pairs])
        if error < best:
            torch.save(model.state_dict(), WORK / "acoustics.pt")
        model.train()
        print(f"  held out {error:.3f}, best {min(error, best):.3f}", flush=True)
        return min(error, best)

    for _ in training:
        first = np.random.randint(0, len(frames) - length, batch)
        x, c = (torch.from_numpy(np.stack([a[i : i + length] for i in first])).transpose(1, 2) for a in (frames, codes))
        training.learn(envelope_loss(model(mistaken(c)), x)[1])
        if training.step % 200 == 0:
            best = check()
    check()


if __name__ == "__main__":
    train(float(sys.argv[1]))
