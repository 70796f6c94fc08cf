"""Goldens from transformers' CsmForConditionalGeneration: small random checkpoints, and the demo voice.

    python make.py [--voice DIR] [--out DIR] [NAME ...]      all, or those named (`demo` is the demo voice)

Writes NAME.json (what the checkpoint is and what was asked of it) and NAME.safetensors (what transformers answered).
README.md says what is in them.
"""

import argparse
import hashlib
import importlib.metadata
import json
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import CsmConfig, CsmForConditionalGeneration

import checks
import formula
import reference
from configs import GOLDENS, TEXTS, Case, Golden, spread

HERE = Path(__file__).parent
GREEDY_MARGIN = 2e-3  # least distance of the two best logits of a greedy clip; another engine's differ by up to 3e-5
SAMPLED_MARGIN = 2e-4  # the same for sampled clips, in scaled logits (reference.sampled_margin)
GAP = 1e-4  # least relative distance of the two nearest code vectors of an encoded clip
Tensors = dict[str, torch.Tensor]


class TooClose(Exception):
    """A decision that another order of additions could turn."""


def versions() -> dict[str, str]:
    """Of everything that has a say in the numbers."""
    packages = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
    return dict(python=platform.python_version(), **{p: importlib.metadata.version(p) for p in packages})


def header(path: Path) -> tuple[dict, bytes]:
    """A safetensors file's header and its data."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def filled(name: str, old: torch.Tensor, golden: Golden, seed: int) -> torch.Tensor:
    """The formula's numbers in the place of a saved tensor."""
    shape = tuple(old.shape)
    new = formula.values(name, seed, shape, *spread(name, list(shape), golden))
    for o in golden.overrides:
        if o.tensor == name:
            rows = slice(o.first, None, o.step)
            new[rows] = formula.values(f"{name}.override", seed, shape, o.offset, o.scale)[rows]
    if golden.zero_column and name == "depth_decoder.codebooks_head.weight":
        new[:, :, 0] = golden.zero_column
    return torch.from_numpy(new).to(old.dtype)


def fill(path: Path, golden: Golden, seed: int) -> dict:
    """Writes the formula's numbers into every tensor of a saved file; gives its entry in the manifest."""
    with safe_open(path, "pt") as f:
        metadata = f.metadata()
        tensors = {name: filled(name, f.get_tensor(name), golden, seed) for name in f.keys()}
    save_file(tensors, path, metadata=metadata)
    listed, data = header(path)
    listed.pop("__metadata__")
    entries = []
    for name in sorted(listed, key=lambda n: listed[n]["data_offsets"]):
        t = tensors[name]
        offset, scale = spread(name, list(t.shape), golden)
        dtype = str(t.dtype).removeprefix("torch.")
        entries.append(dict(name=name, dtype=dtype, shape=list(t.shape), offset=offset, scale=scale))
    return dict(file=path.name, metadata=metadata, sha256=hashlib.sha256(data).hexdigest(), tensors=entries)


def save(golden: Golden, seed: int, folder: Path) -> dict:
    """Makes the checkpoint in `folder`; gives the part of the manifest that lets anyone make it again."""
    model = CsmForConditionalGeneration(CsmConfig(**golden.config)).to(getattr(torch, golden.dtype))
    model.save_pretrained(folder, **({"max_shard_size": golden.shard} if golden.shard else {}))
    paths = sorted(folder.glob("*.safetensors"))
    files = [fill(path, golden, seed) for path in paths]
    digest = hashlib.sha256(b"".join(header(path)[1] for path in paths)).hexdigest()
    return dict(
        name=golden.name, versions=versions(), seed=seed,
        config=json.loads((folder / "config.json").read_text()),
        generation_config=optional_json(folder / "generation_config.json"),
        files=files, index=optional_json(folder / "model.safetensors.index.json"), sha256=digest,
        overrides=[asdict(o) for o in golden.overrides], zero_column=golden.zero_column,
    )  # fmt: skip


def optional_json(path: Path) -> dict | None:
    """Contents of a file that may be missing."""
    return json.loads(path.read_text()) if path.exists() else None


def encode_context(model, tokenizer: Tokenizer, case: Case, seed: int, out: Tensors) -> tuple[reference.Prompt, list[str], list]:
    """The prompt, the names of its waveforms and their codes."""
    names, heard = [], []
    for n, (_, _, samples) in enumerate(case.context):
        name, encoded = clear_wave(model, f"{case.name}/context{n}", seed, samples)
        names.append(name)
        heard.append(encoded.codes)
        out[f"{case.name}/context{n}/codes"] = encoded.codes
        out[f"{case.name}/context{n}/latent"] = encoded.latent
    return reference.prompt(tokenizer, case, seed, names), names, heard


def clear_wave(model, name: str, seed: int, samples: int) -> tuple[str, reference.Encoded]:
    """The first of the waveforms `name`, `name`.1, `name`.2 ... that lies clearly nearest to its codes."""
    for tried in [name, *(f"{name}.{n}" for n in range(1, 20))]:
        encoded = reference.encode(model.codec_model, reference.padded_wave(tried, seed, samples))
        if encoded.gap > GAP:
            return tried, encoded
    raise TooClose(f"{name}: every waveform lies between two code vectors")


