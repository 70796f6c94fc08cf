#!/usr/bin/env python3
"""What the programs do when they are killed, get too little, or lose what they use: `faults.py [CASE…] [--count N] [--seed N]` from
the repository's root, after `cargo build --release`. Linux, as root for the full disk, the limit of threads and the machine without a
network; the window needs xvfb and xdotool, the clock faketime, the device pulseaudio. Prints a line for each case and exits with 1 if
something was lost, hung, panicked or ended by an abort."""
import argparse, ctypes, glob, hashlib, http.server, json, os, platform, random, shutil, signal, subprocess, sys, tempfile, threading, time, wave

PROGRAMS = os.environ.get("PROGRAMS", "target/release")
CSM, STUDIO = os.path.abspath(f"{PROGRAMS}/csm"), os.path.abspath(f"{PROGRAMS}/csm-studio")
TEXT = "The little boat sailed across the lake. " * 20
problems = []


def environment(folder, **more):
    homes = {name: folder for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR"]}
    with open(f"{folder}/asound.conf", "w") as file:
        file.write("pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n")
    return {**os.environ, **homes, "ALSA_CONFIG_PATH": f"{folder}/asound.conf", **more}


def start(folder, *arguments, before=None, program=CSM, **more):
    pipes = {name: subprocess.PIPE for name in ["stdin", "stdout", "stderr"]}
    return subprocess.Popen([program, *arguments], cwd=folder, env=environment(folder, **more), preexec_fn=before, **pipes)


def finish(child, given=b"", seconds=120):
    """Exit code and all that was printed; a program that does not end is a hang."""
    try:
        out, err = child.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        return "hang", (out + err).decode(errors="replace")
    return child.returncode, (out + err).decode(errors="replace")


def expect(true, case, what, said=""):
    if not true:
        problems.append(f"{case}: {what}")
        print(f"  WRONG {case}: {what}\n    " + "\n    ".join(said.strip().splitlines()[-6:]), flush=True)


def in_words(case, code, said, codes=(0, 2, 3, 130)):
    expect(code in codes and "panicked" not in said, case, f"ended with {code}", said)


def seconds_of(path):
    with wave.open(path) as file:
        return file.getnframes() / file.getframerate()


def kill_after(child, longest):
    time.sleep(random.uniform(0, longest))
    which = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    child.send_signal(which)
    return which


def kill_generate(folder):
    """What was at the output stays whole until it is replaced; a kill leaves the sound so far, and the next run names it."""
    output = f"{folder}/o.wav"
    shutil.copy(OLD, output)
    child = start(folder, "generate", "--stdin", "--seed", "1", "--output", "o.wav")
    child.stdin.write(TEXT.encode())
    child.stdin.close()
    child.stdin = None
    which = kill_after(child, 4)
    code, said = finish(child)
    whole = seconds_of(output)
    if which == signal.SIGKILL:
        expect(whole == seconds_of(OLD) or code == 0, "generate", "the old sound is not there", said)
        parts = [name for name in os.listdir(folder) if name.endswith(".part")]
        code, said = finish(start(folder, "generate", "--text", "Hello.", "--seed", "1", "--output", "o.wav"))
        in_words("generate after a kill", code, said, (0,))
        for name in parts:
            if os.path.getsize(f"{folder}/{name}") > 44:
                expect(name in said, "generate after a kill", f"{name} is not named", said)
    elif code != -which:  # before the handler is installed
        in_words("generate", code, said, (0, 130))


def kill_takes(folder):
    """Every take that is there is whole."""
    child = start(folder, "generate", "--text", "Hello there.", "--seeds", "1..40", f"--take={folder}/takes")
    kill_after(child, 5)
    finish(child)
    for root, _, files in os.walk(f"{folder}/takes"):
        if "take.json" in files and "/." not in root:
            take, tokens = (json.load(open(f"{root}/{name}")) for name in ["take.json", "tokens.json"])
            wav = [name for name in files if name.endswith(".wav")]
            expect(len(tokens["frames"]) == take["measures"]["frames"] and seconds_of(f"{root}/{wav[0]}") > 0, "takes", f"{root} is not whole")
    code, said = finish(start(folder, "generate", "--text", "Hello.", "--seed", "9", f"--take={folder}/takes"))
    in_words("takes after a kill", code, said, (0,))


def kill_answers(folder):
    """Every answer that was taken is there."""
    new = ["listen", "new", "--kind", "preference", "--trials", "40", "--seed", "1", "--condition", f"a={OLD}", "--condition", f"b={OTHER}", "--output", "t.json"]
    code, said = finish(start(folder, *new))
    in_words("listen new", code, said, (0,))
    child = start(folder, "listen", "run", "t.json", "--results", "r.json")
    trials = []
    reader = threading.Thread(target=lambda: trials.extend(line for line in child.stderr if b"\nTrial" in b"\n" + line), daemon=True)
    reader.start()
    killer = threading.Timer(random.uniform(0.3, 6), lambda: child.kill())
    killer.start()
    try:
        for _ in range(40):
            child.stdin.write(b"1\n")
            child.stdin.flush()
            time.sleep(0.4)
            child.stdin.write(b"2\n")
            child.stdin.flush()
            time.sleep(0.4)
            child.stdin.write(b"a\n")
            child.stdin.flush()
    except BrokenPipeError:
        pass
    child.wait()
    killer.cancel()
    reader.join(5)
    shown = max([int(line.split()[1]) for line in trials if line.startswith(b"Trial")] or [1])
    kept = len(json.load(open(f"{folder}/r.json"))["answers"]) if os.path.exists(f"{folder}/r.json") else 0
    expect(kept >= shown - 1, "listen run", f"trial {shown} was open and {kept} answers are kept")
    return kept


def kill_quantize(folder):
    """The new checkpoint is absent or complete, and the next run names what is left of an absent one."""
    child = start(folder, "quantize", VOICE, f"{folder}/q", "--no-report")
    kill_after(child, 3)
    finish(child)
    if not os.path.exists(f"{folder}/q"):
        left = glob.glob(f"{folder}/.q.*.part")
        code, said = finish(start(folder, "quantize", VOICE, f"{folder}/q", "--no-report"))
        expect(code == 0 and all(path in said for path in left), "quantize", f"ended with {code}; {left} were left", said)
    else:
        code, said = finish(start(folder, "doctor", f"{folder}/q"))
        in_words("quantize", code, said, (0,))


class Hub(http.server.BaseHTTPRequestHandler):
    """A repository of the demo voice, slow enough to be killed in its course."""

    def do_GET(self):
        if "/revision/" in self.path:
            siblings = [{"rfilename": name, "size": len(data), "blobId": git} for name, (data, git) in FILES.items()]
            body = json.dumps({"sha": "a" * 40, "siblings": siblings}).encode()
        else:
            body = FILES[self.path.rsplit("/", 1)[1]][0]
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        try:
            for at in range(begin, len(body), 1 << 20):
                self.wfile.write(body[at:at + (1 << 20)])
                time.sleep(0.04)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_): ...


