#!/usr/bin/env python3
"""How well `csm align --check` finds words that were left out, said twice or swapped: `check.py [SENTENCES [ends]]` speaks sentences of
sentences.txt with both speakers as they are, and once with a change that the token file then hides. With `ends`, the end of the sentence is
missing instead, or the last word of the turn before is said first, and every clip has a turn before it. Prints recall and precision by
kind, and false alarms on the clips that say what they should. Needs a release build."""
import json, os, pathlib, random, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
CSM = pathlib.Path(os.environ.get("PROGRAMS", ROOT / "target/release")).resolve() / "csm"
sentences = (ROOT / "tests/words/sentences.txt").read_text().splitlines()[: int(sys.argv[1]) if len(sys.argv) > 1 else 100]
ENDS = sys.argv[2:] == ["ends"]
KINDS = ["cut-off", "leaked-in"] if ENDS else ["left-out", "repeated", "swapped"]


def changed(text, kind, before, random):
    """The text with one change, and the word that is to be named."""
    words = text.rstrip(".?!").split()
    if kind == "cut-off":
        n = len(words) - random.randint(1, 3)
        return " ".join(words[:n]).rstrip(",") + text[-1], words[n]
    if kind == "leaked-in":
        word = before.rstrip(".?!").split()[-1]
        return f"{word} {text}", word
    n = random.randrange(1, len(words) - 1)
    word = words[n]
    if kind == "left-out":
        del words[n]
    elif kind == "repeated":
        words.insert(n, word)
    else:
        words[n], words[n + 1] = words[n + 1], words[n]
    return " ".join(words) + text[-1], word


def check(job):
    number, speaker, kind = job
    text = sentences[number]
    before = sentences[number - 1]
    said, word = (text, None) if kind is None else changed(text, kind, before, random.Random(f"{number} {speaker}"))
    with tempfile.TemporaryDirectory() as folder:
        def speak(text, tokens, *more):
            subprocess.run([CSM, "generate", "--text", text, "--speaker", str(speaker), "--seed", str(number), "--whole", *more,
                            "--output", f"{folder}/t.wav", "--dump-tokens", tokens], check=True, capture_output=True)
        tokens, context = pathlib.Path(folder, "t.json"), pathlib.Path(folder, "before.json")
        if ENDS:
            speak(before, context)
            speak(said, tokens, "--context-audio", context, "--context-text", before, "--context-speaker", str(speaker))
        else:
            speak(said, tokens)
        content = json.loads(tokens.read_text())
        tokens.write_text(json.dumps({**content, "text": text}))
        found = subprocess.run([CSM, "align", tokens, "--check", "--json"], capture_output=True, text=True)
    return kind, word, text, json.loads(found.stdout)


jobs = [(n, s, kind) for n in range(len(sentences)) for s in (0, 1) for kind in (None, KINDS[(n + s) % len(KINDS)])]
with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(check, jobs))
bare = lambda word: word.strip(".,?!").lower()
for kind in KINDS:
    made = [r for r in results if r[0] == kind]
    # Two neighbours that changed places are one swap, whichever of them is named.
    hit = [r for r in made if any(p["kind"] == kind and (kind == "swapped" or bare(p["word"]) == bare(r[1])) for p in r[3])]
    named = [p for r in results if r[0] is not None for p in r[3] if p["kind"] == kind]
    print(f"{kind}: {len(hit)} of {len(made)} found; {len(hit)} of {len(named)} named are right")
    for r in made:
        if r not in hit:
            print("   missed", r[1], "|", r[2], [(p["kind"], p["word"], round(p["bits"])) for p in r[3]])
right = [r for r in results if r[0] is None]
alarms = [r for r in right if r[3]]
print(f"false alarms: {len(alarms)} of {len(right)} clips that were spoken as they are")
for r in alarms:
    print("  ", r[2], [(p["kind"], p["word"], round(p["bits"])) for p in r[3]])