@dataclass
class Asked:
    """A case on its way: what is said so far, and what sampling starts from."""

    case: Case
    entry: dict
    inputs: dict[str, torch.Tensor]
    embeds: torch.Tensor


def answer(model, tokenizer: Tokenizer, case: Case, seed: int, out: Tensors) -> Asked:
    """All that transformers says about one case but for the sampled clips, into `out`."""
    prompt, waves, heard = encode_context(model, tokenizer, case, seed, out)
    rows = [part for pair in zip(prompt.context_ids, heard, strict=True) for part in pair] + [prompt.target_ids]
    embeds = reference.embed(model, rows)
    checks.prompt_is_transformers(model, prompt, embeds)
    greedy = reference.generate(model, prompt.inputs(), case.greedy)
    logits = reference.teacher_forced(model, embeds, greedy.raw)
    margin = reference.greedy_margin(logits, greedy.raw)
    if margin < GREEDY_MARGIN:
        raise TooClose(f"{case.name}: greedy margin {margin:.5f}")
    audio_frames = min(case.audio, len(greedy.codes))
    stages = reference.decode(model.codec_model, greedy.codes[:audio_frames])
    out[f"{case.name}/greedy"] = greedy.codes
    out[f"{case.name}/logits"] = logits[: case.logits]
    out.update({f"{case.name}/{stage}": t for stage, t in stages.items()})
    context = [
        dict(speaker=s, text=t, text_ids=ids, samples=n, wave=wave)
        for (s, t, n), ids, wave in zip(case.context, prompt.context_ids, waves, strict=True)
    ]
    entry = dict(
        name=case.name, speaker=case.speaker, text=case.text, text_ids=prompt.target_ids, context=context,
        frames=case.frames, greedy_cap=case.greedy, ended=greedy.ended, margin=margin, audio_frames=audio_frames,
    )  # fmt: skip
    return Asked(case, entry, prompt.inputs(), embeds)


def samples(model, asked: Asked, out: Tensors) -> dict:
    """The sampled clips, into `out`; the case's whole entry in the manifest."""
    case = asked.case
    clips = [
        sample(model, asked.inputs, asked.embeds, case.frames, f"{case.name}/sampled{n}", draw, out)
        for n, draw in enumerate(case.sampled)
    ]
    return dict(asked.entry, sampled=clips)


def sample(model, inputs: dict, embeds, cap: int, name: str, draw: tuple[int, reference.Settings], out: Tensors) -> dict:
    """A sampled clip, into `out`; its entry in the manifest. A seed with a close decision gives way to one 1000 further."""
    first, settings = draw
    for seed in range(first, first + 20_000, 1000):
        clip = reference.generate(model, inputs, cap, seed, settings)
        logits = reference.teacher_forced(model, embeds, clip.raw)
        margin = reference.sampled_margin(logits, clip.raw, seed, settings)
        if margin > SAMPLED_MARGIN:
            out[name] = clip.codes
            return dict(tensor=name, seed=seed, settings=settings, ended=clip.ended, frames=len(clip.codes), margin=margin)
        print(f"{name}: seed {seed}: margin {margin:.1e}", flush=True)
    raise TooClose(f"{name}: every seed has a close decision")


def make(golden: Golden, tokenizer: Tokenizer, folder: Path):
    """The first seed that is neither degenerate nor has a close decision."""
    for seed in range(1, 400):
        with tempfile.TemporaryDirectory() as work:
            manifest, out = save(golden, seed, Path(work)), {}
            model = reference.load(work)
            try:
                asked = [answer(model, tokenizer, case, seed, out) for case in golden.cases]
                checks.alive(model, golden, [a.entry for a in asked], out)
                if golden.ends:
                    ends_by_itself(model, asked)
                cases = [samples(model, a, out) for a in asked]
                checks.use_many_codes(model, [out[clip["tensor"]] for case in cases for clip in case["sampled"]])
            except (TooClose, checks.Degenerate) as reason:
                print(f"{golden.name}: seed {seed}: {reason}", flush=True)
                continue
            checks.stored_is_loaded(Path(work))
        return write(folder, dict(manifest, cases=cases), out)
    raise SystemExit(f"{golden.name}: every seed has a decision that rounding could turn")


def ends_by_itself(model, cases: list[Asked]):
    """One clip of each case says how often clips end."""
    for asked in cases:
        seed, settings = asked.case.sampled[0]
        clip = reference.generate(model, asked.inputs, asked.case.frames, seed, settings)
        checks.ends_at_times(reference.teacher_forced(model, asked.embeds, clip.raw), clip.ended)


