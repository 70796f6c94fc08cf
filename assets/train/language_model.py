"""Train a small CSM (transformers' CsmForConditionalGeneration) on WORK/timing.*.jsonl.  language_model.py MINUTES

-> WORK/language_model.pt. Same shape as CSM-1B: a text frame or an audio frame a position, the backbone gives code 0, the
depth decoder the others. Beside both cross-entropies: *guided attention*. Four heads of the middle layers are drawn towards
the letters of the unit that code 0 announces, with a weight that is gone after 60 % of the time; without it a model this small
learns to babble. And *wrong history*: some of the codes it reads back are another frame's, so that it learns to recover from
its own mistakes.
"""

import random
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
from transformers import CsmForConditionalGeneration

from common import Training, begin, read_rows, speakers_of
from config import VOCAB, K, csm_config, text_ids
from units import codes_of, reading

GUIDED_HEADS = ((1, 0), (1, 1), (2, 0), (2, 1))  # (layer, head)
HELD_OUT = 150  # sentences
NOT_ASKED = -100  # as a target
BATCH = 16  # conversations
DEPTH_SHARE = 0.4  # of the frames, that the depth decoder learns from
WRONG = 0.1  # mean share of the codes that are read as another frame's
GUIDE, GUIDE_UNTIL = 0.3, 0.6  # the guidance's weight at first, and the share of the time after which it is none


def load_tokens() -> tuple[list[dict], list[dict]]:
    """Segments to train on, every third sentence by speaker 1 too, and those of the sentences held out."""
    rows = [r for r in read_rows("timing.*.jsonl") if len(r["text"]) <= 110 and r["frames"] >= 4]
    random.Random(2).shuffle(rows)

    def items(some):
        for n, row in enumerate(some):
            read = torch.from_numpy(reading(row["units"], row["spelled"], row["frames"], len(row["text"]))).float()
            for speaker in speakers_of(n):
                spoken = torch.from_numpy(codes_of(row["units"], row["frames"], speaker))
                yield dict(ids=text_ids(speaker, row["text"]), codes=spoken, read=read)

    return list(items(rows[HELD_OUT:])), list(items(rows[:HELD_OUT]))


def sequence(conversation: list[dict]):
    """Segments in a row -> text ids (T,), codes (T, K), whether a position is audio (T,), target codes (T, K)."""
    ids, audio, is_audio, target = [], [], [], []
    for s in conversation:
        n, frames = len(s["ids"]), s["codes"].shape[1]
        codes = torch.cat([s["codes"].T.long(), torch.zeros(1, K, dtype=torch.long)])  # a frame of zeros ends the segment
        ids += s["ids"] + [0] * (frames + 1)
        is_audio += [0] * n + [1] * (frames + 1)
        audio.append(torch.cat([torch.zeros(n, K, dtype=torch.long), codes]))
        wanted = torch.full((n + frames + 1, K), NOT_ASKED)
        wanted[n - 1 : n + frames] = codes
        target.append(wanted)
    return torch.tensor(ids), torch.cat(audio), torch.tensor(is_audio), torch.cat(target)


def embed(model, batch: list[list[dict]], wrong=0.0):
    """Conversations (lists of segments) -> inputs (B, T, hidden) and target codes (B, T, K)."""
    padded = (
        nn.utils.rnn.pad_sequence(part, batch_first=True, padding_value=fill)
        for part, fill in zip(zip(*map(sequence, batch)), (0, 0, 0, NOT_ASKED))
    )
    ids, audio, is_audio, target = padded
    if wrong:
        spoken = audio.sum(-1, keepdim=True) > 0
        others = audio[spoken[..., 0]]
        hit = (torch.rand(audio.shape) < 2 * wrong * torch.rand(len(batch), 1, 1)) & spoken
        picked = torch.stack([others[torch.randint(0, len(others), audio.shape[:2]), k] for k in range(K)], -1)
        audio = torch.where(hit, picked, audio)
    x = torch.where(is_audio[..., None] == 1, model.backbone_model.embed_tokens(audio), model.embed_text_tokens(ids))
    return x, target


