#!/usr/bin/env bash
# tests/window_speed.sh [ROUNDS]: the real-time factor of the same clip in the real window under Xvfb (software renderer, every lane
# live, no sound: a null device takes a processor for itself) and without a window, alternately; prints both medians and their ratio.
# Needs what look.sh needs, and jq.
# shellcheck source=tests/window.sh
. "$(dirname "${BASH_SOURCE[0]}")/window.sh"
rounds=${1:-5}
text="The little boat sailed slowly across the quiet lake in the morning." # one piece
open_display 78 1280x800
new_home '{"theme": "dark", "random_seed": false, "autoplay": false}'
open_window 1280x800
type "$text"
for ((round = 1; round <= rounds; round++)); do
  target/release/csm generate --text "$text" --seed 0 --whole --output "$home/headless.wav" --json 2>/dev/null |
    jq .real_time_factor >>"$home/headless"
  xdotool key ctrl+Return
  for ((wait = 0; wait < 60; wait++)); do
    sleep 0.5
    [ "$(count)" -eq "$round" ] && break
  done
  [ "$(count)" -eq "$round" ] || { echo "expected $round takes, got $(count)" >&2 && exit 1; }
  sleep 8 # it is played to its end, and the window rests
done
find "$XDG_DATA_HOME" -name take.json -exec jq .measures.real_time_factor {} + >"$home/window"
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
headless=$(median "$home/headless") window=$(median "$home/window")
echo "headless $headless ($(tr '\n' ' ' <"$home/headless")), in the window $window ($(tr '\n' ' ' <"$home/window"))"
awk -v w="$window" -v h="$headless" 'BEGIN { printf "ratio %.2f\n", w / h }'
