#!/usr/bin/env python3
"""Damaged sounds, texts, answers, tests, tokens, takes and checkpoints for the programs: `mutate.py [COUNT] [SEED] [ONLY]` from the repository's root, after
`cargo build --release`. Each must end with an exit code of the contract (0 to 3) and without a panic; text that is spoken must
have all its words in the pieces, unless a message says what was left out or read otherwise. Exits with 1 if one does not."""
import json, os, random, re, shutil, struct, subprocess, sys, tempfile, zipfile

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 500
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ONLY = int(sys.argv[3]) if len(sys.argv) > 3 else None  # one input alone, to look into
CSM = os.path.abspath(os.environ.get("PROGRAMS", "target/release") + "/csm")


HOME = tempfile.TemporaryDirectory()
with open(f"{HOME.name}/asound.conf", "w") as file:  # sound goes nowhere
    file.write("pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n")


def run(args, folder, stdin=b""):
    limit = ["timeout", "60", "bash", "-c", 'ulimit -v 8000000; exec "$0" "$@"', CSM]
    result = subprocess.run(limit + args, input=stdin, cwd=folder, capture_output=True, env={**os.environ, "XDG_DATA_HOME": folder, "ALSA_CONFIG_PATH": f"{HOME.name}/asound.conf"})
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


