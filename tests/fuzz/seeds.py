#!/usr/bin/env python3
"""First inputs of the fuzzer, from real files: `seeds.py FOLDER` from the repository's root, after `cargo build --release`.
Sounds in other formats than WAV are made by ffmpeg, if it is there."""
import io, json, os, pickle, shutil, struct, subprocess, sys, tempfile, types, zipfile

CSM = os.path.abspath("target/release/csm")
FOLDER = os.path.abspath(sys.argv[1])


def seed(harness, name, content):
    os.makedirs(f"{FOLDER}/{harness}", exist_ok=True)
    with open(f"{FOLDER}/{harness}/{name}", "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def csm(*arguments):
    subprocess.run([CSM, *arguments], check=True, capture_output=True, cwd=work)


# PyTorch's names of what a state dictionary is made of, so that no PyTorch is needed.
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
for kind in ["FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage"]:
    setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
def _rebuild_tensor_v2(*arguments): ...
_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})


class Tensor:
    def __init__(self, kind, key, shape):
        self.kind, self.key, self.shape = kind, key, shape

    def __reduce__(self):
        strides = [1] * len(self.shape)
        for n in reversed(range(len(self.shape) - 1)):
            strides[n] = strides[n + 1] * self.shape[n + 1]
        count = 1
        for size in self.shape:
            count *= size
        storage = Storage(("storage", getattr(torch, self.kind), self.key, "cpu", count))
        return _rebuild_tensor_v2, (storage, 0, tuple(self.shape), tuple(strides), False, {})


class Storage:
    def __init__(self, identity):
        self.identity = identity


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.identity if isinstance(value, Storage) else None


def pickled(value, protocol=2):
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def torch_file(value, sizes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(value))
        archive.writestr("archive/byteorder", "little")
        for key, size in sizes.items():
            archive.writestr(f"archive/data/{key}", bytes(size))
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def safetensors(tensors, data=b""):
    header, at = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + (data or bytes(at))


def array(shape, dtype="<i8", fortran=False):
    head = f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {tuple(shape)}, }}"
    head = head.ljust(118 - 1) + "\n"
    size = int(dtype[-1])
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + bytes([1] + [0] * (size - 1)) * (shape[0] * shape[1])