def kill_download(folder):
    """The snapshot is current only once all of its files are right, and the next run completes it."""
    hub = dict(HF_ENDPOINT=f"http://127.0.0.1:{SERVER.server_port}", HF_HUB_CACHE=f"{folder}/hub")
    child = start(folder, "download", "x/y", **hub)
    kill_after(child, 1.8)
    finish(child)
    repository = f"{folder}/hub/models--x--y"
    snapshot = f"{repository}/snapshots/{'a' * 40}"
    right = lambda: all(os.path.exists(f"{snapshot}/{name}") and open(f"{snapshot}/{name}", "rb").read() == data for name, (data, _) in FILES.items())
    if os.path.exists(f"{repository}/refs/main"):
        expect(right(), "download", "refs/main is there and the files are not")
    code, said = finish(start(folder, "download", "x/y", **hub))
    in_words("download after a kill", code, said, (0,))
    expect(right(), "download after a kill", "the files are not right")


def keys(*words):
    subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": DISPLAY}, capture_output=True)


def speak(text):
    keys("key", "ctrl+a")
    keys("type", "--delay", "10", text)
    keys("key", "ctrl+Return")


def takes_in(folder):
    return sorted(root for root, _, files in os.walk(folder) if "take.json" in files and "/." not in root.removeprefix(folder))


def wait_for(true, seconds=30):
    """Whether it became true in time."""
    end = time.time() + seconds
    while not true() and time.time() < end:
        time.sleep(0.2)
    return bool(true())


def close(child, case):
    """Closes the window, which still answers."""
    child.terminate()
    code, said = finish(child, seconds=30)
    in_words(case, code, said, (0,))
    return said


