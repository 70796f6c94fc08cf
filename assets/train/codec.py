"""Mimi learns the voice's codes: its decoder codes -> waveform, its encoder waveform -> codes.

    codec.py pairs N               -> WORK/pairs.pt, N sentences' codes with their waveform (acoustics.py's features, synthesised)
    codec.py vocoder MINUTES       -> WORK/vocoder.pt, the decoder's convolutions: features -> waveform
    codec.py transformer MINUTES   -> WORK/transformer.pt, the decoder's transformer: codes -> features, as acoustics.py has them
    codec.py decoder MINUTES       -> WORK/decoder.pt, both together
    codec.py encoder MINUTES       -> WORK/encoder.pt

The codebooks are acoustics.py's, frozen. The decoder's halves learn apart, with features between them: from waveforms alone the
transformer would hear a fiftieth of the frames in the same time. What is judged by waveform trains on four known frames before
four judged ones; every sixth batch is the beginnings of clips, where nothing is known and all is judged (without them the first
word was lost). The last convolution starts near silence, or the first steps only unlearn noise.
"""

import random
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import MimiModel

from acoustics import OUTPUT, envelope_loss, from_frames, load_acoustics, mistaken
from common import FRAME, SPEAKERS, WORK, Training, begin, read_rows
from config import LATENT, codec_config
from envelope import synthesise
from units import codes_of
from wave_loss import WaveLoss

KNOWN = JUDGED = 4  # frames of a window
BATCH = 4  # windows
FULL_SCALE = 32_767  # of 16 bits


