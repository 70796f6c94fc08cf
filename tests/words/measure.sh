#!/usr/bin/env bash
# tests/words/measure.sh [GOLDEN.json]: speaks the 100 sentences of sentences.txt with both speakers of the demo voice and says how far word
# times are from those that its codes spell out. Needs a release build, and python3 with espeakng-loader (set PYTHON to use another one).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
number=0
while read -r text; do
  number=$((number + 1))
  for speaker in 0 1; do
    name=$folder/$(printf '%03d-%d' "$number" "$speaker")
    target/release/csm generate --text "$text" --speaker "$speaker" --seed "$number" --sampling exact --output "$name.wav" \
      --words "$name.words.json" --dump-tokens "$name.tokens.json" >/dev/null 2>&1
  done
done <tests/words/sentences.txt
"${PYTHON:-python3}" tests/words/truth.py "$folder" "$@"
