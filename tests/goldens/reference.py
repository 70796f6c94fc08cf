"""What transformers does with a CSM checkpoint: prompts, clips, logits, codec, and how close each decision was."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import CsmForConditionalGeneration

import formula
from configs import AUDIO, AUDIO_EOS, Case

Settings = tuple[float, int, float, int]  # temperature, top_k, and the depth decoder's


@dataclass
class Prompt:
    """A case's input as CsmProcessor would hand it to generate(), and its pieces."""

    ids: list[int]
    target_ids: list[int]
    context_ids: list[list[int]]
    waves: list[np.ndarray]  # padded to whole frames

    def inputs(self) -> dict[str, torch.Tensor]:
        """Arguments of generate(). Without a mask it would take audio placeholders, whose id is the padding id too, for padding."""
        inputs = dict(input_ids=torch.tensor([self.ids]), attention_mask=torch.ones(1, len(self.ids), dtype=torch.long))
        if self.waves:
            inputs["input_values"] = torch.from_numpy(np.concatenate(self.waves))[None, None]
            inputs["input_values_cutoffs"] = torch.tensor([len(w) for w in self.waves]).cumsum(0)[None]
        return inputs


@dataclass
class Clip:
    """Tokens of a clip."""

    raw: torch.Tensor  # [T or T + 1, K], with the end frame
    codes: torch.Tensor  # [T, K], without it
    ended: bool


@dataclass
class Encoded:
    """A context clip as the codec hears it."""

    codes: torch.Tensor  # [T, K]
    latent: torch.Tensor  # [T, D], before the quantiser
    gap: float  # least relative distance between the nearest code vector and the next


def load(folder: Path | str) -> CsmForConditionalGeneration:
    """The checkpoint in float32, whatever it is stored in."""
    return CsmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


def padded_wave(name: str, seed: int, samples: int) -> np.ndarray:
    """A context waveform, with zeros up to a whole frame."""
    return np.pad(formula.wave(name, seed, samples), (0, -samples % formula.FRAME))


