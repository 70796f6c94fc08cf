"""Language model and codec as one checkpoint in transformers' format, float16, with tokenizer and code labels.  pack.py OUT"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import GenerationConfig

from codec import load_net, trained_mimi
from config import AUDIO, BOS, EOS
from language_model import new_model, without_codec
from units import labels

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|AUDIO|>", "<|audio_eos|>")  # ids 256..259
SAMPLING = dict(do_sample=True, temperature=0.6, top_k=50)


def tokenizer() -> Tokenizer:
    """Bytes of the lower-cased text, between BOS and EOS as CSM's own tokenizer puts them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in printable}
    for n, b in enumerate(b for b in range(256) if b not in printable):
        letters[b] = chr(256 + n)
    t = Tokenizer(models.BPE(vocab={c: b for b, c in letters.items()}, merges=[]))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True) for s in SPECIAL])
    t.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} $A {SPECIAL[1]}", special_tokens=[(SPECIAL[0], BOS), (SPECIAL[1], EOS)]
    )
    return t


def main(out: Path):
    model = new_model()
    load_net("language_model", without_codec(model))
    model.codec_model.load_state_dict(trained_mimi().state_dict())
    model.generation_config = GenerationConfig(**SAMPLING, max_new_tokens=125, bos_token_id=BOS, pad_token_id=AUDIO)
    model.depth_decoder.generation_config = GenerationConfig(**SAMPLING, use_cache=True)
    model.half().save_pretrained(out)
    tokenizer().save(str(out / "tokenizer.json"))
    (out / "code_labels.json").write_text(json.dumps(labels(), ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
