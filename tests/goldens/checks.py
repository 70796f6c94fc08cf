"""A random model is degenerate until proven otherwise: what has to hold before an answer may be a golden."""

import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file

import reference
from configs import Golden


class Degenerate(Exception):
    """A checkpoint that cannot tell a right implementation from a wrong one; another seed may give a better one."""


def want(holds: bool, problem: str):
    """Raises unless it holds."""
    if not holds:
        raise Degenerate(problem)


@torch.no_grad()
def prompt_is_transformers(model, prompt: reference.Prompt, embeds: torch.Tensor):
    """The prompt put together by hand, with the codes of codec_model.encode, is the one that generate() makes of the waveforms."""
    inputs = prompt.inputs()
    inputs.pop("attention_mask")
    theirs = model._merge_input_ids_with_input_values(**inputs)["inputs_embeds"]
    assert torch.equal(theirs, embeds), "generate()'s prompt is another"


def stored_is_loaded(folder: Path):
    """What transformers loads from the files is, saved again, the same to the bit (in float32, as all is computed)."""
    with tempfile.TemporaryDirectory() as again:
        reference.load(folder).save_pretrained(again)
        loaded = load_file(Path(again) / "model.safetensors")
    stored = {name: t for path in folder.glob("*.safetensors") for name, t in load_file(path).items()}
    assert stored.keys() == loaded.keys(), stored.keys() ^ loaded.keys()
    for name, t in stored.items():
        assert torch.equal(t.float(), loaded[name]), f"{name}: transformers read other numbers than the formula's"


def alive(model, golden: Golden, cases: list[dict], out: dict[str, torch.Tensor]):
    """Tokens vary, logits are peaked, sound is heard, and everything that should matter matters."""
    for case in cases:
        greedy = out[f"{case['name']}/greedy"]
        not_stuck(greedy)
        every_codebook_is_heard(model, greedy)
    inputs_matter(model, cases[-1], out)
    rotation_matters(model, golden)
    window_matters(model, golden, cases[-1], out)


def not_stuck(codes: torch.Tensor):
    """A clip [T, K] neither goes round in circles nor keeps a codebook still."""
    distinct = len({tuple(frame.tolist()) for frame in codes})
    want(distinct > 0.9 * len(codes), f"{distinct} of {len(codes)} frames are distinct")
    for column in codes.T:
        want(len(column.unique()) > min(4, len(column) / 3), "a codebook is stuck")


def use_many_codes(model, clips: list[torch.Tensor]):
    """Sampled clips vary, and together they use much of every codebook that they have frames enough for."""
    for codes in clips:
        not_stuck(codes)
    every = torch.cat(clips)
    for k, column in enumerate(every.T):
        used = len(column.unique())
        want(used > 0.2 * min(len(column), model.config.vocab_size), f"codebook {k}: {used} ids in {len(column)} frames")


def ends_at_times(logits: torch.Tensor, ended: bool):
    """Clips end now and then: code 0 is 0 once in some 60 frames, the others never unless it is, and always when it is.

    `logits` [T, K, V] of a clip sampled at temperature 0.9, with its end frame if it `ended`.
    """
    zero = (logits / 0.9).softmax(-1)[..., 0]
    ends = float(zero[:, 0].mean())
    want(len(zero) > 20 and 1 / 90 < ends < 1 / 40, f"of {len(zero)} frames {ends:.4f} are the last")
    inside = float(zero[: len(zero) - ended, 1:].mean())
    want(inside < 1e-3, f"{inside:.1e} of the codes inside a clip are 0")
    want(ended and float(zero[-1, 1:].prod()) > 0.999, "the end frame is not all 0")


