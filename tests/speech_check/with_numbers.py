"""Is the demo voice understood when a text has numbers and abbreviations? 40 sentences (with_numbers.txt), two speakers, one seed each.

    python tests/speech_check/with_numbers.py [CSM [CHECKPOINT]]      # set up as README.md says

Whisper base writes down what it hears; both texts go through Whisper's own normaliser for English, which writes number words as digits.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jiwer
from scoring import Recogniser, fetch_whisper
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

HERE = Path(__file__).parent
SENTENCES = (HERE / "with_numbers.txt").read_text().splitlines()


def main():
    model = ["--model-path", sys.argv[2]] if len(sys.argv) > 2 else []
    csm = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[1] / "target" / "release" / "csm").resolve()
    normalise = EnglishTextNormalizer({})
    said, heard, ended = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        recogniser = Recogniser(fetch_whisper(), folder / "notes")
        for speaker in (0, 1):
            for n, sentence in enumerate(SENTENCES):
                clip = folder / f"{speaker}-{n}.wav"
                done = subprocess.run([csm, "generate", *model, "--text", sentence, "--speaker", str(speaker), "--seed", str(n),
                                       "--json", "--output", clip], capture_output=True, text=True, check=True)
                ended += json.loads(done.stdout)["stop"] == "eos"
                said.append(normalise(sentence))
                heard.append(normalise(recogniser.hear(clip)))
                if said[-1] != heard[-1]:
                    print(f"{said[-1]}\n  heard as {heard[-1]}", flush=True)
    print(f"{len(said)} clips: word error rate {100 * jiwer.wer(said, heard):.1f} %; {ended} ended by themselves")


if __name__ == "__main__":
    main()
