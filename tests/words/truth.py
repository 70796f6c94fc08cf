#!/usr/bin/env python3
"""When words begin in clips of the demo voice, as its own codes say, and how far `csm generate --words` is from that.

    truth.py FOLDER [GOLDEN.json]

FOLDER has NAME.tokens.json and NAME.words.json of each clip (tests/words/measure.sh makes them). Codes 1 to 3 of the demo voice name the
sounds that begin in a frame, with their offset in steps of 8 ms. Each word's sounds come from eSpeak NG (`pip install espeakng-loader`),
which the voice's teacher used, and are aligned to those of the codes by edit distance; a word whose first sound has no like there is
left out. With GOLDEN.json, the true beginnings of every fifth clip are written there for the tests.
"""
import ctypes
import json
import re
import statistics
import sys
from pathlib import Path

import espeakng_loader

ROOT = Path(__file__).resolve().parents[2]
LABELS = json.loads((ROOT / "assets/voice/code_labels.json").read_text())
SOUND = re.compile(r"(\S+) at (\d+) ms")
FRAME = 0.08
SOUNDS = sorted({m[1] for k in (1, 2, 3) for label in LABELS[k] if (m := SOUND.match(label))}, key=lambda s: -len(s))
VOWELS = "aeiouæɐɑɔəɚɛɜɪʊʌᵻ"

espeak = ctypes.CDLL(espeakng_loader.get_library_path())
espeak.espeak_Initialize(1, 0, espeakng_loader.get_data_path().encode(), 0)
espeak.espeak_SetVoiceByName(b"en-us")
espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
espeak.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]


def sounds_of(word):
    rest, ipa = ctypes.c_char_p(word.encode()), ""
    while rest.value:
        ipa += (espeak.espeak_TextToPhonemes(ctypes.byref(rest), 1, 2) or b"").decode()
    ipa, found, at = ipa.replace("ˌ", "").replace(" ", ""), [], 0
    while at < len(ipa):
        sound = next((s for s in SOUNDS if ipa.startswith(s, at)), None)
        found += [sound] if sound else []
        at += len(sound) if sound else 1
    return found


def sounds_in(frames):
    found = [(t * FRAME + int(m[2]) / 1000, m[1]) for t, f in enumerate(frames) for k in (1, 2, 3) if (m := SOUND.match(LABELS[k][f[k]]))]
    return [event for event in sorted(found) if event[1] != "pause"]


def difference(a, b):
    if a == b:
        return 0
    a, b = (s.replace("ˈ", "").replace("ː", "") for s in (a, b))
    return 0.2 if a == b else 0.7 if (a[0] in VOWELS) == (b[0] in VOWELS) else 1.6


def beginnings(words, frames):
    """Seconds at which each word begins, or None; and the edit distance per sound."""
    wanted = [(n, place, sound) for n, word in enumerate(words) for place, sound in enumerate(sounds_of(word))]
    heard = sounds_in(frames)
    table = [[float(i + j) if not i or not j else 0.0 for j in range(len(heard) + 1)] for i in range(len(wanted) + 1)]
    for i, (_, _, sound) in enumerate(wanted, 1):
        for j, (_, other) in enumerate(heard, 1):
            table[i][j] = min(table[i - 1][j - 1] + difference(sound, other), table[i - 1][j] + 1, table[i][j - 1] + 1)
    begins, i, j = [None] * len(words), len(wanted), len(heard)
    while i and j:
        word, place, sound = wanted[i - 1]
        cost = difference(sound, heard[j - 1][1])
        if abs(table[i][j] - table[i - 1][j - 1] - cost) < 1e-9:
            if place == 0 and cost < 0.5:
                begins[word] = heard[j - 1][0]
            i, j = i - 1, j - 1
        elif abs(table[i][j] - table[i - 1][j] - 1) < 1e-9:
            i -= 1
        else:
            j -= 1
    return begins, table[-1][-1] / max(len(wanted), 1)


errors, golden, misread = [], [], 0
for n, path in enumerate(sorted(Path(sys.argv[1]).glob("*.tokens.json"))):
    tokens = json.loads(path.read_text())
    words = json.loads(path.with_name(path.name.replace("tokens", "words")).read_text())["words"]
    true, distance = beginnings([word["word"] for word in words], tokens["frames"])
    if distance > 0.25:  # the voice says something else
        misread += 1
        continue
    errors += [word["start"] - begin for word, begin in zip(words, true) if begin is not None]
    if n % 5 == 0:
        golden.append({"text": tokens["text"], "speaker": tokens["speaker"], "frames": tokens["frames"], "begins": true})
away = [abs(e) for e in errors]
within = lambda limit: 100 * sum(a <= limit for a in away) / len(away)
print(f"{len(errors)} words of clips that say their text ({misread} do not): median error {1000 * statistics.median(away):.0f} ms, "
      f"within 80 ms {within(0.08):.1f} %, within 160 ms {within(0.16):.1f} %, mean {1000 * statistics.mean(errors):+.0f} ms")
if len(sys.argv) > 2:
    Path(sys.argv[2]).write_text(json.dumps(golden, ensure_ascii=False) + "\n")
