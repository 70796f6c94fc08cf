"""Writes warpers.json: draws by transformers' own logits processors and PyTorch's multinomial from rows of the formula, and whole clips of
the demo voice by transformers' generate() with top-p and min-p (see README.md)."""

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)  # fmt: skip

import formula
import reference
from configs import Case

HERE = Path(__file__).parent
VOICE = HERE.parent.parent / "assets" / "voice"
ROWS = 240
BORDER = 1e-5  # least distance of a cut's probability from its border
CLIPS = [
    # text, speaker, seed, codebook 0's top_p and min_p, the others'
    ("The little boat sailed across the lake.", 0, 21, (0.9, 0.0), (0.9, 0.0)),
    ("Good morning, how are you today?", 1, 22, (1.0, 0.05), (1.0, 0.05)),
    ("A brown dog slept under the table.", 0, 23, (0.7, 0.02), (0.95, 0.1)),
    ("Please open the window.", 1, 24, (0.5, 0.0), (1.0, 0.0)),
]
TEMPERATURE, TOP_K = 0.9, 50


def warpers(penalty: float, t: float, k: int, top_p: float, min_p: float) -> list:
    """In the order of GenerationMixin._get_logits_processor."""
    given = [RepetitionPenaltyLogitsProcessor(penalty)] if penalty != 1 else []
    given += [TemperatureLogitsWarper(t), TopKLogitsWarper(k)]
    given += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    return given + ([MinPLogitsWarper(min_p)] if min_p > 0 else [])


def distance(before: torch.Tensor, top_p: float, min_p: float) -> float:
    """Of the probabilities that decide a cut from what they are compared with."""
    p = before.double().softmax(-1).sort().values
    nucleus = (p.cumsum(-1) - (1 - top_p)).abs().min() if top_p < 1 else torch.inf
    tail = (p / p.max() - min_p).abs().min() if min_p > 0 else torch.inf
    return float(min(nucleus, tail))


def row(n: int) -> dict | None:
    """What is drawn from row `n`; None where rounding could decide."""
    vocab = (67, 2051)[n % 2]
    t, k = (0.3, 0.9, 1.5)[n % 3], (vocab, 50, 5)[n // 3 % 3]
    top_p, min_p = ((0.9, 0.0), (0.5, 0.0), (1.0, 0.05), (1.0, 0.3), (0.8, 0.02))[n // 9 % 5]
    penalty = (1.0, 1.3, 0.7)[n // 45 % 3]
    logits = torch.from_numpy(formula.values(f"warpers/{n}", 0, (1, vocab), 0.0, 8.0))
    scores, before = logits, None
    # The most likely tokens among them, and one of them twice.
    recent = [*logits[0].topk(3).indices.tolist(), n % vocab, n * 7 % vocab, int(logits[0].argmax())]
    for warper in warpers(penalty, t, k, top_p, min_p):
        before = scores if isinstance(warper, TopPLogitsWarper | MinPLogitsWarper) and before is None else before
        scores = warper(torch.tensor([recent]), scores)
    torch.manual_seed(n)
    token = int(torch.multinomial(scores.softmax(-1), 1))
    kept = int(scores.isfinite().sum())
    if distance(before[0], top_p, min_p) < BORDER:
        return None
    settings = dict(temperature=t, top_k=k, top_p=top_p, min_p=min_p, repetition_penalty=penalty)
    return dict(row=n, vocab=vocab, **settings, recent=recent, seed=n, kept=kept, token=token)


def clip(model, tokenizer: Tokenizer, text: str, speaker: int, seed: int, first: tuple, depth: tuple) -> dict:
    """A clip, of which transformers drew every token."""
    inputs = reference.prompt(tokenizer, Case("", speaker, text), 0, []).inputs()
    torch.manual_seed(seed)
    sampling = dict(do_sample=True, temperature=TEMPERATURE, top_k=TOP_K, top_p=first[0], min_p=first[1])
    sampling |= {f"depth_decoder_{key}": value for key, value in sampling.items()}
    sampling |= dict(depth_decoder_top_p=depth[0], depth_decoder_min_p=depth[1])
    with torch.no_grad():
        raw = model.generate(**inputs, max_new_tokens=100, **sampling)[0]
    assert (raw[-1] == 0).all(), "the clip does not end"
    settings = [dict(temperature=TEMPERATURE, top_k=TOP_K, top_p=p, min_p=m, repetition_penalty=1.0) for p, m in (first, depth)]
    return dict(text=text, speaker=speaker, seed=seed, codebook0=settings[0], depth=settings[1], frames=raw[:-1].tolist())


def main():
    """Writes the file."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    rows = [answer for n in range(ROWS) if (answer := row(n))]
    assert len(rows) > 0.9 * ROWS, len(rows)
    tokenizer = Tokenizer.from_file(str(VOICE / "tokenizer.json"))
    model = reference.load(VOICE)
    clips = [clip(model, tokenizer, *wanted) for wanted in CLIPS]
    versions = dict(torch=torch.__version__, transformers=transformers.__version__)
    answers = ",\n".join(json.dumps(answer) for answer in rows)
    spoken = ",\n".join(json.dumps(c) for c in clips)
    text = f'{{"versions": {json.dumps(versions)},\n"rows": [\n{answers}\n],\n"clips": [\n{spoken}\n]}}\n'
    (HERE / "warpers.json").write_text(text)


if __name__ == "__main__":
    main()
