#!/usr/bin/env bash
# tests/look.sh [WIDTHxHEIGHT [THEME [SCALE [MODEL]]]]: opens the real window under Xvfb, works it by keyboard with xdotool, and saves
# pictures under target/looks. To be looked at; it checks nothing but that the takes are there. Needs xvfb, xdotool, imagemagick and
# mesa-vulkan-drivers, and a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
size=${1:-1280x800} theme=${2:-dark} scale=${3:-1.0} model=${4:-}
home=$(mktemp -d)
export XDG_CACHE_HOME=$home/cache XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home DISPLAY=:77
mkdir -p target/looks "$home/config/csm-studio"
printf '{"theme": "%s", "scale": %s, "random_seed": false}' "$theme" "$scale" >"$home/config/csm-studio/settings.json"
if [ ! -e /dev/snd ]; then # sound goes nowhere, and takes no time
  printf 'pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n' >"$home/asound.conf"
  export ALSA_CONFIG_PATH=$home/asound.conf
fi
Xvfb "$DISPLAY" -screen 0 "${size}x24" >"$home/xvfb.log" 2>&1 &
display=$!
sleep 1
target/release/csm-studio ${model:+--model-path "$model"} >"$home/studio.log" 2>&1 &
window=$!
trap 'kill $window $display 2>/dev/null || true; sleep 1; rm -rf "$home"' EXIT

number=0
picture() {
  xdotool mousemove 5 5 # a pointer over the map shows what is under it
  sleep "${2:-1}"
  number=$((number + 1))
  import -window root "target/looks/${TAG:+$TAG-}$size-$theme-$scale-$number-$1.png"
}
keys() { xdotool key --delay 40 "$@"; }
# Runs a command of the palette, found by these words.
command() {
  keys ctrl+k
  sleep 0.5
  xdotool type --delay 20 "$1"
  sleep 0.5
  keys Return
  sleep "${2:-1}"
}

sleep 5
id=$(xdotool search --onlyvisible --name "CSM Studio" | head -1)
xdotool windowmove "$id" 0 0 windowsize "$id" "${size%x*}" "${size#*x}" windowfocus "$id"
picture start
if [ -n "$model" ] && [ ! -e "$model" ]; then # what a model that is not there looks like
  keys ctrl+k && sleep 0.5 && picture palette
  exit
fi
xdotool type --delay 30 "The little boat sailed across the quiet lake, and nobody said a word."
keys ctrl+Return
picture speaking "${LOADING:-1.5}"
sleep "${SPEAKING:-10}"
picture done
command "next problem"
picture problem
command "three new seeds" 12
keys ctrl+k && sleep 0.5 && picture palette && keys Escape
# The text gives up the focus, so that keys without Ctrl reach the window.
command "switch to the current clip"
keys Tab Tab 2
command "show the comparison"
picture pinned
command "next problem"
command "show the draw"
picture draw
keys F1
picture keys
keys Escape
ls "$XDG_DATA_HOME/csm-studio/takes" | wc -l
grep -v "XDG_RUNTIME" "$home/studio.log" || true
