#!/usr/bin/env bash
# tests/look.sh [WIDTHxHEIGHT]: opens the real window under Xvfb, works it with xdotool, and saves pictures under target/looks.
# To be looked at; it checks nothing. Needs xvfb, xdotool, imagemagick and mesa-vulkan-drivers, and a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
size=${1:-1280x800}
home=$(mktemp -d)
export XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home DISPLAY=:77
mkdir -p target/looks
Xvfb "$DISPLAY" -screen 0 "${size}x24" >"$home/xvfb.log" 2>&1 &
display=$!
sleep 1
target/release/csm-studio >"$home/studio.log" 2>&1 &
window=$!
trap 'kill $window $display 2>/dev/null || true; sleep 1; rm -rf "$home"' EXIT

picture() { import -window root "target/looks/$size-$1.png"; }

sleep 5
xdotool search --onlyvisible --name "CSM Studio" windowfocus
picture 1-start
xdotool type --delay 30 "The little boat sailed across the quiet lake, and nobody said a word."
xdotool key ctrl+Return
sleep 2
picture 2-speaking
sleep 12
picture 3-done
xdotool key F1
sleep 1
picture 4-keys
ls "$XDG_DATA_HOME/csm-studio/takes"
