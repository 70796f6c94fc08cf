"""Goldens from transformers' CsmForConditionalGeneration: small random checkpoints, and the demo voice.

    python make.py [NAME ...]      all, or those named (`demo` is the demo voice)

Writes NAME.json (what the checkpoint is and what was asked of it) and NAME.safetensors (what transformers answered) beside
this file. README.md says what is in them.
"""
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import CsmConfig, CsmForConditionalGeneration

import formula
from configs import AUDIO, AUDIO_EOS, GOLDENS, TEXTS, Case, Golden, size_of

HERE = Path(__file__).parent
VOICE = HERE.parent.parent / "assets" / "voice"
TOKENIZER = Tokenizer.from_file(str(VOICE / "tokenizer.json"))
MARGIN = 2e-3  # least distance of the two best logits of a greedy clip: 100 times what rounding moves them
GAP = 1e-4  # least relative distance of the two nearest code vectors of an encoded clip


def fill(path: Path, golden: Golden, seed: int) -> list[dict]:
    """Writes the formula's numbers into every tensor of a saved file; gives what each one is."""
    with safe_open(path, "pt") as f:
        saved = {name: f.get_tensor(name) for name in sorted(f.keys())}
    tensors, listed = {}, []
    for name, old in saved.items():
        offset, scale = size_of(name, old.shape, golden)
        new = formula.values(name, seed, tuple(old.shape), offset, scale)
        for tensor, first, step, o, s in golden.overrides:
            if tensor == name:
                new[first::step] = formula.values(f"{name}.override", seed, tuple(old.shape), o, s)[first::step]
        if golden.zero_column and name == "depth_decoder.codebooks_head.weight":
            new[:, :, 0] = golden.zero_column
        tensors[name] = torch.from_numpy(new).to(old.dtype)
        listed.append(dict(name=name, dtype=str(old.dtype).removeprefix("torch."), shape=list(old.shape), offset=offset, scale=scale))
    save_file(tensors, path, metadata={"format": "pt"})
    return listed


def save(golden: Golden, seed: int, folder: str) -> dict:
    """Makes the checkpoint in `folder`; gives the manifest that lets anyone make it again."""
    model = CsmForConditionalGeneration(CsmConfig(**golden.config)).to(getattr(torch, golden.dtype))
    model.save_pretrained(folder, **({"max_shard_size": golden.shard} if golden.shard else {}))
    files, digest = [], hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        files.append(dict(file=path.name, tensors=fill(path, golden, seed)))
        with safe_open(path, "pt") as f:
            for t in files[-1]["tensors"]:
                digest.update(f.get_tensor(t["name"]).contiguous().view(torch.uint8).numpy().tobytes())
    index = Path(folder) / "model.safetensors.index.json"
    return dict(
        name=golden.name, seed=seed, transformers=transformers.__version__, torch=torch.__version__.split("+")[0],
        config=json.loads((Path(folder) / "config.json").read_text()), files=files, sha256=digest.hexdigest(),
        index=json.loads(index.read_text()) if index.exists() else None,
        overrides=[dict(tensor=t, first=f, step=s, offset=o, scale=c) for t, f, s, o, c in golden.overrides],
        zero_column=golden.zero_column,
    )


