#!/usr/bin/env bash
# tests/look.sh [WIDTHxHEIGHT [THEME [SCALE [MODEL]]]]: opens the real window under Xvfb, works it by keyboard with xdotool, and saves
# pictures under target/looks. To be looked at; it checks nothing but that the takes are there. SETTLE: seconds before a picture.
# shellcheck source=tests/window.sh
. "$(dirname "${BASH_SOURCE[0]}")/window.sh"
size=${1:-1280x800} theme=${2:-dark} scale=${3:-1.0} model=${4:-}
mkdir -p target/looks
open_display 77 "$size"
new_home "{\"theme\": \"$theme\", \"scale\": $scale, \"random_seed\": false}"

number=0
picture() {
  xdotool mousemove 5 5 # a pointer over the map shows what is under it
  sleep "${SETTLE:-1}"
  number=$((number + 1))
  import -window root "target/looks/${TAG:+$TAG-}$size-$theme-$scale-$number-$1.png"
}

open_window "$size" ${model:+--model-path "$model"}
picture start
if [ -n "$model" ] && [ ! -e "$model" ]; then # what a model that is not there looks like
  keys ctrl+k && sleep 0.5 && picture palette
  exit
fi
type "The little boat sailed across the quiet lake, and nobody said a word."
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
keys ctrl+comma && sleep 0.5 && picture settings && keys Escape
command "models…"
picture models
keys Escape
command "make a rating test" 2
picture test
keys Escape
count
grep -v "XDG_RUNTIME" "$home/studio.log" || true
