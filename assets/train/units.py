"""Units of speech: espeak's symbols merged into what is heard as one sound, and the codes that tell which is spoken when.

A vowel carries its stress and length, diphthongs and affricates are one unit, spaces belong to the unit before, punctuation and
the ends of a sentence are pauses ("_", followed by the punctuation itself). The six codes of a frame of 80 ms (10 steps of 8 ms):

| code | says | ids |
|---|---|---|
| 0 | how many units begin in this frame, 0..5, and which unit comes after it | 1 + count * UNITS + unit |
| 1, 2, 3 | the first, second, third unit that begins in this frame, and at which step, 0..9; 10 and unit 0: none | 1 + step * UNITS + unit |
| 4 | the unit that sounds when the frame begins, and for how long it has: 0..10, in 24 ms | 1 + unit * 11 + age |
| 5 | the speaker, and frames since the last pause began and until the next one, 0..15 each | 1 + speaker * 256 + since * 16 + until |

So the backbone, which gives code 0, decides what is said and how fast; the depth decoder works out when exactly. (With the three
next units in codes 0, 1 and 3, whatever came into sight did so in code 3, and the model hardly learnt to read.)
Id 0 is never used by speech, so a frame of zeros can only mean the end.
"""

import re

import numpy as np

from common import CODEBOOK_SIZE, CODEBOOKS, HOP, STEPS

NONE = STEPS  # no step of this frame
MOST = 5  # units that begin in a frame and are counted
OLDEST = 10  # 24 ms each: the age of a sound, no more is told
VOWELS = set("iyɨʉɯuɪʏʊeøɘəɵɤoɛœɜɞʌɔæɐaɶɑɒɚɝᵻ")
PAUSES = set(",.?!;:—-()\"'^$…")  # ^ and $ are the teacher's own start and end
MERGED = {"oʊ", "aʊ", "eɪ", "aɪ", "ɔɪ", "tʃ", "dʒ", "əʊ"}
UNITS = (
    "_ n t ɹ ə d s ɪ l ð k m z ɚ b ˈɛ p f w v ˈɪ æ ˈæ ˈeɪ ɐ ŋ ˈaɪ ˈʌ h i ˈoʊ ˈiː ˈɑː j ᵻ ʌ ɡ ˈuː ˈɔː aɪ dʒ ɛ ɾ tʃ uː ʃ ɑː ˈɜː oʊ eɪ "
    "iː θ ʊ ˈɔ ˈʊ ˈaʊ ɔː aʊ ɔ ˈɔɪ ʒ ˈi ɜː ʔ ɔɪ r ˈɚ ˈɐ ˈə ˈᵻ ˈɔːɪ a ˈa e o x"
).split()
IDS = {unit: i for i, unit in enumerate(UNITS)}
assert 1 + (NONE + 1) * len(UNITS) <= CODEBOOK_SIZE