def inputs_of(case: Case, seed: int, prefix: str) -> tuple[dict, list]:
    """What generate() takes, and each segment's waveform (padded to whole frames)."""
    ids, waves = [], []
    for n, (speaker, text, samples) in enumerate(case.context):
        wave = formula.wave(f"{prefix}/context{n}", seed, samples)
        wave = np.pad(wave, (0, -samples % 1920))
        ids += TOKENIZER.encode(f"[{speaker}]{text}").ids + [AUDIO] * (len(wave) // 1920) + [AUDIO_EOS]
        waves.append(wave)
    ids += TOKENIZER.encode(f"[{case.speaker}]{case.text}").ids
    # Without a mask generate() would take the placeholders of audio, whose id is also the padding id, for padding.
    inputs = dict(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    if waves:
        inputs["input_values"] = torch.from_numpy(np.concatenate(waves))[None, None]
        inputs["input_values_cutoffs"] = torch.tensor([np.cumsum([len(w) for w in waves])])
    return inputs, waves


@torch.no_grad()
def generate(model, inputs: dict, frames: int, seed: int | None = None, settings=None) -> tuple[torch.Tensor, bool]:
    """Tokens [T, K] up to the end frame, and whether there was one. `settings`: temperature, top_k, and the depth's."""
    sampled = dict(do_sample=False, depth_decoder_do_sample=False)
    if settings:
        t, k, dt, dk = settings
        sampled = dict(do_sample=True, temperature=t, top_k=k, depth_decoder_do_sample=True, depth_decoder_temperature=dt, depth_decoder_top_k=dk)
        torch.manual_seed(seed if seed < 2**63 else seed - 2**64)
    codes = model.generate(**inputs, max_new_tokens=frames, **sampled)[0]
    end = (codes == 0).all(1).nonzero()
    ended = len(end) > 0
    return (codes[: int(end[0])] if ended else codes).int(), ended


@torch.no_grad()
def teacher_forced(model, embeds: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Logits [T, K, V] for the frames `codes` [T, K] after the embedded prompt, in one pass without a cache."""
    codes, prompt = codes.long(), embeds.shape[1]
    x = torch.cat([embeds, model.backbone_model.embed_tokens(codes[None, :-1])], 1)
    hidden = model.backbone_model(inputs_embeds=x, use_cache=False).last_hidden_state[0, prompt - 1 :]
    first = model.lm_head(hidden)
    depth, k = model.depth_decoder, codes.shape[1]
    own = depth.model.embed_tokens(codes[:, : k - 1] + torch.arange(k - 1) * model.config.vocab_size)
    y = depth.model(inputs_embeds=torch.cat([hidden[:, None], own], 1), use_cache=False).last_hidden_state[:, 1:]
    rest = torch.einsum("tke,kev->tkv", y, depth.codebooks_head.weight)
    return torch.cat([first[:, None], rest], 1)


def margin(logits: torch.Tensor) -> float:
    best = logits.topk(2, -1).values
    return float((best[..., 0] - best[..., 1]).min())


def kept(outputs: dict, name: str):
    """A hook that keeps a module's output."""

    def hook(_module, _inputs, output):
        outputs[name] = output[0] if isinstance(output, tuple) else getattr(output, "last_hidden_state", output)

    return hook


@torch.no_grad()
def encode(codec, wave: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Codes [T, K], the latent before the quantiser [T, d], and the least relative gap between nearest and next vector."""
    seen = {}
    handle = codec.encoder.downsample.register_forward_hook(kept(seen, "latent"))
    codes = codec.encode(torch.from_numpy(wave)[None, None]).audio_codes[0].T
    handle.remove()
    latent, gap, column = seen["latent"][0].T, np.inf, 0
    for chain in (codec.quantizer.semantic_residual_vector_quantizer, codec.quantizer.acoustic_residual_vector_quantizer):
        rest = latent @ chain.input_proj.weight[:, :, 0].T
        for layer in chain.layers:
            distances = torch.cdist(rest, layer.codebook.embed).sort(-1).values
            gap = min(gap, float(((distances[:, 1] - distances[:, 0]) / distances[:, 0]).min()))
            rest = rest - layer.codebook.embed[codes[:, column]]
            column += 1
    return codes.int(), latent, gap


@torch.no_grad()
def decode(codec, codes: torch.Tensor) -> dict:
    """Each stage of decoding codes [T, K]."""
    seen = {}
    hooks = [codec.decoder.upsample.register_forward_hook(kept(seen, "upsampled")), codec.decoder.decoder_transformer.register_forward_hook(kept(seen, "transformed"))]
    codes = torch.where(codes < codec.config.codebook_size, codes, 0).long()
    audio = codec.decode(codes.T[None]).audio_values[0, 0]
    for h in hooks:
        h.remove()
    return dict(quantized=codec.quantizer.decode(codes.T[None])[0].T, upsampled=seen["upsampled"][0].T, transformed=seen["transformed"][0], audio=audio)


def check_alive(model, codes: torch.Tensor, logits: torch.Tensor, audio: torch.Tensor):
    """A random model is degenerate until proven otherwise."""
    assert len({tuple(f.tolist()) for f in codes}) > 0.9 * len(codes), "frames repeat"
    assert len(codes.unique()) > 0.3 * model.config.codec_config.codebook_size, "few codes are used"
    best = logits.softmax(-1).max(-1).values
    assert 0.15 < float(best.mean()) < 0.95, f"logits are flat or frozen: {float(best.mean()):.2f}"
    rms = float(audio.square().mean().sqrt())
    assert 0.01 < rms < 2, f"audio's level is {rms}"
    for k in range(codes.shape[1]):
        other = codes.clone()
        other[:, k] = (other[:, k] + 7) % model.config.codec_config.codebook_size
        change = float((decode(model.codec_model, other)["audio"] - audio).square().mean().sqrt())
        assert change > 0.01 * rms, f"codebook {k} is not heard: {change / rms:.4f}"


def answer(model, golden: Golden, seed: int, case: Case, out: dict) -> dict | None:
    """Everything transformers says about one case, into `out`; None where a decision is too close to be a golden."""
    inputs, waves = inputs_of(case, seed, case.name)
    k = model.config.num_codebooks
    for n, wave in enumerate(waves):
        codes, latent, gap = encode(model.codec_model, wave)
        if gap < GAP:
            return None
        out[f"{case.name}/context{n}/codes"] = codes
        out[f"{case.name}/context{n}/latent"] = latent
    with torch.no_grad():
        embeds = (
            model._merge_input_ids_with_input_values(**{k: v for k, v in inputs.items() if k != "attention_mask"})["inputs_embeds"] if waves else model.embed_text_tokens(inputs["input_ids"])
        )
    greedy, ended = generate(model, inputs, min(case.frames, 40))
    logits = teacher_forced(model, embeds, greedy)
    if margin(logits) < MARGIN:
        return None
    assert (logits.argmax(-1) == greedy).all(), "generate's greedy tokens are not the argmax of its logits"
    heard = decode(model.codec_model, greedy[: case.audio])
    if not golden.zero_column and golden.name != "demo":
        check_alive(model, greedy, logits, decode(model.codec_model, greedy)["audio"])
    out[f"{case.name}/greedy"] = greedy
    out[f"{case.name}/logits"] = logits[: case.logits]
    out.update({f"{case.name}/{stage}": t for stage, t in heard.items()})
    sampled = []
    for draw_seed, *settings in case.sampled:
        codes, over = generate(model, inputs, case.frames, draw_seed, settings)
        name = f"{case.name}/sampled{len(sampled)}"
        out[name] = codes
        sampled.append(dict(tensor=name, seed=draw_seed, settings=settings, ended=over))
    context = [dict(speaker=s, text=t, samples=n, wave=f"{case.name}/context{i}") for i, (s, t, n) in enumerate(case.context)]
    return dict(
        name=case.name, speaker=case.speaker, text=case.text, text_ids=TOKENIZER.encode(f"[{case.speaker}]{case.text}").ids, context=context,
        frames=case.frames, greedy_cap=min(case.frames, 40), ended=ended, margin=margin(logits), sampled=sampled,
        lengths=[len(out[s["tensor"]]) for s in sampled], audio_frames=min(case.audio, len(greedy)), codebooks=k,
    )


def make(golden: Golden):
    for seed in range(1, 200):
        with tempfile.TemporaryDirectory() as folder:
            manifest, out = save(golden, seed, folder), {}
            model = CsmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        cases = []
        for case in golden.cases:
            answered = answer(model, golden, seed, case, out)
            if answered is None:
                break
            cases.append(answered)
        else:
            return write(golden.name, dict(manifest, cases=cases), out)
    raise SystemExit(f"{golden.name}: every seed has a decision that rounding could turn")


def write(name: str, manifest: dict, out: dict):
    (HERE / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")
    save_file({n: t.contiguous() for n, t in out.items()}, HERE / f"{name}.safetensors")
    size = (HERE / f"{name}.safetensors").stat().st_size
    for case in manifest["cases"]:
        print(f"{name:9} seed {manifest.get('seed', '-')}  {case['name']:16} margin {case['margin']:.4f}  sampled clips {case['lengths']}  {size // 1024} kB", flush=True)


DEMO = [
    Case("greeting", 0, "Good morning, how are you today?", sampled=[(0, 0.6, 50, 0.6, 50), (1, 0.9, 50, 0.9, 50)]),
    Case("boat", 1, TEXTS["medium"], sampled=[(2, 0.6, 50, 0.6, 50), (3, 0.9, 50, 0.9, 50)]),
    Case("letter", 0, "She wrote a letter to her friend.", sampled=[(4, 0.9, 50, 0.6, 10)]),
    Case("lights", 1, "The lights went out during the storm.", sampled=[(5, 0.6, 50, 0.6, 50)]),
]


def demo():
    """The voice itself, whole clips; then a turn with an earlier turn's own codes before it."""
    model = CsmForConditionalGeneration.from_pretrained(VOICE, dtype=torch.float32).eval()
    out, cases = {}, []
    for case in DEMO:
        case.frames, case.audio = 100, 6
        answered = answer(model, Golden("demo", {}, []), 0, case, out)
        if answered is None:
            print(f"demo: {case.name} has a decision that rounding could turn, left out")
            continue
        cases.append(answered)
    before = out["greeting/sampled0"].long()
    ids = [TOKENIZER.encode(f"[{s}]{t}").ids for s, t in ((0, DEMO[0].text), (1, "I am fine, thank you."))]
    with torch.no_grad():
        text = [model.embed_text_tokens(torch.tensor([i])) for i in ids]
        spoken = model.backbone_model.embed_tokens(torch.cat([before, torch.zeros(1, 6, dtype=torch.long)])[None])
    embeds = torch.cat([text[0], spoken, text[1]], 1)
    codes, ended = generate(model, dict(inputs_embeds=embeds), 100, 7, (0.6, 50, 0.6, 50))
    out["reply/sampled"] = codes
    reply = dict(before="greeting/sampled0", before_speaker=0, before_text=DEMO[0].text, speaker=1, text="I am fine, thank you.", seed=7, settings=[0.6, 50, 0.6, 50], tensor="reply/sampled", ended=ended)
    manifest = dict(name="demo", transformers=transformers.__version__, torch=torch.__version__.split("+")[0], cases=cases, reply=reply)
    write("demo", manifest, out)
    print("reply:", len(codes), "frames, ended", ended)


if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    wanted = sys.argv[1:]
    for golden in GOLDENS:
        if not wanted or golden.name in wanted:
            make(golden)
    if not wanted or "demo" in wanted:
        demo()