with tempfile.TemporaryDirectory() as work:
    os.environ.update(XDG_DATA_HOME=work, XDG_STATE_HOME=work)
    weights = {"backbone.layers.0.attn.q_proj.weight": Tensor("FloatStorage", "0", [4, 4]), "audio_head": Tensor("BFloat16Storage", "1", [3, 4, 5])}
    nested = {"model": weights, "epoch": 3, "names": ["a", ("b", None, True, 2.5)]}
    for n, value in enumerate([weights, nested, weights["audio_head"], [1, "two", {"three": 3.0}], {}]):
        seed("pickle", f"state-{n}", pickled(value))
        seed("pickle", f"state-{n}-protocol-4", pickled(value, 4))
    seed("weight_file", "torch", torch_file(weights, {"0": 64, "1": 120}))
    seed("weight_file", "safetensors", safetensors({"a": ("F32", [2, 3], 24), "b": ("BF16", [4], 8), "c": ("U32", [2, 2], 16)}))
    for kind in range(10):
        seed("config", f"kind-{kind}", bytes([17 * kind, kind]) + struct.pack(">Q", 3))
    for kind in range(8):
        seed("weights", f"kind-{kind}", bytes([9 * kind, kind]) + struct.pack(">Q", 2))
    module = "base_model.model.backbone_model.layers.0.self_attn.q_proj"
    factors = {f"{module}.lora_A.weight": ("F32", [2, 160], 1280), f"{module}.lora_B.weight": ("F32", [160, 2], 1280)}
    config = json.dumps({"r": 2, "lora_alpha": 4, "use_rslora": False, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {}})
    seed("adapter", "peft", config.encode() + b"\0" + safetensors(factors)[8:].rstrip(b"\0"))
    mlx = {"backbone.layers.0.self_attn.q_proj.lora_a": ("F32", [160, 2], 1280), "backbone.layers.0.self_attn.q_proj.lora_b": ("F32", [2, 160], 1280)}
    seed("adapter", "csm-mlx", json.dumps({"lora_parameters": {"scale": 2.0}}).encode() + b"\0" + safetensors(mlx)[8:].rstrip(b"\0"))
    seed("tokenizer", "demo", read("assets/voice/tokenizer.json"))

    csm("generate", "--text", "Hello.", "--seed", "1", "--max-audio-length-ms", "400", "--output", "a.wav", "--dump-tokens", "a.json")
    csm("generate", "--text", "Hello.", "--seed", "2", "--max-audio-length-ms", "400", "--output", "b.wav", "--dump-tokens", "b.json")
    wav = read(f"{work}/a.wav")[: 44 + 4_000]
    seed("recording", "wav", wav)
    if shutil.which("ffmpeg"):
        with open(f"{work}/short.wav", "wb") as file:
            file.write(wav)
        codecs = {"flac": [], "mp3": [], "ogg": ["-c:a", "libvorbis"], "opus": [], "m4a": [], "aiff": [], "mka": ["-c:a", "flac"], "aac": [], "webm": []}
        for name, options in codecs.items():
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", f"{work}/short.wav", *options, f"{work}/s.{name}"], check=True)
            seed("recording", name, read(f"{work}/s.{name}"))
        # Without ADPCM, whose arithmetic wraps in symphonia: a build for fuzzing refuses that.
        for codec in ["pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_f64le", "pcm_alaw", "pcm_mulaw"]:
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", f"{work}/short.wav", "-c:a", codec, f"{work}/s.wav"], check=True)
            seed("recording", codec, read(f"{work}/s.wav"))
    frames = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    seed("token_file", "json", json.dumps({"format": "csm-tokens", "version": 1, "frames": frames}))
    own = json.loads(read(f"{work}/a.json"))
    seed("token_file", "own", json.dumps(own | {"frames": frames, "codebooks": 4, "vocab": 35, "edits": [{"frame": 1, "seed": 2}]}))
    seed("token_file", "list", json.dumps(frames))
    for n, (shape, dtype, fortran) in enumerate([([3, 4], "<i8", False), ([4, 6], "<i4", True), ([3, 4], "|u1", False), ([3, 4], ">i2", False)]):
        seed("token_file", f"npy-{n}", array(shape, dtype, fortran))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.npy", array([3, 4]))
    seed("token_file", "npz", stream.getvalue())
    seed("token_file", "safetensors", safetensors({"codes": ("I64", [3, 4], 96)}, struct.pack("<12q", *range(1, 13))))
    seed("token_file", "torch", torch_file(Tensor("LongStorage", "0", [3, 4]), {"0": 96}))

    for kind in ["preference", "abx", "opinion", "rating", "comparison"]:
        new = ["listen", "new", "--kind", kind, "--condition", "one=a.wav", "--condition", "two=b.wav", "--output", f"{kind}.json", "--seed", "1"]
        made = subprocess.run([CSM, *new], capture_output=True, cwd=work, text=True)
        if made.returncode != 0:
            print(f"{kind}: {made.stderr}", file=sys.stderr)
            continue
        test = json.loads(read(f"{work}/{kind}.json"))
        for stimulus in test["stimuli"]:
            stimulus["wav"] = ""
        value = {"preference": "first", "abx": "second"}.get(kind, {"values": [50.0] * (1 if kind == "comparison" else len(test["trials"][0]["stimuli"]))})
        answers = [{"trial": 0, "choice": value, "at": 1, "seconds": 2.0, "heard": [1.0, 1.0]}]
        results = {"format": "csm-listening-results-2", "test_sha256": "", "listener": "Ada", "device": "d", "version": "1", "list": 0, "answers": answers}
        seed("listening", kind, json.dumps(test) + "\0" + json.dumps(results))
    csm("generate", "--text", "One.", "--seed", "1", "--max-audio-length-ms", "400", f"--take={work}/takes")
    for root, _, files in os.walk(work):
        if "take.json" in files:
            take = read(f"{root}/take.json").decode()
            seed("take", "take", take + "\0" + json.dumps(json.loads(take) | {"parent": "one", "favourite": True}))
    settings = json.loads(read(f"{work}/a.json"))["sampling"]
    header = {"__metadata__": {"samplings": json.dumps([settings] * 2), "guarded": "[[false,false],[true,false]]", "end": "0.5"},
              "logits": {"dtype": "F32", "shape": [2, 2, 5], "data_offsets": [0, 80]}}
    seed("take", "logits", struct.pack("<Q", len(json.dumps(header))) + json.dumps(header).encode() + bytes(80))

sys.path.insert(0, "tests")
sys.argv = sys.argv[:1]
import mutate
for n in range(40):
    seed("text", f"text-{n}", mutate.text())
listing = {"sha": "a" * 40, "siblings": [{"rfilename": "config.json", "size": 3, "blobId": "b" * 40}, {"rfilename": "m/x.safetensors", "lfs": {"sha256": "c" * 64, "size": 9}}]}
seed("hub", "listing", json.dumps(listing) + "\0" + json.dumps({"transformers_weights": "m/x.safetensors"}))
index = listing | {"siblings": listing["siblings"] + [{"rfilename": "model.safetensors.index.json", "size": 3, "blobId": "d" * 40}]}
seed("hub", "index", json.dumps(index) + "\0" + json.dumps({"weight_map": {"a": "m/x.safetensors"}}))
for name in ["sesame/csm-1b", "https://huggingface.co/sesame/csm-1b/tree/main?a#b", "csm-1b", "../a"]:
    seed("hub", name.replace("/", "_"), name)
for n, pair in enumerate([("The ferry left at ten.", "the very left a ten"), ("it's 5 o'clock", "its five"), ("a 'b' \"c\" $d \\e\tf", ""), ("\u202e\x1b[31m", "x")]):
    seed("words", f"pair-{n}", "\0".join(pair))