def open_window(folder, prefix=(), arguments=(), autoplay=False, **more):
    """The window with its text focused."""
    os.makedirs(f"{folder}/csm-studio", exist_ok=True)
    with open(f"{folder}/csm-studio/settings.json", "w") as file:
        json.dump({"random_seed": False, "autoplay": autoplay}, file)
    first, *arguments = [*prefix, STUDIO, *arguments]
    child = start(folder, *arguments, program=first, **{"DISPLAY": DISPLAY, "XDG_RUNTIME_DIR": folder, **more})
    display = {"env": {**os.environ, "DISPLAY": DISPLAY}, "capture_output": True}
    found = subprocess.run(["timeout", "30", "xdotool", "search", "--sync", "--onlyvisible", "--pid", str(child.pid), "--name", "CSM Studio"], **display)
    subprocess.run(["xdotool", "windowfocus", found.stdout.split()[-1].decode() if found.stdout else "0"], **display)
    time.sleep(1)
    return child


def kill_window(folder):
    """Takes and text survive; TERM and INT end in good order."""
    child = open_window(folder)
    speak("Hello there.")
    which = kill_after(child, 4)
    code, said = finish(child, seconds=30)
    expect("panicked" not in said and code != "hang", "window", f"ended with {code}", said)
    takes = 0
    for root, _, files in os.walk(folder):
        if "take.json" in files and "/." not in root.removeprefix(folder):
            take, tokens = (json.load(open(f"{root}/{name}")) for name in ["take.json", "tokens.json"])
            expect(len(tokens["frames"]) == take["measures"]["frames"], "window", f"{root} is not whole")
            takes += 1
    return takes


def window_offline(folder):
    child = open_window(folder, ["unshare", "-rn"])
    speak("Hello there.")
    made = wait_for(lambda: takes_in(folder))
    said = close(child, "the window without a network")
    expect(made, "the window without a network", "no take was made", said)


KILLS = {"generate": kill_generate, "takes": kill_takes, "listen": kill_answers, "quantize": kill_quantize, "download": kill_download, "window": kill_window}


def kills(count):
    for name, kill in KILLS.items():
        before, results = len(problems), []
        for n in range(count):
            random.seed(f"{SEED} {name} {n}")
            with tempfile.TemporaryDirectory() as folder:
                results.append(kill(folder))
        kept = f", {sum(filter(None, results))} kept" if any(results) else ""
        print(f"kills of {name}: {count}, {len(problems) - before} wrong{kept}", flush=True)


def disk(_):
    """A full disk, a read-only folder, and a limit of a file's size: words, and no sound lost."""
    with tempfile.TemporaryDirectory() as folder:
        full = f"{folder}/full"
        os.mkdir(full)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "none", full], check=True)
        try:
            runs = {
                "sound": ["generate", "--text", "Hi you.", "--seeds", "1..3", "--max-audio-length-ms", "2000", "--output", "full/o.wav"],
                "tokens": ["generate", "--text", "Hi you.", "--seeds", "1..3", "--max-audio-length-ms", "2000", "--output", "s.wav", "--dump-tokens", "full/t.json"],
                "pieces": ["generate", "--text", TEXT, "--seed", "1", "--output", "full/p.wav"],
                "take": ["generate", "--text", "Hello.", "--seed", "1", f"--take={full}/takes", "--output", "k.wav"],
                "logits": ["generate", "--text", "Hello.", "--seed", "1", "--output", "l.wav", "--dump-logits", "full/l.safetensors"],
                "quantized": ["quantize", VOICE, f"{full}/q", "--no-report"],
                "test": ["listen", "new", "--kind", "preference", "--condition", f"a={OLD}", "--condition", f"b={OTHER}", "--output", "full/t.json"],
                "report": ["analyze", TOKENS, "--csv", "full/a.csv", "--html", "full/a.html"],
            }
            for name, arguments in runs.items():
                sounds = lambda: sum(name.endswith((".wav", ".part")) for root, _, files in os.walk(folder) for name in files)
                before = sounds()
                code, said = finish(start(folder, *arguments))
                in_words(f"full disk: {name}", code, said, (0, 3))
                if name in ("sound", "tokens"):
                    expect(sounds() - before >= 3, f"full disk: {name}", f"{sounds() - before} of 3 sounds are kept", said)
                for left in os.listdir(full):
                    path = f"{full}/{left}"
                    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        finally:
            subprocess.run(["umount", full], check=True)
        def small_files():
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        code, said = finish(start(folder, "generate", "--text", "Hello there.", "--seed", "1", before=small_files))
        in_words("limit of a file's size", code, said, (3,))
    print("full disk and files of limited size: 9")