@torch.no_grad()
def every_codebook_is_heard(model, codes: torch.Tensor):
    """The sound has a reasonable level and changes with each codebook."""
    audio = reference.decode(model.codec_model, codes)["audio"]
    level = float(audio.square().mean().sqrt())
    want(0.01 < level < 1 and float(audio.abs().max()) < 4, f"the audio's level is {level}")
    size = model.config.codec_config.codebook_size
    for k in range(codes.shape[1]):
        other = codes.clone()
        other[:, k] = (other[:, k] + 7) % size
        change = float((reference.decode(model.codec_model, other)["audio"] - audio).square().mean().sqrt())
        want(change > 0.01 * level, f"codebook {k} is not heard: {change / level:.4f}")


def moves(model, before: Callable, after: Callable, what: str, least: float = 0.05):
    """Two computations differ by more than `least`."""
    with torch.no_grad():
        change = float((before() - after()).abs().max())
    want(change > least, f"{what} moves the answer by {change} only")


def inputs_matter(model, case: dict, out: dict[str, torch.Tensor]):
    """The first frame's logits depend on a letter, on the order of letters and on a context code."""
    context = [out[f"{case['name']}/context{n}/codes"] for n in range(len(case["context"]))]
    rows = [part for c, codes in zip(case["context"], context, strict=True) for part in (c["text_ids"], codes)]
    codes = out[f"{case['name']}/greedy"][:2]
    ids = case["text_ids"]

    def logits(rows, ids):
        return lambda: reference.teacher_forced(model, reference.embed(model, [*rows, ids]), codes)

    plain = logits(rows, ids)
    best = plain().softmax(-1).max(-1).values
    want(0.15 < float(best.mean()) < 0.95, f"logits are flat or frozen: {float(best.mean()):.2f}")
    moves(model, plain, logits(rows, [*ids[:4], ids[4] + 1, *ids[5:]]), "another letter")
    moves(model, plain, logits(rows, [*ids[:4], ids[5], ids[4], *ids[6:]]), "another order of letters", 0.01)
    for n in range(1, len(rows), 2):
        other = rows[n].clone()
        other[1, -1] = (other[1, -1] + 1) % model.config.codec_config.codebook_size
        moves(model, plain, logits([*rows[:n], other, *rows[n + 1 :]], ids), "a context code", 0.01)


@contextmanager
def replaced(holder, name: str, value):
    """An attribute with another value for a while."""
    old = getattr(holder, name)
    setattr(holder, name, value)
    yield
    setattr(holder, name, old)


def rotation_matters(model, golden: Golden):
    """llama3's scaling, where there is one, changes backbone and depth decoder on short inputs."""
    if golden.config["rope_parameters"]["rope_type"] == "default":
        return
    for part, length in ((model.backbone_model, 40), (model.depth_decoder.model, golden.config["num_codebooks"])):
        x = torch.linspace(-2, 2, length * golden.config["hidden_size"]).sin().reshape(1, length, -1)
        plain = part.rotary_emb.compute_default_rope_parameters(part.config)[0]

        def hidden(part=part, x=x):
            return part(inputs_embeds=x, use_cache=False).last_hidden_state

        def unscaled(part=part, plain=plain, hidden=hidden):
            with replaced(part.rotary_emb, "inv_freq", plain):
                return hidden()

        moves(model, hidden, unscaled, "llama3's scaling", 0.01)


def window_matters(model, golden: Golden, case: dict, out: dict[str, torch.Tensor]):
    """The codec's window, where it is shorter than the clip, changes the decoder's and the encoder's transformer."""
    codec = model.codec_model
    window = codec.config.sliding_window
    codes = out[f"{case['name']}/greedy"][: case["audio_frames"]]
    if 2 * len(codes) <= window:
        return

    def unlimited(compute):
        def run():
            with (
                replaced(codec.decoder.decoder_transformer.config, "sliding_window", 10_000),
                replaced(codec.encoder.encoder_transformer.config, "sliding_window", 10_000),
            ):
                return compute()

        return run

    def sound():
        return reference.decode(codec, codes)["audio"]

    def latent():
        return reference.encode(codec, sound().numpy()).latent

    moves(model, sound, unlimited(sound), "the decoder's window", 1e-3)
    moves(model, latent, unlimited(latent), "the encoder's window", 1e-3)