@torch.no_grad()
def new_mimi() -> MimiModel:
    """Mimi with our codebooks in it. Before them, each of the two quantisers takes its own half of the encoder's latent."""
    mimi, acoustics = MimiModel(codec_config()), load_acoustics()
    mimi.decoder.decoder_seanet.layers[-1].conv.weight.mul_(0.03)
    books, q = acoustics.books(), mimi.quantizer
    for quantiser, project, half, vectors in (
        (q.semantic_residual_vector_quantizer, acoustics.chain_out, 0, books[:-1]),
        (q.acoustic_residual_vector_quantizer, acoustics.parallel_out, 1, books[-1:]),
    ):
        quantiser.input_proj.weight.copy_(torch.eye(LATENT).split(LATENT // 2)[half][..., None])
        quantiser.output_proj.weight.copy_(project.weight)
        for layer, v in zip(quantiser.layers, vectors):
            book = layer.codebook
            book.embed_sum.copy_(v)
            book.cluster_usage.fill_(1.0)
            book.initialized.fill_(1)
            book._embed = None  # a cache of what was just replaced
    return mimi


def weight_norm(net: nn.Module, on: bool):
    """Weight normalisation of the convolutions, on for training and folded in afterwards."""
    for module in net.modules():
        if type(module).__name__ in ("MimiConv1d", "MimiConvTranspose1d"):
            if on:
                nn.utils.parametrizations.weight_norm(module.conv)
            elif hasattr(module.conv, "parametrizations"):
                nn.utils.parametrize.remove_parametrizations(module.conv, "weight")


def load_net(part: str, net: nn.Module):
    """WORK/`part`.pt into a net of that shape."""
    net.load_state_dict(torch.load(WORK / f"{part}.pt")["net"])


def trained_mimi() -> MimiModel:
    """The codec as trained, ready to be packed."""
    mimi = new_mimi()
    for part in ("decoder", "encoder"):
        net = getattr(mimi, part)
        weight_norm(net, True)
        load_net(part, net)
        weight_norm(net, False)
    return mimi.eval()


def hidden(frames: torch.Tensor, voice: torch.Tensor) -> torch.Tensor:
    """Frames (B, 210, T) and voices (B, 2 T) -> what the transformer gives the convolutions, (B, LATENT, 2 T).

    Twice a frame: five steps' features, then the voice and which half this is. Pulses and noise begin anew with every frame.
    """
    B, _, T = frames.shape
    halves = frames.reshape(B, 2, OUTPUT // 2, T).permute(0, 2, 3, 1).reshape(B, OUTPUT // 2, 2 * T)
    half = torch.tensor([-1.0, 1.0]).repeat(T).expand(B, 2 * T)
    marks = torch.stack([voice, half, voice * half], 1)
    return torch.cat([halves, marks, torch.zeros(B, LATENT - OUTPUT // 2 - 3, 2 * T)], 1)


def frames_of(h: torch.Tensor) -> torch.Tensor:
    """The features in hidden's output: (B, LATENT, 2 T) -> (B, 210, T)."""
    B, _, T = h.shape
    return h[:, : OUTPUT // 2].reshape(B, OUTPUT // 2, T // 2, 2).permute(0, 3, 1, 2).reshape(B, OUTPUT, T // 2)


def voice_of(codes: torch.Tensor) -> torch.Tensor:
    """Codes (B, K, T) -> -1 or 1 for the speaker of every half frame, (B, 2 T)."""
    return (2.0 * (codes[:, -1] > 256) - 1).repeat_interleave(2, 1)


def make_pairs(count: int):
    """Codes, the frames of features and the waveform that they stand for, of as many sentences."""
    acoustics, out = load_acoustics(), []
    rows = read_rows("timing.*.jsonl")
    random.Random(3).shuffle(rows)
    for i, row in enumerate(rows[:count]):
        speaker = i % SPEAKERS
        codes = torch.from_numpy(codes_of(row["units"], row["frames"], speaker))
        with torch.no_grad():
            frames = acoustics(codes.long()[None])[0]
        wave = np.clip(synthesise(from_frames(frames.T.numpy()), speaker) * 0.7, -1, 1)
        out.append(dict(codes=codes, frames=frames, wave=torch.from_numpy((wave * FULL_SCALE).astype(np.int16))))
    torch.save(out, WORK / "pairs.pt")


class Pairs:
    """What make_pairs made, in windows."""

    def __init__(self):
        self.rows = [r for r in torch.load(WORK / "pairs.pt") if r["codes"].shape[1] > 2 * (KNOWN + JUDGED)]

    def loss(self) -> WaveLoss:
        """The loss, with these waveforms for the measure of what is loud."""
        return WaveLoss(torch.cat([r["wave"][: 25 * FRAME] for r in self.rows[:60]]) / FULL_SCALE)

    def windows(self, step: int):
        """A batch: codes (B, K, T), frames (B, 210, T), waveforms (B, samples), and the frame that judgement begins with."""
        beginning, length, picks = step % 6 == 0, KNOWN + JUDGED, []
        for r in random.choices(self.rows, k=BATCH):
            o = 0 if beginning else random.randint(0, r["codes"].shape[1] - length)
            wave = r["wave"][o * FRAME : (o + length) * FRAME] / FULL_SCALE
            picks.append((r["codes"][:, o : o + length].long(), r["frames"][:, o : o + length], wave))
        return *(torch.stack(part) for part in zip(*picks)), 0 if beginning else KNOWN


# What each part has to do: the net to train, and its loss at a step.


def vocoder(mimi: MimiModel):
    """Features -> waveform."""
    pairs, net = Pairs(), mimi.decoder.decoder_seanet
    wave_loss = pairs.loss()

    def objective(step):
        codes, frames, wave, first = pairs.windows(step)
        y = net(hidden(frames, voice_of(codes)))[:, 0]
        return wave_loss(y[:, first * FRAME : wave.shape[1]], wave[:, first * FRAME :])

    return net, objective


def transformer(mimi: MimiModel, sentences=12_000, length=32, batch=32):
    """Codes -> features. Imitates acoustics.py, mistaken codes included, so it needs no waveform."""
    acoustics, rows = load_acoustics(), read_rows("timing.*.jsonl")
    random.Random(4).shuffle(rows)
    spoken = [codes_of(r["units"], r["frames"], i % SPEAKERS) for i, r in enumerate(rows[:sentences])]
    spoken = torch.from_numpy(np.concatenate(spoken, 1)).long()
    net = nn.ModuleDict(dict(upsample=mimi.decoder.upsample, transformer=mimi.decoder.decoder_transformer))

    def objective(_):
        first = torch.randint(0, spoken.shape[1] - length, (batch,))
        codes = mistaken(torch.stack([spoken[:, o : o + length] for o in first]))
        with torch.no_grad():
            frames, latent = acoustics(codes), mimi.quantizer.decode(codes)
        h = net["transformer"](net["upsample"](latent).transpose(1, 2)).last_hidden_state.transpose(1, 2)
        marks = (h - hidden(frames, voice_of(codes)))[:, OUTPUT // 2 :]
        return envelope_loss(frames_of(h), frames)[1] + (marks**2).sum(1).mean()

    return net, objective


def decoder(mimi: MimiModel):
    """Codes -> waveform: both halves, fine-tuned together."""
    pairs, net = Pairs(), mimi.decoder
    wave_loss = pairs.loss()

    def objective(step):
        codes, _, wave, first = pairs.windows(step)
        with torch.no_grad():
            latent = mimi.quantizer.decode(codes)
        y = net(latent).audio_values[:, 0]
        return wave_loss(y[:, first * FRAME : wave.shape[1]], wave[:, first * FRAME :])

    return net, objective


def encoder(mimi: MimiModel):
    """Waveform -> the codes' vectors."""
    pairs, net, q = Pairs(), mimi.encoder, mimi.quantizer
    semantic, acoustic = q.semantic_residual_vector_quantizer, q.acoustic_residual_vector_quantizer

    def objective(step):
        codes, _, wave, first = pairs.windows(step)
        latent = net(wave[:, None]).latents
        with torch.no_grad():
            chain = sum(layer.codebook.embed[codes[:, k]] for k, layer in enumerate(semantic.layers)).transpose(1, 2)
            parallel = acoustic.layers[0].codebook.embed[codes[:, -1]].transpose(1, 2)

        def miss(quantiser, vectors):
            return ((F.conv1d(latent, quantiser.input_proj.weight) - vectors)[..., first:] ** 2).sum(1).mean()

        return miss(semantic, chain) + miss(acoustic, parallel)

    return net, objective


PARTS = dict(vocoder=vocoder, transformer=transformer, decoder=decoder, encoder=encoder)


def train(part: str, minutes: float):
    """Resumes from WORK/`part`.pt."""
    begin(0)
    net, objective = PARTS[part](new_mimi())
    weight_norm(net, True)
    if part == "decoder":
        load_net("vocoder", net.decoder_seanet)
        load_net("transformer", nn.ModuleDict(dict(upsample=net.upsample, transformer=net.decoder_transformer)))
    rate = 2e-4 if part == "decoder" else 2.5e-3
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-4)
    training = Training(net, optimiser, minutes, warm_up=60, name=part)
    for _ in training:
        training.learn(objective(training.step))


if __name__ == "__main__":
    make_pairs(int(sys.argv[2])) if sys.argv[1] == "pairs" else train(sys.argv[1], float(sys.argv[2]))
