#!/usr/bin/env python3
"""Fifty files and arguments that no program should take as they are: `hostile.py` from the repository's root, after `cargo build
--release`. Each must end with a code of the contract and words that name what is wrong, within 30 s and 4 GB, and leave nothing but what
it says. Exits with 1 if one does not."""
import json, os, pathlib, shutil, struct, subprocess, sys, tempfile, zipfile

CSM = os.path.abspath(os.environ.get("PROGRAMS", "target/release") + "/csm")
VOICE = pathlib.Path("assets/voice").resolve()
problems, count = [], 0
folder = pathlib.Path(tempfile.mkdtemp())


def run(*arguments, stdin=b""):
    limited = ["timeout", "30", "bash", "-c", 'ulimit -v 4000000; exec "$0" "$@"', CSM, *map(str, arguments)]
    result = subprocess.run(limited, cwd=folder, input=stdin, capture_output=True, env={**os.environ, "XDG_DATA_HOME": str(folder / "data"), "HF_HUB_CACHE": str(folder / "hub")})
    return result.returncode, (result.stdout + result.stderr).decode(errors="replace")


def expect(name, words, *arguments, codes=(2,), stdin=b""):
    """`words`: one of them, separated by |, is in the message; codes: what the command may end with."""
    global count
    count += 1
    code, said = run(*arguments, stdin=stdin)
    if code not in codes or "panicked" in said or not any(word in said for word in words.split("|")):
        problems.append(name)
        print(f"WRONG {name}: ended with {code}\n    " + "\n    ".join(said.strip().splitlines()[-6:]), flush=True)


def file(name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content).encode())
    return path


def wav(samples, rate=24_000, channels=1, bits=16, kind=1, size=None):
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * bits // 8 & 0xFFFFFFFF, channels * bits // 8 & 0xFFFF, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def model(name, **changed):
    """A copy of the voice, with other contents of some files; `None` leaves one out."""
    made = folder / name
    shutil.copytree(VOICE, made)
    for file_name, content in changed.items():
        path = made / file_name.replace("__", ".")
        path.unlink(missing_ok=True)
        if callable(content):
            content = content(json.loads((VOICE / path.name).read_text()))
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return made


good = folder / "good.json"
assert run("generate", "--text", "Hello.", "--seed", "1", "--output", "good.wav", "--dump-tokens", good)[0] == 0
assert run("generate", "--text", "Hello.", "--seed", "2", "--output", "other.wav")[0] == 0
tokens = json.loads(good.read_text())
again = lambda name, **changed: file(name, {**tokens, **changed})

