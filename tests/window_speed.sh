#!/usr/bin/env bash
# tests/window_speed.sh [ROUNDS]: the real-time factor of the same clip in the real window under Xvfb (software renderer, every lane
# live, no sound: a null device takes a processor for itself) and without a window, alternately; prints both medians and their ratio.
# Needs what look.sh needs, and jq.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
text="The little boat sailed slowly across the quiet lake while nobody on the shore said a single word"
home=$(mktemp -d)
export XDG_CACHE_HOME=$home/cache XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home DISPLAY=:78
mkdir -p "$home/config/csm-studio"
echo '{"theme": "dark", "random_seed": false, "autoplay": false}' >"$home/config/csm-studio/settings.json"
if [ ! -e /dev/snd ]; then
  printf 'pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n' >"$home/asound.conf"
  export ALSA_CONFIG_PATH=$home/asound.conf
fi
Xvfb "$DISPLAY" -screen 0 1280x800x24 >"$home/xvfb.log" 2>&1 &
display=$!
sleep 1
target/release/csm-studio >"$home/studio.log" 2>&1 &
window=$!
trap 'kill $window $display 2>/dev/null || true; sleep 1; rm -rf "$home"' EXIT
sleep 5
id=$(xdotool search --onlyvisible --name "CSM Studio" | head -1)
xdotool windowmove "$id" 0 0 windowsize "$id" 1280 800 windowfocus "$id"
sleep 1
xdotool type --delay 30 "$text"
for ((round = 1; round <= rounds; round++)); do
  target/release/csm generate --text "$text" --seed 0 --output "$home/headless.wav" --json 2>/dev/null |
    jq .real_time_factor >>"$home/headless"
  xdotool key ctrl+Return
  for ((wait = 0; wait < 60; wait++)); do
    sleep 0.5
    [ "$(find "$XDG_DATA_HOME" -name take.json | wc -l)" -eq "$round" ] && break
  done
  sleep 8 # it is played to its end, and the window rests
done
find "$XDG_DATA_HOME" -name take.json -exec jq .measures.real_time_factor {} + >"$home/window"
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
headless=$(median "$home/headless") window=$(median "$home/window")
echo "headless $headless ($(tr '\n' ' ' <"$home/headless")), in the window $window ($(tr '\n' ' ' <"$home/window"))"
awk -v w="$window" -v h="$headless" 'BEGIN { printf "ratio %.2f\n", w / h }'
