#!/usr/bin/env python3
"""Damaged sounds, texts and answer files for the programs: `mutate.py [COUNT] [SEED] [ONLY]` from the repository's root, after
`cargo build --release`. Each must end with an exit code of the contract (0 to 3) and without a panic; text that is spoken must
have all its words in the pieces, unless a message says what was left out or read otherwise. Exits with 1 if one does not."""
import json, os, random, re, struct, subprocess, sys, tempfile

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 500
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ONLY = int(sys.argv[3]) if len(sys.argv) > 3 else None  # one input alone, to look into
CSM = os.path.abspath("target/release/csm")


def run(args, folder, stdin=b""):
    limit = ["timeout", "60", "bash", "-c", 'ulimit -v 8000000; exec "$0" "$@"', CSM]
    result = subprocess.run(limit + args, input=stdin, cwd=folder, capture_output=True, env={**os.environ, "XDG_DATA_HOME": folder})
    return result.returncode, (result.stdout + result.stderr).decode(errors="replace")


def wav(rate=24000, channels=1, bits=16, seconds=0.5, kind=1):
    count = int(rate * seconds) * channels
    if kind == 3:
        data = struct.pack(f"<{count}f", *(random.uniform(-0.5, 0.5) for _ in range(count)))
        bits = 32
    else:
        data = bytes(random.randrange(256) for _ in range(count * bits // 8))
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def damaged(data):
    """`data` with some bytes changed, cut out, doubled or set to extremes."""
    data = bytearray(data)
    for _ in range(random.randint(1, 6)):
        if not data:
            break
        at = random.randrange(min(len(data), 200) if random.random() < 0.6 else len(data))
        match random.randrange(6):
            case 0: data[at] = random.randrange(256)
            case 1: del data[at:at + random.randint(1, 64)]
            case 2: data[at:at] = data[at:at + random.randint(1, 64)]
            case 3: data[at:at + 4] = random.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f", b"\0\0\x80\x7f"])
            case 4: del data[at:]
            case 5: data[at:at + 2] = random.choice([b"\0\0", b"\1\0", b"\xff\xff"])
    return bytes(data)


WORDS = "the harbour was empty and nobody had seen ferry keeper lighthouse storm morning letter garden captain heavy wooden box".split()
PARTS = ["5", "1,234", "$3.50", "9/10", "2020-12-05", "10:45", "his 30s", "+44 20 7946 0958", "50 %", "3 km", "ＡＢ１２", "٢٥", "½", "²", "#1", "C++",
         "https://example.com/a?b=1", "anna@example.com", "[3]", "[0]", "[note 1]", "**bold**", "_it_", "`code`", "# Title", "> quoted", "- item",
         "1. item", "<b>x</b>", "<p>", "</p>", "&amp;", "&#8364;", "<!-- c -->", "```", "---", "|a|b|", "00:00:01,000 --> 00:00:02,000", "WEBVTT",
         "😀", "你好", "Привет", "\u200b", "\u00ad", "\u202e", "ﬁne", "…", "—", "(", ")", '"', "“", "’", "Dr.", "e.g.", "No. 5", "IV", "Henry VIII", "\t",
         "x" * 150, "iVBORw0K" * 60, "har-\nbour", "\\", "{\\rtf", "%PDF-1.4", "\0", "<|AUDIO|>", "<|begin_of_text|>", "a" * 40, "9" * 40, "1/0", "0/0", "-", "--", "5-", "-5-5-5"]


def text():
    tokens = [random.choice(WORDS if random.random() < 0.6 else PARTS) for _ in range(random.randint(1, 25))]
    return "".join(token + random.choice([" ", " ", " ", ", ", ". ", "\n", "\n\n", ""]) for token in tokens)


def check_text(folder):
    written = text()
    data = written.encode()
    if random.random() < 0.2:
        data = damaged(data)
    code, said = run(["generate", "--stdin", "--seed", "1", "--max-audio-length-ms", "80", "--output", "o.wav", "--dump-tokens", "t.json"], folder, data)
    if code == 0 and data == written.encode():
        spoken = " ".join(json.load(open(os.path.join(folder, f)))["text"] for f in os.listdir(folder) if f.startswith("t") and f.endswith(".json"))
        lost = [w for w in re.findall(r"\b[a-z]{4,15}\b", written) if w in WORDS and w not in spoken]
        # What is inside a block of code, a comment or a tag is named by its kind.
        if lost and not re.search(r"left out|leaves out|read as|not spoken", said):
            return code, said, f"lost {lost} of {written!r}"
    return code, said, None


def check_sound(folder):
    kind = random.choice([1, 1, 3])
    good = wav(random.choice([8000, 24000, 44100, 48000]), random.choice([1, 2]), random.choice([8, 16, 24]), 0.3, kind)
    open(os.path.join(folder, "a.wav"), "wb").write(damaged(good))
    open(os.path.join(folder, "b.wav"), "wb").write(wav())
    code, said = run(["listen", "new", "--kind", "preference", "--condition", "a=a.wav", "--condition", "b=b.wav", "--output", "t.json"], folder)
    return code, said, None


def check_answers(folder):
    for name in "ab":
        open(os.path.join(folder, name + ".wav"), "wb").write(wav(seconds=0.5))
    kind = random.choice(["abx", "preference", "rating", "opinion"])
    run(["listen", "new", "--kind", kind, "--trials", "3", "--seed", "1", "--condition", "a=a.wav", "--condition", "b=b.wav", "--output", "t.json"], folder)
    run(["listen", "run", "t.json", "--results", "r.json"], folder, b"u\nq\n")
    test = json.load(open(os.path.join(folder, "t.json")))
    results = json.load(open(os.path.join(folder, "r.json")))
    choices = ["first", "second", "tie", {"values": [random.choice([0, 1, 50, 100, -1, 1e9, 1e308]) for _ in range(random.randint(0, 3))]}, None, 5]
    good = lambda t: random.choice(["first", "second"]) if kind in ("abx", "preference") else {"values": [3.0] * len(t["stimuli"])}
    for n, trial in enumerate(test["trials"]):
        choice = good(trial) if random.random() < 0.8 else random.choice(choices)
        results["answers"].append({"trial": n if random.random() < 0.9 else random.randint(-1, 99), "choice": choice,
                                   "at": random.choice([1764000000, 0, 2**63]), "seconds": random.choice([1.0, -5.0, 1e300])})
    data = json.dumps(results).encode()
    if random.random() < 0.5:
        data = damaged(data)
    open(os.path.join(folder, "r.json"), "wb").write(data)
    code, said = run(["listen", "report", "t.json", "r.json", "--csv", "r.csv", "--html", "r.html", "--json"], folder)
    return code, said, None


if __name__ == "__main__":
    bad, codes = 0, {}
    for n in range(COUNT):
        if ONLY not in (None, n):
            continue
        random.seed(f"{SEED} {n}")
        check = [check_text, check_sound, check_answers][n % 3]
        with tempfile.TemporaryDirectory() as folder:
            code, said, problem = check(folder)
            if problem is None and (code not in (0, 1, 2, 3) or "panicked" in said):
                problem = f"exit code {code}"
            codes[check.__name__, code] = codes.get((check.__name__, code), 0) + 1
            if problem:
                bad += 1
                print(f"{check.__name__} {n}: {problem}\n    " + "\n    ".join(re.findall(r".*panicked at.*\n.*", said) or said.strip().splitlines()[-4:]))
    print(f"{COUNT} inputs, {bad} went wrong;", ", ".join(f"{name}: {count} ended with {code}" for (name, code), count in sorted(codes.items())))
    sys.exit(bad > 0)