# Token files.
decode = lambda name, words, path, **more: expect(name, words, "generate", "--decode-tokens", path, "--output", "o.wav", **more)
frames = tokens["frames"]
decode("frames of different lengths", "frame", again("t1.json", frames=[frames[0], frames[1][:-1]]))
decode("a negative id", "frame|-1|integer", again("t2.json", frames=[[-1] * len(frames[0])]))
decode("an id with a fraction", "frame|1.5|integer", again("t3.json", frames=[[1.5] * len(frames[0])]))
decode("an id past the vocabulary", "vocab|1027|id", again("t4.json", frames=[[4_000_000_000] * len(frames[0])]))
decode("a file of another version", "version", again("t5.json", version=99))
decode("no frames at all", "frame", again("t6.json", frames=[]))
decode("a hundred thousand brackets", "JSON|json|recursion|expected", file("t7.json", "[" * 100_000))
decode("two megabytes of zero bytes", "expected|JSON|json", file("t8.json", bytes(2 << 20)))
decode("numpy's objects", "expected integers", file("t9.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + b"{'descr': '|O', 'fortran_order': False, 'shape': (3, 6), }".ljust(117) + b"\n" + b"\x80\x04N."))
decode("a shape that overflows", "shape|size|bytes|large|overflow|frames", file("t10.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + b"{'descr': '<i8', 'fortran_order': False, 'shape': (9223372036854775807, 6), }".ljust(117) + b"\n"))
decode("a header of brackets", "header", file("t15.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + b"{" + b"[" * 70 + b"'descr'".ljust(46) + b"\n"))
expect("a clip with a temperature of letters", "temperature", "generate", "--again", again("t11.json", sampling={**tokens["sampling"], "temperature": "hot"}), "--output", "o.wav")
expect("a clip whose top-k is -5", "topk|top-k|-5", "generate", "--again", again("t12.json", sampling={**tokens["sampling"], "topk": -5}), "--output", "o.wav")
expect("edits past the end", "frame|edit", "generate", "--again", again("t13.json", edits=[{"frame": 99_999, "codebook": 0, "token": 1}]), "--output", "o.wav", codes=(0, 2))
expect("words of another shape", "start|word|number|expected", "align", again("t14.json", words=[{"word": "a", "start": "now"}]), codes=(0, 2))

# Sounds.
prompt = lambda name, words, path, **more: expect(name, words, "generate", "--text", "Hi.", "--context-audio", path, "--context-text", "Hello.", "--context-speaker", "0", "--output", "o.wav", **more)
prompt("a rate of 1 Hz", "rate|Hz", file("s1.wav", wav(bytes(4_000), rate=1)))
prompt("a rate of 4 GHz", "rate|Hz", file("s2.wav", wav(bytes(4_000), rate=4_294_967_295)))
prompt("65,535 channels", "channel|sample|short", file("s3.wav", wav(bytes(4_000), channels=65_535)))
prompt("no channel", "channel|expected", file("s4.wav", wav(bytes(4_000), channels=0)))
prompt("0 bits a sample", "bit|expected", file("s5.wav", wav(bytes(4_000), bits=0)))
prompt("not a number in floats", "NaN|finite|number", file("s6.wav", wav(struct.pack("<f", float("nan")) * 24_000, bits=32, kind=3)))
prompt("infinite floats", "NaN|finite|number|inf", file("s7.wav", wav(struct.pack("<f", float("inf")) * 24_000, bits=32, kind=3)))
prompt("only a header", "sample|empty|short|no sound", file("s8.wav", wav(b"")))
prompt("digital silence", "silen", file("s9.wav", wav(bytes(48_000))), codes=(0, 2))
prompt("a page instead of a sound", "expected|HTML|html|recogn", file("s10.flac", "<!DOCTYPE html><title>404</title>"))
prompt("an MP3 of zeros", "expected|MP3|mp3|sound", file("s11.mp3", b"\xff\xfb\x90\x00" + bytes(100_000)))
prompt("an unfinished Ogg page", "expected|Ogg|OGG|sound", file("s12.ogg", b"OggS\x00\x02" + bytes(30)))
prompt("an AIFF with a rate of nothing", "rate|AIFF|expected|sample", file("s13.aiff", b"FORM" + struct.pack(">I", 46) + b"AIFFCOMM" + struct.pack(">IhIh", 18, 1, 100, 16) + bytes(10) + b"SSND" + struct.pack(">III", 8, 0, 0)))
expect("an hour as a prompt", "long|frames|fit|seconds", "generate", "--text", "Hi.", "--context-audio", file("s14.wav", wav((b"\x00\x10\x00\xf0" * 24_000) * 1_800)), "--context-text", "Hello.", "--context-speaker", "0", "--output", "o.wav")

# Models.
load = lambda name, words, path, **more: expect(name, words, "generate", "--text", "Hi.", "--model-path", path, "--output", "o.wav", **more)
load("a config that is a list", "config", model("m1", config__json=b"[]"))
load("layers without number", "num_hidden_layers", model("m2", config__json=lambda c: {**c, "num_hidden_layers": 1e300}))
load("no heads", "heads", model("m3", config__json=lambda c: {**c, "num_attention_heads": 0}))
load("a negative width", "hidden_size|size", model("m4", config__json=lambda c: {**c, "hidden_size": -8}))
load("a header longer than the file", "header|safetensors|bytes", model("m5", model__safetensors=struct.pack("<Q", 1 << 62) + b"{}"))
load("tensors that overlap past the end", "offset|bytes|safetensors|tensor", model("m6", model__safetensors=safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 40]}})))
load("a shape that overflows", "shape|overflow|safetensors|offset|tensor", model("m7", model__safetensors=safetensors({"a": {"dtype": "F32", "shape": [1 << 63, 1 << 63], "data_offsets": [0, 0]}})))
load("an index that leads out of the folder", "folder|index|..|path|outside", model("m8", model__safetensors=None, model__safetensors__index__json={"weight_map": {"a": "../../../etc/passwd"}}))
load("a tokenizer of another kind", "tokenizer", model("m9", tokenizer__json={"version": "1.0", "model": {"type": "Nothing"}}))
load("a tokenizer without entries", "tokenizer|token", model("m10", tokenizer__json={"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}))
load("a generation config of text", "temperature: expected a number", model("m11", generation_config__json=lambda c: {**c, "temperature": "warm"}), codes=(0,))
load("a temperature below nothing", "temperature", model("m14", generation_config__json=lambda c: {**c, "temperature": -1}), codes=(0, 2))
load("voices without names", "voices", model("m12", voices__json=b'{"voices": 7}'))
load("a rule that never ends", "pronounc|profile|text_profile", model("m13", text_profile__json=b'{"version": [[[[]]]]}'))

# Tests and answers.
report = lambda name, words, *paths, **more: expect(name, words, "listen", "report", *paths, **more)
expect("a test of nothing", "condition", "listen", "new", "--kind", "preference", "--output", "n.json")
report("a test without its format", "test|expected|format", file("l1.json", {"kind": "preference"}), file("l2.json", {"answers": []}))
made = run("listen", "new", "--kind", "preference", "--trials", "4", "--seed", "1", "--condition", "a=good.wav", "--condition", "b=other.wav", "--output", "l3.json")
test = json.loads((folder / "l3.json").read_text()) if made[0] == 0 else {}
report("answers to another test", "test|answers|expected", folder / "l3.json", file("l4.json", {"test": "another", "answers": [{"trial": 10**12, "answer": "a"}]}))
expect("a test with a trial of no sounds", "trial|sound|expected", "listen", "run", file("l5.json", {**test, "trials": [{"sounds": []}]}), "--results", "r.json")
expect("a test whose sound is not base64", "sound|base64|expected|WAV", "listen", "run", file("l6.json", json.dumps(test).replace("UklGR", "!!!!!")), "--results", "r.json")

# Texts and arguments.
expect("a text of control characters", "nothing|speak|text|letters", "generate", "--text", "\x01\x02\x7f", "--output", "o.wav")
expect("a text of joiners", "nothing|speak|text|letters", "generate", "--text", "\u200d\u200b\ufeff\u202e", "--output", "o.wav")
expect("a text of one word that is a megabyte", "left out|long|cut|word", "generate", "--stdin", "--output", "o.wav", stdin=b"a" * (1 << 20), codes=(0, 2))
expect("bytes that are no text", "UTF-8|text|format", "generate", "--stdin", "--output", "o.wav", stdin=bytes(range(128, 256)) * 10, codes=(0, 2))
expect("seeds without end", "seed", "generate", "--text", "Hi.", "--seeds", "0..18446744073709551615", "--output", "o.wav")
expect("a temperature that is not a number", "temperature", "generate", "--text", "Hi.", "--temperature", "nan", "--output", "o.wav")
expect("pronunciations that go round", "pronunc|expected|left|read|audio|o.wav", "generate", "--text", "Hi.", "--pronunciations", file("p.txt", "Hi = Hi Hi\nHi = Hi\n"), "--output", "o.wav", codes=(0, 2))
expect("an output that is a folder", "folder|directory", "generate", "--text", "Hi.", "--output", folder, codes=(2, 3))

shutil.rmtree(folder)
print(f"{count} inputs\n{len(problems)} problems")
sys.exit(bool(problems))