def limits(_):
    """Limits of memory and descriptors."""
    import resource
    def limited(kind, value):
        return lambda: resource.setrlimit(kind, (value, value))
    runs = [(f"{mb} MB of memory", limited(resource.RLIMIT_AS, mb << 20), {}) for mb in [*range(300, 1001, 60 if given.quick else 20), 1100, 1300, 1600, 2000]]
    runs += [(f"{n} descriptors", limited(resource.RLIMIT_NOFILE, n), {}) for n in [4, 6, 8, 10, 12, 16, 24, 32]]
    runs += [(f"{n} threads of OpenBLAS", None, {"OPENBLAS_NUM_THREADS": str(n)}) for n in [1, 64]]
    ended = {}
    for name, before, more in runs:
        for mode in ["native", "exact"] + ["hybrid"] * (name.endswith("memory") and name[-10] in "05"):
            with tempfile.TemporaryDirectory() as folder:
                code, said = finish(start(folder, "generate", "--text", "Hello.", "--seed", "1", "--sampling", mode, before=before, **more), seconds=60)
                # 127 is the loader's, which cannot map the libraries.
                in_words(f"{name}, {mode}", code, said, (0, 3, 127))
                ended[code] = ended.get(code, 0) + 1
    print(f"limits: {sum(ended.values())}; ended with", ", ".join(f"{code}: {n}" for code, n in sorted(ended.items(), key=str)), flush=True)


def links(_):
    """A pipe, a directory, a link to /dev/zero and a dangling one instead of each file that a program opens."""
    opened = {
        "token file": ["generate", "--decode-tokens", "X"], "tokens to force": ["generate", "--text", "a", "--force-tokens", "X"], "clip": ["generate", "--again", "X"],
        "edits": ["generate", "--text", "a", "--edits", "X"], "voice prompt": ["generate", "--text", "a", "--context-audio", "X", "--context-text", "b"],
        "pronunciations": ["generate", "--text", "a", "--pronunciations", "X"], "model": ["generate", "--text", "a", "--model-path", "X"],
        "adapter": ["generate", "--text", "a", "--adapter", "X"], "doctor": ["doctor", "X"], "analyze": ["analyze", "X"], "analyze a sound": ["analyze", "X.wav"],
        "align": ["align", "X"], "test": ["listen", "run", "X"], "report": ["listen", "report", "X", "X"],
        "sound of a test": ["listen", "new", "--kind", "preference", "--condition", "a=X", "--condition", "b=X", "--output", "o.json"],
        "instructions": ["listen", "new", "--kind", "preference", "--condition", f"a={OLD}", "--condition", f"b={OTHER}", "--instructions", "X", "--output", "o.json"],
        "quantize": ["quantize", "X", "q", "--no-report"],
    }
    inside = ["config.json", "model.safetensors", "tokenizer.json", "generation_config.json", "voices.json", "text_profile.json", "alignment.json", "code_labels.json"]
    count = 0
    def put(path, kind):
        if os.path.lexists(path):
            os.remove(path)
        {"pipe": lambda: os.mkfifo(path), "folder": lambda: os.mkdir(path), "zero": lambda: os.symlink("/dev/zero", path),
         "nowhere": lambda: os.symlink("nowhere", path), "loop": lambda: os.symlink(path, path)}[kind]()
    for kind in ["pipe", "zero"] if given.quick else ["pipe", "folder", "zero", "nowhere", "loop"]:
        for name, arguments in opened.items():
            if kind == "pipe" and "sound" in name:
                continue  # which is read to its end, as a shell's `<(…)`
            with tempfile.TemporaryDirectory() as folder:
                put(f"{folder}/X.wav" if "X.wav" in arguments else f"{folder}/X", kind)
                code, said = finish(start(folder, *arguments), seconds=30)
                in_words(f"{name} is a {kind}", code, said, (1, 2, 3) if name == "doctor" else (2, 3))
                count += 1
        for name in inside:
            with tempfile.TemporaryDirectory() as folder:
                os.mkdir(f"{folder}/model")
                for file in os.listdir(VOICE):
                    os.symlink(f"{VOICE}/{file}", f"{folder}/model/{file}")
                put(f"{folder}/model/{name}", kind)
                for arguments in (["doctor", "model"], ["generate", "--text", "a", "--model-path", "model"]):
                    code, said = finish(start(folder, *arguments), seconds=30)
                    in_words(f"{name} of a model is a {kind}", code, said, (1, 2, 3) if arguments[0] == "doctor" else (2, 3))
                    count += 1
    print(f"links and pipes: {count}", flush=True)


