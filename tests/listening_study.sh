#!/usr/bin/env bash
# A study of 20 simulated listeners, 100 items in subsets and three conditions, from `csm listen new` through a browser to the report, and
# R's lme4 on the table that it writes: both must find the same (Debian: r-cran-lme4). FOLDER keeps everything.
#   tests/listening_study.sh [FOLDER]
set -euo pipefail
# shellcheck source=bundle/common
. "$(dirname "${BASH_SOURCE[0]}")/../bundle/common"
folder=$(realpath -m "${1:-$(mktemp -d)}")
mkdir -p "$folder"
command -v Rscript >/dev/null || fail "R is missing" "apt-get install r-base-core r-cran-lme4"
build >/dev/null
playwright=$(setting playwright)
"$playwright/node" "$ROOT/tests/listen_page/study.mjs" "$playwright" "$(command -v chromium)" "$BIN/csm" "$folder"
Rscript "$folder/long.R" "$folder/long.csv" | tee "$folder/r.txt"
python3 - "$folder" <<'PYTHON'
import json, re, sys

folder = sys.argv[1]
ours = {f["question"]: f["p"] <= 0.05 for f in json.load(open(f"{folder}/report.json"))["findings"]}
theirs, base = {}, None
for line in open(f"{folder}/r.txt"):
    if found := re.match(r"Against (\S+)", line):
        base = found[1]
    elif found := re.match(r"condition(condition\d)\s.*?(\S+)\s*$", line):
        theirs[f"{min(base, found[1])} against {max(base, found[1])}"] = float(found[2]) <= 0.05
print("ours:  ", ours, "\nlme4's:", theirs)
sys.exit(ours != theirs)
PYTHON
echo "both find the same; everything is in $folder"
