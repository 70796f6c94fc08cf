"""The peer: the same checkpoint run by transformers, in float32 on the CPU."""

from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from transformers import CsmForConditionalGeneration


class Peer:
    """A checkpoint folder in transformers' CSM format, loaded to speak."""

    def __init__(self, checkpoint: Path):
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = CsmForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
        self.codes_size = self.model.config.codec_config.codebook_size
        self.sample_rate = self.model.config.codec_config.sampling_rate
        self.frame_rate = self.model.config.codec_config.frame_rate

    @torch.no_grad()
    def speak(self, text: str, speaker: int, seed: int, temperature: float, topk: int, cap_ms: int):
        """(waveform, frames, "eos" or "cap")."""
        torch.manual_seed(seed)
        sampled = dict(do_sample=True, temperature=temperature, top_k=topk) if temperature > 0 else dict(do_sample=False)
        depth = {f"depth_decoder_{name}": value for name, value in sampled.items()}
        ids = torch.tensor([self.tokenizer.encode(f"[{speaker}]{text}").ids])
        cap = int(cap_ms * self.frame_rate / 1_000)
        codes = self.model.generate(input_ids=ids, max_new_tokens=cap, **sampled, **depth)[0]  # (T, K)
        ends = (codes == 0).all(1).nonzero()  # transformers keeps the frame of zeros that ends the speech
        stop, codes = ("eos", codes[: int(ends[0])]) if len(ends) else ("cap", codes)
        if not len(codes):
            return np.zeros(0, np.float32), 0, stop
        codes = torch.where(codes < self.codes_size, codes, 0)  # the vocabulary's last ids are no codes
        wave = self.model.codec_model.decode(codes.T[None]).audio_values[0, 0]
        return wave.numpy(), len(codes), stop
