#!/usr/bin/env python3
"""Hours of use: `soak.py MINUTES OUTPUT.svg` from the repository's root, after `cargo build --release`; Linux, with Xvfb, xdotool and
matplotlib. The window speaks sentence after sentence and changes mode and model; `csm generate --stdin` speaks a thousand sentences;
a library of ten thousand takes is opened. Draws memory, descriptors and threads over time, and exits with 1 if something ended."""
import json, os, random, shutil, subprocess, sys, tempfile, threading, time

MINUTES, OUTPUT = float(sys.argv[1]), sys.argv[2]
PROGRAMS = os.path.abspath(os.environ.get("PROGRAMS", "target/release"))
CSM, STUDIO, VOICE = f"{PROGRAMS}/csm", f"{PROGRAMS}/csm-studio", os.path.abspath("assets/voice")
WORDS = "the harbour was empty and nobody had seen a ferry keeper lighthouse storm morning letter garden captain".split()
curves, problems = {}, []


def environment(folder):
    homes = {name: folder for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"]}
    with open(f"{folder}/asound.conf", "w") as file:
        file.write("pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n")
    return {**os.environ, **homes, "ALSA_CONFIG_PATH": f"{folder}/asound.conf"}


def sentence():
    return " ".join(random.choice(WORDS) for _ in range(random.randint(3, 9))).capitalize() + "."


def watch(name, process):
    """Samples a process every two seconds until it ends."""
    curve = curves[name] = []
    start = time.time()
    while process.poll() is None:
        try:
            status = dict(line.split(":", 1) for line in open(f"/proc/{process.pid}/status") if ":" in line)
            descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
        except (FileNotFoundError, ProcessLookupError):
            return
        curve.append(((time.time() - start) / 60, int(status["VmRSS"].split()[0]) / 1024, descriptors, int(status["Threads"])))
        time.sleep(2)


def watched(name, process):
    thread = threading.Thread(target=watch, args=(name, process), daemon=True)
    thread.start()
    return thread


def thousand_sentences(folder):
    process = subprocess.Popen([CSM, "generate", "--stdin", "--seed", "1"], cwd=folder, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watcher = watched("csm generate --stdin", process)
    process.stdin.write(" ".join(sentence() for _ in range(1000)).encode())
    process.stdin.close()
    said = process.stdout.read().decode()
    if process.wait() != 0:
        problems.append(f"generate --stdin ended with {process.returncode}: {said[-300:]}")
    watcher.join()
    print(f"a thousand sentences: {said.strip()[-120:]}", flush=True)


def window(folder, minutes):
    display = f":{random.randrange(200, 900)}"
    server = subprocess.Popen(["Xvfb", display, "-screen", "0", "1280x800x24"], stderr=subprocess.DEVNULL)
    time.sleep(1)
    home = {**environment(folder), "DISPLAY": display}
    os.makedirs(f"{folder}/csm-studio", exist_ok=True)
    with open(f"{folder}/csm-studio/settings.json", "w") as file:
        file.write('{"random_seed": true, "autoplay": true}')
    process = subprocess.Popen([STUDIO], env=home, stdout=subprocess.DEVNULL, stderr=open(f"{folder}/log", "w"))
    watcher = watched("csm-studio", process)
    keys = lambda *words: subprocess.run(["xdotool", *words], env=home, capture_output=True)
    found = subprocess.run(["timeout", "60", "xdotool", "search", "--sync", "--onlyvisible", "--pid", str(process.pid), "--name", "CSM Studio"], env=home, capture_output=True)
    keys("windowfocus", found.stdout.split()[-1].decode())
    time.sleep(2)
    end, spoken = time.time() + 60 * minutes, 0
    def command(words):
        keys("key", "ctrl+k")
        time.sleep(0.4)
        keys("type", "--delay", "8", words)
        time.sleep(0.3)
        keys("key", "Return")
        time.sleep(0.5)
    while time.time() < end and process.poll() is None:
        keys("key", "ctrl+a")
        keys("type", "--delay", "4", sentence())
        keys("key", "ctrl+Return")
        spoken += 1
        time.sleep(random.uniform(0.5, 2.5))
        if spoken % 7 == 0:
            keys("key", "Escape")
        if spoken % 9 == 0:
            command(random.choice(["native mode", "exact mode", "hybrid mode"]))
        if spoken % 40 == 0:
            command("use the demo voice")
        if spoken % 25 == 0:
            command(random.choice(["regenerate the take in all modes", "show acoustic measures", "unpin all takes"]))
    if process.poll() is not None:
        problems.append(f"the window ended with {process.returncode}: {open(f'{folder}/log').read()[-500:]}")
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        problems.append("the window did not end")
    watcher.join()
    server.kill()
    takes = sum("take.json" in files for _, _, files in os.walk(folder))
    print(f"window: {spoken} sentences, {takes} takes in {minutes:.0f} minutes", flush=True)


def ten_thousand_takes(folder):
    """Copies of one take, opened by the window."""
    env = environment(folder)
    subprocess.run([CSM, "generate", "--text", "Hello.", "--seed", "1", f"--take={folder}/one"], cwd=folder, env=env, check=True, capture_output=True)
    source = next(root for root, _, files in os.walk(f"{folder}/one") if "take.json" in files)
    library = f"{folder}/csm-studio/takes"
    os.makedirs(library)
    take = json.load(open(f"{source}/take.json"))
    for n in range(10_000):
        place = f"{library}/take-{n:05}"
        os.mkdir(place)
        for name in os.listdir(source):
            if name != "take.json":
                os.link(f"{source}/{name}", f"{place}/{name}")
        with open(f"{place}/take.json", "w") as file:
            json.dump(take | {"id": f"take-{n:05}", "name": f"Take {n}", "created": n + 1}, file)
    window(folder, 1)


for job in [thousand_sentences, ten_thousand_takes, lambda folder: window(folder, MINUTES)]:
    names = set(curves)
    folder = tempfile.mkdtemp()
    job(folder)
    if job is ten_thousand_takes:
        curves["csm-studio, 10,000 takes"] = curves.pop("csm-studio")
    shutil.rmtree(folder)

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
figure, axes = plt.subplots(3, len(curves), figsize=(4 * len(curves), 7), squeeze=False, sharex="col")
for column, (name, curve) in enumerate(curves.items()):
    axes[0][column].set_title(name, fontsize=10)
    for row, label in enumerate(["memory, MB", "descriptors", "threads"]):
        axes[row][column].plot([point[0] for point in curve], [point[row + 1] for point in curve], linewidth=1)
        axes[row][column].set_ylim(bottom=0)
        if column == 0:
            axes[row][column].set_ylabel(label)
    axes[2][column].set_xlabel("minutes")
figure.tight_layout()
figure.savefig(OUTPUT, metadata={"Date": None})
for name, curve in curves.items():
    tenth = max(1, len(curve) // 10)
    mean = lambda points: [round(sum(p[k] for p in points) / len(points), 1) for k in (1, 2, 3)]
    print(f"{name}: first tenth {mean(curve[tenth:2 * tenth] or curve)}, last tenth {mean(curve[-tenth:])} (MB, descriptors, threads)")
print("\n".join(problems) or "0 problems")
sys.exit(bool(problems))