def offline(_):
    """Every command but download in a machine without a network, not even its own."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            ["generate", "--text", "Hello.", "--seed", "1", "--dump-tokens", "t.json", "--words", "w.srt"], ["generate", "--text", "Hello.", "--sampling", "hybrid", "--seed", "1"],
            ["analyze", "t.json", "--html", "a.html"], ["compare", "--text", "Hello.", "--seeds", "1..2"], ["align", "t.json"], ["verify", "--quick"], ["bench", "--help"], ["doctor"], ["voices"],
            ["listen", "new", "--kind", "preference", "--condition", f"a={OLD}", "--condition", f"b={OTHER}", "--output", "l.json", "--page", "l.html"],
            ["quantize", VOICE, "q", "--no-report"], ["manual", "m"],
        ]
        for arguments in runs:
            child = subprocess.Popen(["unshare", "-rn", CSM, *arguments], cwd=folder, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            code, said = finish(child, seconds=600)
            in_words(f"without a network: {' '.join(arguments[:2])}", code, said, (0,))
        if display and not given.quick:
            window_offline(folder)
    print(f"without a network: {len(runs)} commands{' and the window' if display and not given.quick else ''}", flush=True)


def processes(_):
    """Limits of the number of threads. They do not hold for root: another user runs the program, with root's right to read its files."""
    reads = ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
    ended = {}
    for n in [1, 2, 3, 4, 5, 6, 8, 12]:
        for mode in ["native", "exact", "hybrid"]:
            with tempfile.TemporaryDirectory() as folder:
                limited = [*reads, "prlimit", f"--nproc={n}", CSM, "generate", "--text", "Hello.", "--seed", "1", "--sampling", mode]
                code, said = finish(start(folder, *limited[1:], program=limited[0]), seconds=60)
                in_words(f"{n} threads, {mode}", code, said, (0, 3))
                ended[code] = ended.get(code, 0) + 1
    expect(ended.get(0) and ended.get(3), "threads", "the limit has no effect, or is always too low")
    print(f"limits of threads: {sum(ended.values())}; ended with", ", ".join(f"{code}: {n}" for code, n in sorted(ended.items(), key=str)), flush=True)