def write(folder: Path, manifest: dict, out: Tensors):
    """Both files, and a line on each case."""
    name = manifest["name"]
    (folder / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")
    save_file({n: t.contiguous() for n, t in out.items()}, folder / f"{name}.safetensors")
    (folder / f"{name}.safetensors").chmod(0o644)
    sizes = [(folder / f"{name}.{kind}").stat().st_size // 1024 for kind in ("json", "safetensors")]
    for case in manifest["cases"]:
        clips = " ".join(f"{s['frames']}{'' if s['ended'] else '+'} ({s['margin']:.1e})" for s in case["sampled"])
        k, v = out[f"{case['name']}/logits"].shape[1:]
        print(
            f"{name:8} seed {manifest.get('seed', '-'):>3}  K {k:2} V {v:4}  {case['name']:15} greedy {len(out[case['name'] + '/greedy'])}"
            f" (margin {case['margin']:.4f})  sampled {clips}  {sizes[0]} + {sizes[1]} kB",
            flush=True,
        )


SENTENCES = [
    ("greeting", 0, "Good morning, how are you today?"),
    ("boat", 1, TEXTS["medium"]),
    ("letter", 0, "She wrote a letter to her friend."),
    ("lights", 1, "The lights went out during the storm."),
    ("keys", 0, "I have lost my keys again."),
    ("coffee", 1, "They drank coffee and talked for hours."),
    ("garden", 0, "There is a small garden behind the house."),
    ("train", 1, "The train was late this morning."),
    ("dog", 0, "A brown dog slept under the table."),
    ("window", 1, "Please open the window."),
]
WANTED = 6
COOL, WARM, MIXED = (0.6, 50, 0.6, 50), (0.9, 50, 0.9, 50), (0.9, 50, 0.6, 10)
REPLY = "I am fine, thank you."


def demo(voice: Path, tokenizer: Tokenizer, folder: Path):
    """The voice itself, whole clips; then a turn with an earlier turn's own codes before it."""
    model = reference.load(voice)
    out, cases = {}, []
    for name, speaker, text in SENTENCES:
        n = len(cases)
        draws = [(2 * n, COOL), (2 * n + 1, WARM)] + ([(100, MIXED)] if n == 2 else [])
        case = Case(name, speaker, text, frames=100, greedy=100, audio=12 if n == 0 else 4, sampled=draws)
        try:
            answers: Tensors = {}
            cases.append(samples(model, answer(model, tokenizer, case, 0, answers), answers))
            out |= answers
        except TooClose as reason:
            print(f"demo: {reason}")
        if len(cases) == WANTED:
            break
    assert len(cases) == WANTED and all(s["ended"] for c in cases for s in c["sampled"]) and all(c["ended"] for c in cases)
    _, data = header(voice / "model.safetensors")
    manifest = dict(
        name="demo", versions=versions(), model_data_sha256=hashlib.sha256(data).hexdigest(), cases=cases,
        reply=reply(model, tokenizer, cases[0], out),
    )  # fmt: skip
    write(folder, manifest, out)
    write_exact_check(voice / "exact_check.json", cases[0], out)


def write_exact_check(path: Path, case: dict, out: Tensors):
    """The start of a clip and the logits of its first draw: what the program checks *exact* by before its first clip."""
    clip = case["sampled"][1]
    stored = dict(
        torch=torch.__version__.split("+")[0], text=case["text"], speaker=case["speaker"], seed=clip["seed"],
        settings=clip["settings"], frames=out[clip["tensor"]][:12].tolist(),
        logits=[float(f"{x:.6g}") for x in out[f"{case['name']}/logits"][0, 0].tolist()],
    )  # fmt: skip
    path.write_text(json.dumps(stored) + "\n")


def reply(model, tokenizer: Tokenizer, first: dict, out: Tensors) -> dict:
    """The other speaker's answer to the first sampled clip of case `first`, which goes in as its codes."""
    before = first["sampled"][0]["tensor"]
    speaker = 1 - first["speaker"]
    ids = [tokenizer.encode(f"[{s}]{t}").ids for s, t in ((first["speaker"], first["text"]), (speaker, REPLY))]
    embeds = reference.embed(model, [ids[0], out[before], ids[1]])
    told = sample(model, dict(inputs_embeds=embeds), embeds, 100, "reply/sampled", (7, COOL), out)
    turn = dict(before=before, before_speaker=first["speaker"], before_text=first["text"], speaker=speaker, text=REPLY)
    return dict(told, **turn)


def main():
    """Makes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--voice", type=Path, default=HERE.parent.parent / "assets" / "voice")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--checkpoint", type=Path, help="only save the checkpoint of NAME (stored seed) into this folder")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if args.checkpoint:
        (golden,) = [g for g in GOLDENS if g.name in args.names]
        seed = json.loads((HERE / f"{golden.name}.json").read_text())["seed"]
        save(golden, seed, args.checkpoint)
        (args.checkpoint / "tokenizer.json").write_bytes((args.voice / "tokenizer.json").read_bytes())
        return
    tokenizer = Tokenizer.from_file(str(args.voice / "tokenizer.json"))
    for golden in GOLDENS:
        if not args.names or golden.name in args.names:
            make(golden, tokenizer, args.out)
    if not args.names or "demo" in args.names:
        demo(args.voice, tokenizer, args.out)


if __name__ == "__main__":
    main()
