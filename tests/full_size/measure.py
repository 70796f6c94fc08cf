"""Time and peak memory of loading CSM-1B's shapes in every layout: makes each (make.py), speaks one frame, prints a table.

    python3 measure.py CSM WORK_FOLDER [LAYOUT:DTYPE …]

Up to 14 GB of disk. The table counts a layout's weights in use as `csm doctor` does.
"""

import json
import pathlib
import resource
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
LAYOUTS = ["transformers:float32", "transformers:bfloat16", "torchtune:float32", "torch:float32", "csm-mlx:float32", "mlx:float32",
           "mlx-8bit-64:float32", "mlx-4bit-32:float32"]


def run(command):
    started = time.time()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done, time.time() - started, cpu


def main():
    csm, work = sys.argv[1], pathlib.Path(sys.argv[2])
    print("| layout | stored as | computed in | weights in use | open, read, one frame | peak memory | peak / weights |")
    print("|---|---|---|---|---|---|---|")
    for case in sys.argv[3:] or LAYOUTS:
        layout, dtype = case.split(":")
        folder = work / layout
        subprocess.run([sys.executable, HERE / "make.py", folder, "--layout", layout, "--dtype", dtype], check=True)
        for precision in dict.fromkeys([dtype, "float32"]):
            report = json.loads(subprocess.run([csm, "doctor", folder, "--json"], capture_output=True, check=True).stdout)
            need = next(m for m in report["memory"] if m["precision"] == precision)
            weights = need["language_model_bytes"] + need["codec_bytes"]
            command = ["/usr/bin/time", "-f", "%M", csm, "generate", "--model-path", folder, "--text", "Hi.", "--seed", "1",
                       "--sampling", "native", "--precision", precision, "--max-audio-length-ms", "80",
                       "--output", work / "x.wav"]
            done, seconds, _ = run(command)
            if done.returncode:
                print(f"| {layout} | {dtype} | {precision} | failed: {done.stderr.strip()} |")
                continue
            peak = 1024 * int(done.stderr.strip().splitlines()[-1])
            print(f"| {layout} | {dtype} | {precision} | {weights / 1e9:.2f} GB | {seconds:.1f} s | {peak / 1e9:.2f} GB "
                  f"| {peak / weights:.2f} |", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