def merge(symbols: list[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """(espeak symbol, samples) -> (unit, samples, index of its first symbol)."""
    out, stress, carried = [], "", 0
    for index, (symbol, samples) in enumerate(symbols):
        if symbol in "ˈˌ":
            stress = "ˈ" if symbol == "ˈ" else stress
            carried += samples
        elif symbol in "ː̩ʲ̃ʰ" and out:
            out[-1][0] += "ː" if symbol == "ː" else ""
            out[-1][1] += samples
        elif symbol == " ":
            if out:
                out[-1][1] += samples
            else:
                carried += samples
        elif symbol in PAUSES:
            mark = "" if symbol in "^$" else symbol
            if out and out[-1][0][0] == "_":
                out[-1][0] += mark
                out[-1][1] += samples + carried
            else:
                out.append(["_" + mark, samples + carried, index])
            carried = 0
        elif out and not stress and not carried and out[-1][0].lstrip("ˈ") + symbol in MERGED:
            out[-1][0] += symbol
            out[-1][1] += samples
        else:
            vowel = symbol in VOWELS
            out.append([(stress if vowel else "") + symbol, samples + carried, index])
            stress, carried = "" if vowel else stress, 0
    return [tuple(u) for u in out]


def unit_id(unit: str) -> int:
    """The unit itself, or the nearest that has an id: without stress, without length, a schwa. Pauses are unit 0."""
    if unit[0] == "_":
        return 0
    return next(IDS[u] for u in (unit, unit.lstrip("ˈ"), unit[:-1], "ə") if u in IDS)


def timeline(units: list[tuple[str, int]]) -> tuple[np.ndarray, list[int]]:
    """(unit, first sample) -> first steps, strictly rising, and unit ids."""
    steps = []
    for _, sample in units:
        step = round(sample / HOP)
        steps.append(max(step, steps[-1] + 1) if steps else step)
    return np.array(steps), [unit_id(u) for u, _ in units]


def codes_of(units: list[tuple[str, int]], frames: int, speaker: int) -> np.ndarray:
    """The codes of a spoken sentence, (CODEBOOKS, frames) int16."""
    start, ids = timeline(units)
    pauses = [s for s, i in zip(start, ids) if i == 0]
    padded = ids + [0]
    out = np.zeros((CODEBOOKS, frames), np.int16)
    for frame in range(frames):
        now = frame * STEPS
        first, after = np.searchsorted(start, (now, now + STEPS))  # units first..after-1 begin in this frame
        begins = [
            1 + (start[k] - now) * len(UNITS) + ids[k] if k < after else 1 + NONE * len(UNITS)
            for k in range(first, first + 3)
        ]
        age = min(OLDEST, (now - start[first - 1]) // 3) if first else OLDEST
        current = ids[first - 1] if first else 0
        past, ahead = [p for p in pauses if p <= now], [p for p in pauses if p > now]
        since = min(15, (now - past[-1]) // STEPS) if past else 15
        until = min(15, (ahead[0] - now) // STEPS) if ahead else 0
        next_unit = 1 + min(after - first, MOST) * len(UNITS) + padded[after]
        out[:, frame] = next_unit, *begins, 1 + current * (OLDEST + 1) + age, 1 + speaker * 256 + since * 16 + until
    return out


def spelling(text: str, symbols: list[str]) -> list[float]:
    """Where in the text each unit is spelled, in characters: evenly over the letters of its word, a pause at the word's end.

    espeak keeps the spaces, so its words are the text's; where it does not (one sentence in six: "of the" may become one
    word), evenly over the whole text.
    """
    merged = merge([(s, 0) for s in symbols])
    ends = np.cumsum([s in " $" for s in symbols])
    words = [int(ends[first - 1]) if first else 0 for _, _, first in merged]
    spans = [(m.start(), m.end()) for m in re.finditer(r"[^ ]+", text)]
    if ends[-1] != len(spans):
        return [(k + 0.5) / len(merged) * len(text) for k in range(len(merged))]
    out = []
    for k in range(len(merged)):
        a, b = spans[words[k]]
        sounds = [j for j, w in enumerate(words) if w == words[k] and merged[j][0][0] != "_"]
        out.append(a + (sounds.index(k) + 0.5) / len(sounds) * (b - a) if k in sounds else b - 0.5)
    return out


def reading(units: list[tuple[str, int]], spelled: list[float], frames: int, characters: int) -> np.ndarray:
    """Share of the text read, 0..1, where the unit is spelled that each frame's code 0 announces."""
    start, _ = timeline(units)
    after = np.searchsorted(start, (np.arange(frames) + 1) * STEPS)
    return np.array([*spelled, characters])[after] / characters


def labels() -> list[list[str]]:
    """For people who look at tokens: what each id of each codebook says, CODEBOOKS lists of CODEBOOK_SIZE; "" where unused."""
    out = [[""] * CODEBOOK_SIZE for _ in range(CODEBOOKS)]
    for k, u in enumerate(["pause", *UNITS[1:]]):
        for count in range(MOST + 1):
            out[0][1 + count * len(UNITS) + k] = f"{count} sound{'s' * (count != 1)}, next {u}"
        for step in range(STEPS):
            for book in (1, 2, 3):
                out[book][1 + step * len(UNITS) + k] = f"{u} at {8 * step} ms"
        for age in range(OLDEST + 1):
            out[4][1 + k * (OLDEST + 1) + age] = f"{u}, {24 * age} ms old"
    for book in (1, 2, 3):
        out[book][1 + NONE * len(UNITS)] = "none"
    for i in range(512):
        since, until = 80 * (i // 16 % 16), 80 * (i % 16)
        out[5][1 + i] = f"speaker {i // 256}, {since} ms after a pause, {until} ms before the next"
    return out