def clock(_):
    """A clock that stands in another century, or jumps between two takes: takes are whole and none takes the place of another."""
    library = next((path for path in glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    if library is None:
        sys.exit("clock: needs the package faketime")
    for first, then in [("1970-01-01 00:00:01", "2100-01-01 00:00:00"), ("2038-01-19 03:14:05", "1969-12-31 00:00:00"), ("2026-12-01 12:00:00", "2026-12-01 11:00:00"), ("2200-01-01 00:00:00", "1902-01-01 00:00:00")]:
        with tempfile.TemporaryDirectory() as folder:
            faked = dict(LD_PRELOAD=library, FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_NO_CACHE="1", FAKETIME_TIMESTAMP_FILE=f"{folder}/now")
            set_clock = lambda to: open(f"{folder}/now", "w").write(to + "\n")
            set_clock(f"@{first}")
            jump = threading.Timer(0.8, set_clock, [f"@{then}"])
            jump.start()
            code, said = finish(start(folder, "generate", "--text", "Hello.", "--seeds", "1..6", f"--take={folder}/csm-studio/takes", **faked))
            jump.join()
            in_words(f"clock from {first} to {then}", code, said, (0,))
            expect(len(takes_in(folder)) == 6, f"clock from {first} to {then}", f"{len(takes_in(folder))} of 6 takes", said)
            again = finish(start(folder, "generate", "--text", "Hello.", "--seed", "7", f"--take={folder}/csm-studio/takes", **faked))
            in_words(f"the next start, at {then}", *again, (0,))
            if display:
                child = open_window(folder, **faked)
                set_clock(f"@{first}")
                speak("Hello there.")
                made = wait_for(lambda: len(takes_in(folder)) == 8)
                said = close(child, f"the window, its clock from {then} to {first}")
                expect(made, f"the window, its clock from {then} to {first}", f"{len(takes_in(folder))} of 8 takes", said)
    print("clocks that are wrong or jump: 4", flush=True)


def replaced(_):
    """A model's files are replaced, cut and removed while it is used: what is loaded still speaks; what is loaded next is right or an error."""
    def other(path):
        data = bytearray(open(path, "rb").read())
        data[len(data) // 2:] = random.Random(1).randbytes(len(data) - len(data) // 2)
        open(f"{path}.new", "wb").write(data)
        os.rename(f"{path}.new", path)
    random.seed(SEED)
    ways = {
        "replaced": lambda path: other(path), "cut in place": lambda path: os.truncate(path, os.path.getsize(path) // 3),
        "emptied in place": lambda path: os.truncate(path, 0), "removed": os.remove,
    }
    count = 0
    for file in ["model.safetensors", "config.json", "tokenizer.json"]:
        for way, change in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                shutil.copytree(VOICE, f"{folder}/model")
                child = start(folder, "generate", "--stdin", "--seed", "1", "--model-path", "model")
                child.stdin.write(b"Hello there. " * 40)
                child.stdin.flush()
                time.sleep(random.uniform(0.05, 1.5))
                change(f"{folder}/model/{file}")
                code, said = finish(child)
                in_words(f"{file} is {way} while it is spoken with", code, said, (0, 2))
                code, said = finish(start(folder, "generate", "--text", "Hello.", "--seed", "1", "--model-path", "model"))
                in_words(f"{file} was {way}", code, said, (0, 2))
                count += 1
                if display is None or given.quick:
                    continue
                shutil.rmtree(f"{folder}/model")
                shutil.copytree(VOICE, f"{folder}/model")
                child = open_window(folder, arguments=["--model-path", "model"])
                speak("Hello there.")
                first = wait_for(lambda: len(takes_in(folder)) == 1)
                change(f"{folder}/model/{file}")
                speak("And again.")
                second = wait_for(lambda: len(takes_in(folder)) == 2)
                keys("key", "ctrl+k")
                keys("type", "--delay", "20", "exact mode" if count % 2 else "hybrid mode")
                keys("key", "Return")
                time.sleep(0.5)
                speak("Once more.")
                time.sleep(3)
                said = close(child, f"{file} is {way} under the window")
                expect(first and second, f"{file} is {way} under the window", f"the loaded model made {len(takes_in(folder))} takes", said)
    print(f"files of a model that are replaced under its user: {count}{' and the window' if display and not given.quick else ''}", flush=True)


def aborts(_):
    """Signals that end a process as an abort or a wrong access inside a library does, to the thread of MLX in the middle of a take: the
    next start says so and has every finished take."""
    if display is None:
        sys.exit("aborts: needs xvfb and xdotool")
    for which in [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL]:
        with tempfile.TemporaryDirectory() as folder:
            child = open_window(folder)
            speak("Hello there.")
            wait_for(lambda: takes_in(folder))
            before = takes_in(folder)
            speak("The little boat sailed slowly across the quiet lake while nobody on the shore said a single word to the keeper of the lighthouse.")
            time.sleep(0.3)
            threads = [int(thread) for thread in os.listdir(f"/proc/{child.pid}/task") if open(f"/proc/{child.pid}/task/{thread}/comm").read().startswith("csm-mlx")]
            # Twice: Rust's handler of a wrong access takes itself away and lets the access happen again, which a signal does not do.
            for _ in range(2):
                tgkill = {"x86_64": 234, "aarch64": 131}[platform.machine()]
                ctypes.CDLL(None).syscall(tgkill, child.pid, threads[0] if threads else child.pid, which)
                time.sleep(0.05)
            code, said = finish(child, seconds=30)
            case = f"{which.name} in MLX"
            expect(code == -which, case, f"ended with {code}", said)
            child = open_window(folder)
            wait_for(lambda: False, 2)
            expect(before and set(before) <= set(takes_in(folder)), case, "a take is gone", said)
            said = close(child, f"the start after {case}")
            expect("The last run was killed, or a fault ended it" in said + logs(folder), f"the start after {case}", "does not say so", said)
    print("aborts in the middle of a take: 5", flush=True)


def logs(folder):
    return "".join(open(path, errors="replace").read() for path in glob.glob(f"{folder}/**/*.log*", recursive=True))


def device(_):
    """The sound device goes while it plays, and comes back: its sink is removed and added, its server is killed and started again."""
    if display is None or not shutil.which("pulseaudio"):
        sys.exit("device: needs xvfb, xdotool, pulseaudio, pulseaudio-utils and libasound2-plugins")
    with tempfile.TemporaryDirectory() as folder:
        pulse = {**os.environ, "XDG_RUNTIME_DIR": folder, "HOME": folder}
        serve = lambda: subprocess.Popen(["pulseaudio", "--daemonize=no", "-n", "--exit-idle-time=-1", "--load=module-null-sink sink_name=one", "--load=module-native-protocol-unix"], env=pulse, stderr=subprocess.DEVNULL)
        control = lambda *words: subprocess.run(["pactl", *words], env=pulse, capture_output=True, timeout=10).stdout.decode()
        playing = lambda: "Sink Input" in control("list", "sink-inputs")
        server = serve()
        wait_for(lambda: control("info"))
        with open(f"{folder}/pulse.conf", "w") as file:
            file.write("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        config = f"/usr/share/alsa/alsa.conf:{folder}/pulse.conf"
        child = open_window(folder, autoplay=True, ALSA_CONFIG_PATH=config)
        def spoken(case):
            before = len(takes_in(folder))
            speak("The little boat sailed slowly across the quiet lake in the morning.")
            expect(wait_for(lambda: len(takes_in(folder)) == before + 1), case, "no take was made", logs(folder))
        def heard(case):
            expect(wait_for(playing, 10), case, "nothing is played", logs(folder))
        speak("The little boat sailed slowly across the quiet lake in the morning.")
        heard("device: at first")
        control("unload-module", "module-null-sink")
        time.sleep(2)
        spoken("device: without a sink")
        control("load-module", "module-null-sink", "sink_name=two")
        time.sleep(1)
        spoken("device: with a new sink")
        heard("device: with a new sink")
        server.kill()
        server.wait()
        time.sleep(2)
        spoken("device: without a server")
        server = serve()
        wait_for(lambda: control("info"))
        spoken("device: with a new server")
        heard("device: with a new server")
        for _ in range(10):
            control("unload-module", "module-null-sink")
            control("load-module", "module-null-sink", "sink_name=one")
        spoken("device: after ten changes")
        heard("device: after ten changes")
        close(child, "device")
        server.kill()
        server.wait()
    print("devices that go and come back: 1", flush=True)


CASES = {"kills": kills, "processes": processes, "clock": clock, "replaced": replaced, "aborts": aborts, "device": device, "disk": disk, "limits": limits, "links": links, "offline": offline}
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("case", nargs="*", choices=[[], *CASES], default=[])
parser.add_argument("--count", type=int, default=50, help="kills of each program")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--quick", action="store_true", help="a third of the limits and links, and no window")
parser.add_argument("--only", choices=KILLS, help="one program's kills")
given = parser.parse_args()
SEED = given.seed
if given.only:
    KILLS = {given.only: KILLS[given.only]}

shared = tempfile.mkdtemp()
VOICE, OLD, OTHER, TOKENS = os.path.abspath("assets/voice"), f"{shared}/old.wav", f"{shared}/other.wav", f"{shared}/t.json"
for path, seed in [(OLD, "1"), (OTHER, "2")]:
    made = finish(start(shared, "generate", "--text", "Hello.", "--seed", seed, "--max-audio-length-ms", "400", "--output", path, "--dump-tokens", TOKENS))
    assert made[0] == 0, made
FILES = {}
for file in ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "voices.json", "text_profile.json"]:
    data = open(f"{VOICE}/{file}", "rb").read()
    FILES[file] = (data, hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest())
SERVER = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=SERVER.serve_forever, daemon=True).start()
DISPLAY = f":{random.Random(time.time()).randrange(200, 900)}"
display = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1280x800x24"], stderr=subprocess.DEVNULL) if shutil.which("Xvfb") and shutil.which("xdotool") else None
if display is None:
    KILLS.pop("window", None)
    print("Xvfb or xdotool is not installed: the window is not killed")
try:
    for case in given.case or CASES:
        CASES[case](given.count)
finally:
    if display:
        display.kill()
    shutil.rmtree(shared)
print(f"{len(problems)} problems")
sys.exit(bool(problems))
