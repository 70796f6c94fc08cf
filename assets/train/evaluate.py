"""Word error rate of a packed checkpoint, run by transformers, on sentences it never saw.  evaluate.py CHECKPOINT [FLAGS]

The same as `tests/speech_check/run.py --peer-only --checkpoint CHECKPOINT`; flags are its flags (--temperature, --topk, --seeds,
--sentences …), its README tells how clips are scored.
"""

import subprocess
import sys
from pathlib import Path

from common import WORK

if __name__ == "__main__":
    check = Path(__file__).resolve().parents[2] / "tests/speech_check/run.py"
    checkpoint, *flags = sys.argv[1:]
    known = ["--peer-only", "--checkpoint", checkpoint, "--work", WORK / "speech_check"]
    sys.exit(subprocess.run([sys.executable, check, *known, *flags]).returncode)