def guidance(attentions, batch, width=0.01):
    """-log of the guided heads' attention near the letter that a frame has to read, mean over frames, heads, segments."""
    heads = torch.stack([attentions[layer][:, head] for layer, head in GUIDED_HEADS], 1)
    total, count = 0.0, 0
    for i, conversation in enumerate(batch):
        offset = 0
        for s in conversation:
            n, frames = len(s["ids"]), s["codes"].shape[1]
            chars, first, query = n - 5, offset + 4, offset + n - 1  # BOS and "[0]" before the text, EOS after
            a = heads[i, :, query : query + frames, first : first + chars]
            t, u = s["read"][:, None], (torch.arange(chars) + 0.5)[None] / chars
            near = torch.exp(-((t - u) ** 2) / (2 * (width + 1.5 / chars) ** 2))
            total = total - torch.log((a * near).sum(-1) + 1e-3).mean(1).sum()
            count += len(GUIDED_HEADS)
            offset += n + frames + 1
    return total / count


def losses(model, batch, depth_share=1.0, wrong=0.0):
    """Cross-entropy of code 0, mean cross-entropy of codes 1..K-1 on a share of the frames, guidance."""
    x, target = embed(model, batch, wrong)
    out = model.backbone_model(inputs_embeds=x, output_attentions=True)
    asked = target[..., 0] != NOT_ASKED
    hidden, wanted = out.last_hidden_state[asked], target[asked]
    first = F.cross_entropy(model.lm_head(hidden), wanted[:, 0])
    if depth_share < 1:
        some = torch.randperm(len(wanted))[: max(8, int(len(wanted) * depth_share))]
        hidden, wanted = hidden[some], wanted[some]
    depth = model.depth_decoder
    e = depth.model.embed_tokens(wanted[:, : K - 1] + torch.arange(K - 1) * VOCAB)
    o = depth.model(inputs_embeds=torch.cat([hidden[:, None], e], 1), use_cache=False).last_hidden_state[:, 1:]
    W = depth.codebooks_head.weight
    rest = sum(F.cross_entropy(o[:, k] @ W[k], wanted[:, k + 1]) for k in range(K - 1)) / (K - 1)
    return first, rest, guidance(out.attentions, batch)


def batches(rows, size=BATCH, together=0.15):
    """Without end: conversations of one or two segments, of like length within a batch."""
    while True:
        random.shuffle(rows)
        conversations, i = [], 0
        while i < len(rows):
            n = 2 if random.random() < together else 1
            conversations.append(rows[i : i + n])
            i += n
        length = lambda c: sum(len(s["ids"]) + s["codes"].shape[1] for s in c)
        pools = [sorted(conversations[i : i + size * 16], key=length) for i in range(0, len(conversations), size * 16)]
        epoch = [p[j : j + size] for p in pools for j in range(0, len(p), size)]
        random.shuffle(epoch)
        yield from epoch


def new_model() -> CsmForConditionalGeneration:
    """Untrained."""
    model = CsmForConditionalGeneration(csm_config())
    model.backbone_model.config._attn_implementation = "eager"  # gives the attention weights
    with torch.no_grad():
        model.depth_decoder.codebooks_head.weight.normal_(0, 0.02)  # transformers leaves it uninitialised
    return model


def without_codec(model: CsmForConditionalGeneration) -> nn.ModuleDict:
    """The parts that are trained here, under the model's own names."""
    return nn.ModuleDict({name: part for name, part in model.named_children() if name != "codec_model"})


@torch.no_grad()
def check(model, held_out):
    """Prints the cross-entropies of what is held out."""
    model.eval()
    seen = torch.tensor([losses(model, [[r] for r in held_out[i : i + 25]])[:2] for i in range(0, len(held_out), 25)])
    model.train()
    print("  held out: code 0 {:.3f}, others {:.3f}".format(*seen.mean(0)), flush=True)


def train(minutes: float):
    """Resumes from WORK/language_model.pt."""
    begin(1)
    rows, held_out = load_tokens()
    model = new_model().train()
    trained = without_codec(model)
    matrices, vectors = ([p for p in trained.parameters() if (p.ndim > 1) == wide] for wide in (True, False))
    groups = [dict(params=matrices, weight_decay=0.05), dict(params=vectors, weight_decay=0.0)]
    optimiser = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.97), fused=True)
    training = Training(trained, optimiser, minutes, warm_up=200, name="language_model", save_every=400)
    for done, batch in zip(training, batches(rows)):
        first, rest, guided = losses(model, batch, DEPTH_SHARE, WRONG)
        guide = GUIDE * max(0.0, 1 - done / GUIDE_UNTIL)
        training.learn(first + rest + guide * guided, code_0=first, others=rest, guidance=guided)
        if training.step % 400 == 0:
            check(model, held_out)


if __name__ == "__main__":
    train(float(sys.argv[1]))