def prompt(tokenizer: Tokenizer, case: Case, seed: int, waves: list[str]) -> Prompt:
    """`waves`: name of each context's waveform."""
    ids, context_ids, padded = [], [], []
    for (speaker, text, samples), name in zip(case.context, waves, strict=True):
        padded.append(padded_wave(name, seed, samples))
        context_ids.append(tokenizer.encode(f"[{speaker}]{text}").ids)
        ids += context_ids[-1] + [AUDIO] * (len(padded[-1]) // formula.FRAME) + [AUDIO_EOS]
    target_ids = tokenizer.encode(f"[{case.speaker}]{case.text}").ids
    return Prompt(ids + target_ids, target_ids, context_ids, padded)


@torch.no_grad()
def embed(model: CsmForConditionalGeneration, rows: list[list[int] | torch.Tensor]) -> torch.Tensor:
    """Embedded prompt [1, rows, D] of segments: a list of text ids, or codes [T, K], which an all-zero frame ends."""
    parts = []
    for segment in rows:
        if isinstance(segment, list):
            parts.append(model.embed_text_tokens(torch.tensor([segment])))
        else:
            end = torch.zeros(1, segment.shape[1], dtype=torch.long)
            parts.append(model.backbone_model.embed_tokens(torch.cat([segment.long(), end])[None]))
    return torch.cat(parts, 1)


@torch.no_grad()
def generate(model: CsmForConditionalGeneration, inputs: dict, cap: int, seed: int = 0, settings: Settings | None = None) -> Clip:
    """A clip of at most `cap` frames; greedy without `settings`."""
    sampling = dict(do_sample=False, depth_decoder_do_sample=False)
    if settings:
        t, k, depth_t, depth_k = settings
        sampling = dict(
            do_sample=True, temperature=t, top_k=k,
            depth_decoder_do_sample=True, depth_decoder_temperature=depth_t, depth_decoder_top_k=depth_k,
        )
        torch.manual_seed(seed if seed < 2**63 else seed - 2**64)
    raw = model.generate(**inputs, max_new_tokens=cap, **sampling)[0]
    end = (raw == 0).all(1).nonzero()
    ended = len(end) > 0
    # transformers stops when all codes but the last are 0: such a frame with another last code would end a clip unnoticed.
    assert ended or len(raw) == cap, "stopped without an all-zero frame"
    assert not ended or int(end[0]) == len(raw) - 1, "went on after the end frame"
    return Clip(raw, raw[: len(raw) - ended].int(), ended)


@torch.no_grad()
def teacher_forced(model: CsmForConditionalGeneration, embeds: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Logits [T, K, V] of the frames `codes` [T, K] after the embedded prompt, in one pass without a cache."""
    codes, prompt_rows, k = codes.long(), embeds.shape[1], codes.shape[1]
    x = torch.cat([embeds, model.backbone_model.embed_tokens(codes[None, :-1])], 1)
    hidden = model.backbone_model(inputs_embeds=x, use_cache=False).last_hidden_state[0, prompt_rows - 1 :]
    depth = model.depth_decoder
    own = depth.model.embed_tokens(codes[:, : k - 1] + torch.arange(k - 1) * model.config.vocab_size)
    inputs = torch.cat([hidden[:, None], own], 1)
    # Without a mask, transformers 5.23 fails where the batch is as long as the input (a clip of K frames).
    mask = torch.ones(inputs.shape[:2], dtype=torch.long)
    y = depth.model(inputs_embeds=inputs, attention_mask=mask, use_cache=False).last_hidden_state[:, 1:]
    rest = torch.einsum("tke,kev->tkv", y, depth.codebooks_head.weight)
    return torch.cat([model.lm_head(hidden)[:, None], rest], 1)


def greedy_margin(logits: torch.Tensor, codes: torch.Tensor) -> float:
    """Least distance of the best and the second logit; -1 where `codes` [T, K] are not the best."""
    best = logits.topk(2, -1)
    if not (best.indices[..., 0] == codes).all():
        return -1.0
    return float((best.values[..., 0] - best.values[..., 1]).min())


def sampled_margin(logits: torch.Tensor, codes: torch.Tensor, seed: int, settings: Settings) -> float:
    """How far the scaled logits may move before a sampled token changes; -1 where `codes` are not what the formula draws.

    Draws again by p / q with q ~ Exponential(1), a whole vocabulary for each codebook of each frame in order: a check that
    generate() does just that, by other means than generate().
    """
    t, k, depth_t, depth_k = settings
    generator = torch.Generator().manual_seed(seed)
    margin = np.inf
    for frame, tokens in zip(logits, codes.long().tolist(), strict=True):
        for codebook, token in enumerate(tokens):
            scaled = frame[codebook] / (depth_t if codebook else t)
            top_k = min(depth_k if codebook else k, len(scaled))
            border = scaled.topk(top_k).values[-1]
            kept = scaled >= border
            p = scaled.masked_fill(~kept, -torch.inf).softmax(0)
            q = torch.empty_like(p).exponential_(1, generator=generator)
            if int((p / q).argmax()) != token:
                return -1.0
            score = scaled - q.log()
            ahead = score[token] - score
            ahead[token] = torch.inf
            margin = min(margin, float(ahead[kept].min()))
            if not kept.all():
                # A token outside the top k that would win has to come in; the winner has to fall out.
                outside = scaled[~kept]
                margin = min(margin, float(torch.maximum(ahead[~kept], border - outside).min()))
                margin = min(margin, float(scaled[token] - outside.max()))
    return margin


def _kept(outputs: dict, name: str):
    """A hook that keeps a module's output."""

    def hook(_module, _inputs, output):
        outputs[name] = getattr(output, "last_hidden_state", output)

    return hook


@torch.no_grad()
def encode(codec, wave: np.ndarray) -> Encoded:
    """Codes, latent and closeness of one context clip."""
    seen = {}
    handle = codec.encoder.downsample.register_forward_hook(_kept(seen, "latent"))
    codes = codec.encode(torch.from_numpy(wave)[None, None]).audio_codes[0].T
    handle.remove()
    latent, gap, column = seen["latent"][0].T, np.inf, 0
    quantizer = codec.quantizer
    for chain in (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer):
        rest = latent @ chain.input_proj.weight[:, :, 0].T
        for layer in chain.layers:
            near = torch.cdist(rest, layer.codebook.embed).sort(-1).values[:, :2]
            gap = min(gap, float(((near[:, 1] - near[:, 0]) / near[:, 0]).min()))
            rest = rest - layer.codebook.embed[codes[:, column]]
            column += 1
    return Encoded(codes.int(), latent, gap)


@torch.no_grad()
def decode(codec, codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each stage of decoding codes [T, K]; ids past the codec's size are decoded as 0."""
    seen = {}
    hooks = [
        codec.decoder.upsample.register_forward_hook(_kept(seen, "upsampled")),
        codec.decoder.decoder_transformer.register_forward_hook(_kept(seen, "transformed")),
    ]
    codes = torch.where(codes < codec.config.codebook_size, codes, 0).long().T[None]
    audio = codec.decode(codes).audio_values[0, 0]
    for hook in hooks:
        hook.remove()
    return dict(
        quantized=codec.quantizer.decode(codes)[0].T, upsampled=seen["upsampled"][0].T, transformed=seen["transformed"][0], audio=audio
    )
