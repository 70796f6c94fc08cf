# shellcheck shell=bash
# The real window under Xvfb, worked by keyboard: sourced by look.sh, jobs.sh, animation.sh and window_speed.sh. Needs xvfb, xdotool,
# imagemagick and mesa-vulkan-drivers, and a release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PROGRAM=$PWD/target/release

# open_display NUMBER WIDTHxHEIGHT: everything that this script starts ends with it.
open_display() {
  export DISPLAY=:$1
  Xvfb "$DISPLAY" -noreset -screen 0 "${2}x24" >/dev/null 2>&1 &
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  sleep 1
}
# new_home SETTINGS: empty folders for takes, settings and caches; without a sound card, sound goes nowhere and takes no time.
new_home() {
  home=$(mktemp -d)
  export XDG_CACHE_HOME=$home/cache XDG_DATA_HOME=$home/data XDG_CONFIG_HOME=$home/config XDG_RUNTIME_DIR=$home
  takes=$XDG_DATA_HOME/csm-studio/takes
  mkdir -p "$home/config/csm-studio" "$takes"
  printf '%s' "$1" >"$home/config/csm-studio/settings.json"
  if [ ! -e /dev/snd ]; then
    printf 'pcm.!default { type file slave.pcm null file /dev/null format raw }\npcm.null { type null }\n' >"$home/asound.conf"
    export ALSA_CONFIG_PATH=$home/asound.conf
  fi
}
# open_window WIDTHxHEIGHT [ARGUMENT…]: waits until the window exists.
open_window() {
  local size=$1
  shift
  "$PROGRAM/csm-studio" "$@" >>"$home/studio.log" 2>&1 &
  studio=$!
  id=$(timeout 60 xdotool search --sync --onlyvisible --pid "$studio" --name "CSM Studio" | tail -1)
  xdotool windowmove "$id" 0 0 windowsize "$id" "${size%x*}" "${size#*x}"
  front "$id"
  sleep 3
}
front() { xdotool windowraise "$1" windowfocus "$1" && sleep 0.5; }
keys() { xdotool key --delay 60 "$@"; }
type() { xdotool type --delay 25 "$1"; }
# Runs a command of the palette, found by these words.
command() {
  keys ctrl+k && sleep 0.5
  type "$1" && sleep 0.5
  keys Return && sleep "${2:-1}"
}
count() { find "$takes" -name take.json | wc -l; }