def made_once():
    """Real files to damage: token files, a listening test and a take."""
    folder = tempfile.mkdtemp()
    for name, seed in [("a", "1"), ("b", "2")]:
        run(["generate", "--text", "Hello.", "--seed", seed, "--max-audio-length-ms", "400", "--output", f"{name}.wav", "--dump-tokens", f"{name}.json", f"--take={folder}/takes"], folder)
    run(["listen", "new", "--kind", "abx", "--trials", "3", "--seed", "1", "--condition", "a=a.wav", "--condition", "b=b.wav", "--output", "test.json"], folder)
    frames = json.load(open(f"{folder}/a.json"))["frames"]
    numbers = [code for frame in frames for code in frame]
    head = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({len(frames)}, {len(frames[0])}), }}".ljust(117) + "\n"
    open(f"{folder}/t.npy", "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + struct.pack(f"<{len(numbers)}q", *numbers))
    header = json.dumps({"codes": {"dtype": "I64", "shape": [len(frames), len(frames[0])], "data_offsets": [0, 8 * len(numbers)]}})
    open(f"{folder}/t.safetensors", "wb").write(struct.pack("<Q", len(header)) + header.encode() + struct.pack(f"<{len(numbers)}q", *numbers))
    with zipfile.ZipFile(f"{folder}/t.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(f"{folder}/t.npy", "codes.npy")
    return folder


def check_tokens(folder):
    name = random.choice(["a.json", "t.npy", "t.npz", "t.safetensors"])
    open(f"{folder}/x{name}", "wb").write(damaged(open(f"{MADE}/{name}", "rb").read()))
    command = random.choice([["generate", "--decode-tokens", f"x{name}"], ["analyze", f"x{name}"], ["generate", "--text", "Hello.", "--seed", "1", "--max-audio-length-ms", "80", "--force-tokens", f"x{name}"],
                             ["generate", "--again", f"x{name}", "--max-audio-length-ms", "80"], ["align", f"x{name}"]])
    return *run(command, folder), None


def check_test(folder):
    open(f"{folder}/t.json", "wb").write(damaged(open(f"{MADE}/test.json", "rb").read()))
    return *run(["listen", *random.choice([["run", "t.json"], ["report", "t.json", "t.json"]])], folder, b"1\na\nu\nq\n"), None


def check_take(folder):
    shutil.copytree(f"{MADE}/takes", f"{folder}/takes")
    files = [f"{root}/{name}" for root, _, names in os.walk(f"{folder}/takes") for name in names]
    for path in random.sample(files, min(2, len(files))):
        open(path, "wb").write(damaged(open(path, "rb").read()))
    take = os.path.dirname(random.choice([path for path in files if path.endswith("take.json")]))
    command = random.choice([["analyze", take], ["align", take], ["generate", "--text", "Hi.", "--seed", "1", "--max-audio-length-ms", "80", f"--take={folder}/takes"]])
    return *run(command, folder), None


def check_checkpoint(folder):
    """The demo voice with one file damaged; of the weights, the header alone."""
    model = f"{folder}/model"
    os.mkdir(model)
    for name in os.listdir("assets/voice"):
        os.symlink(os.path.abspath(f"assets/voice/{name}"), f"{model}/{name}")
    name = random.choice(["config.json", "tokenizer.json", "generation_config.json", "voices.json", "text_profile.json", "alignment.json", "code_labels.json", "model.safetensors"])
    content = open(f"{model}/{name}", "rb").read()
    os.remove(f"{model}/{name}")
    with open(f"{model}/{name}", "wb") as file:
        if name == "model.safetensors":
            length = struct.unpack("<Q", content[:8])[0]
            head = damaged(content[8:8 + length])
            file.write((struct.pack("<Q", len(head)) if random.random() < 0.8 else damaged(content[:8])) + head)
            file.truncate(file.tell() + len(content) - 8 - length)
        else:
            file.write(damaged(content))
    command = random.choice([["doctor", "model"], ["generate", "--model-path", "model", "--text", "Hello.", "--seed", "1", "--max-audio-length-ms", "80"], ["voices", "--model-path", "model"]])
    return *run(command, folder), None


def check_adapter(folder):
    """A LoRA adapter of the demo voice, its config or its header damaged."""
    os.mkdir(f"{folder}/lora")
    module = "base_model.model.backbone_model.layers.0.self_attn.q_proj"
    width = json.load(open("assets/voice/config.json"))["hidden_size"]
    header, size = {}, 2 * width * 4
    for n, (part, shape) in enumerate([("lora_A", [2, width]), ("lora_B", [width, 2])]):
        header[f"{module}.{part}.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [n * size, (n + 1) * size]}
    config = json.dumps({"base_model_name_or_path": "demo", "r": 2, "lora_alpha": 4, "use_rslora": False, "rank_pattern": {"q_.*": 2}, "alpha_pattern": {"k_proj": 3}}).encode()
    head = json.dumps(header).encode()
    config, head = random.choice([(config, damaged(head)), (damaged(config), head), (config, head)])
    open(f"{folder}/lora/adapter_config.json", "wb").write(config)
    open(f"{folder}/lora/adapter_model.safetensors", "wb").write(struct.pack("<Q", len(head)) + head + bytes(2 * size))
    command = ["generate", "--adapter", "lora", "--text", "Hello.", "--seed", "1", "--max-audio-length-ms", "80"]
    return *run(random.choice([command, ["doctor", "lora"]]), folder), None


CHECKS = [check_text, check_sound, check_answers, check_tokens, check_test, check_take, check_checkpoint, check_adapter]

if __name__ == "__main__":
    MADE = made_once()
    bad, codes = 0, {}
    for n in range(COUNT):
        if ONLY not in (None, n):
            continue
        random.seed(f"{SEED} {n}")
        check = CHECKS[n % len(CHECKS)]
        with tempfile.TemporaryDirectory() as folder:
            code, said, problem = check(folder)
            if problem is None and (code not in (0, 1, 2, 3) or "panicked" in said):
                problem = f"exit code {code}"
            codes[check.__name__, code] = codes.get((check.__name__, code), 0) + 1
            if problem:
                bad += 1
                print(f"{check.__name__} {n}: {problem}\n    " + "\n    ".join(re.findall(r".*panicked at.*\n.*", said) or said.strip().splitlines()[-4:]))
    print(f"{COUNT} inputs, {bad} went wrong;", ", ".join(f"{name}: {count} ended with {code}" for (name, code), count in sorted(codes.items())))
    shutil.rmtree(MADE)
    sys.exit(bad > 0)
