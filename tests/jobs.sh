#!/usr/bin/env bash
# tests/jobs.sh [JOB…]: does what people do with the window, in the real one under Xvfb and by keyboard alone, and checks what it leaves
# on the disk; pictures under target/looks/jobs are to be looked at. Needs what look.sh needs, and jq. Without names, all jobs.
# shellcheck source=tests/window.sh
. "$(dirname "${BASH_SOURCE[0]}")/window.sh"
pictures=$PWD/target/looks/jobs
mkdir -p "$pictures"
open_display 76 1920x1200

begin() { new_home '{"theme": "dark", "random_seed": false, "autoplay": false}'; }
window() { open_window "${size:-1280x800}" "$@"; }
close() { kill "$studio" && wait "$studio" 2>/dev/null || true; }
picture() { sleep 1 && import -window "$id" "$pictures/$job-$1.png"; }
# Gives the keys without Ctrl to the window: the text loses the focus.
leave_text() { command "switch to the current clip" && keys Tab Tab; }
made() { # waits until there are N takes
  for ((n = 0; n < 120; n++)); do
    [ "$(count)" -ge "$1" ] && return
    sleep 0.5
  done
  echo "$job: $(count) takes, expected $1" && exit 1
}
check() { # jq's answer about all takes' files of a name
  local answer
  answer=$(find "$takes" -name "$1" -exec cat {} + | jq -s "$2")
  [ "$answer" = "$3" ] || { echo "$job: $2 of $1 is $answer, expected $3" && exit 1; }
}

replace_frame() { # find what stands out, hear it, and speak again from just before it
  window && type "The little boat sailed across the lake." && keys ctrl+Return && made 1
  leave_text
  keys n && picture problem
  keys r && made 2 && picture replaced
  check tokens.json '[.[] | select(.edits // [] | length > 0)] | length' 1
}
three_modes() { # the same in all modes, pinned by themselves, compared by ear and in numbers
  window && type "Good morning." && keys ctrl+Return && made 1
  command "all modes" && made 4
  check take.json '[.[].sampling.mode] | unique | length' 3
  leave_text && keys 1 2 3 && command "show the comparison" && picture compared
  command "show acoustic measures" && sleep 2 && picture measured
  keys m && sleep 1 && picture spectrograms
}
conversation() { # two turns, the second as a reply that hears the first
  window && type "Did you see the boat?" && keys ctrl+Return && made 1
  keys ctrl+t && sleep 0.5 && type "Yes, it was quite small." && picture typed && keys ctrl+shift+Return && made 2
  check tokens.json '[.[] | select(.context // [] | length > 0)] | length' 1
  command "play the conversation" && picture heard
}
draft() { # what was typed is there after the window is killed
  window && type "This is not lost." && sleep 2 && kill -9 "$studio"
  wait "$studio" 2>/dev/null || true # it was killed
  window && picture restored
  keys ctrl+Return && made 1
  check take.json '.[0].text' '"This is not lost."'
}
two_windows() { # two windows on one folder see each other's takes and harm none
  window && local first=$id other=$studio
  window && type "From the second window." && keys ctrl+Return && made 1
  kill "$studio" && front "$first" && picture seen
  type "From the first window." && keys ctrl+Return && made 2 && picture both
  check take.json '[.[].text] | unique | length' 2
  studio=$other
}
missing_model() { # no model: what can be done instead, and takes can be played
  window && type "Kept." && keys ctrl+Return && made 1 && close
  window --model-path "$home/nowhere" && picture choices
  command "next take" && keys space && picture played
  command "use the demo voice" && sleep 4 && picture again
  type " And more." && keys ctrl+Return && made 2
}
codebooks() { # the first codebooks are heard, pinned, and compared with all
  window && type "Good morning." && keys ctrl+Return && made 1
  command "play all codebooks" && leave_text && keys p
  command "show acoustic measures" && picture pinned
}
many_takes() { # 10,000 takes: the window is there within a second, and search finds one of them
  window && type "One of many." && keys ctrl+Return && made 1 && close
  local take
  take=$(dirname "$(find "$takes" -name take.json | head -1)")
  for n in $(seq -w 1 9999); do
    cp -rl "$take" "$takes/copy-$n"
    rm "$takes/copy-$n/take.json"
    sed -e "s/\"id\": *\"[^\"]*\"/\"id\": \"copy-$n\"/" -e "s/\"name\": *\"[^\"]*\"/\"name\": \"Copy $n\"/" \
      "$take/take.json" >"$takes/copy-$n/take.json"
  done
  local begun
  begun=$(date +%s%N)
  "$PROGRAM/csm-studio" >>"$home/studio.log" 2>&1 &
  studio=$!
  # xdotool's own --sync looks twice a second.
  until id=$(xdotool search --onlyvisible --pid "$studio" --name "CSM Studio" 2>/dev/null | tail -1) && [ -n "$id" ]; do sleep 0.01; done
  echo "many_takes: the window was there after $((($(date +%s%N) - begun) / 1000000)) ms"
  xdotool windowmove "$id" 0 0 windowsize "$id" 1280 800 && front "$id" && sleep 3
  keys ctrl+f && type "Copy 7777" && picture found
}
killed_test() { # a listening test that is killed loses the open question only, and resumes there
  local n
  for n in 1 2; do "$PROGRAM/csm" generate --text "The boat sailed." --seed "$n" --output "$home/$n.wav" 2>/dev/null >&2; done
  "$PROGRAM/csm" listen new --kind preference --trials 6 --condition "one=$home/1.wav" --condition "two=$home/2.wav" \
    --output "$home/test.json" >/dev/null
  window "$home/test.json" && picture asked
  answers() { jq '.answers | length' "$home/test.results.json"; }
  for n in 1 2 3; do keys 1 && sleep 0.5 && keys 2 && sleep 0.5 && keys a && sleep 0.5; done
  keys 1 && sleep 0.5
  kill -9 "$studio"
  wait "$studio" 2>/dev/null || true # it was killed
  [ "$(answers)" = 3 ] || { echo "$job: $(answers) answers, expected 3" && exit 1; }
  window "$home/test.json" && picture again
  for n in 1 2 3; do keys 1 && sleep 0.5 && keys 2 && sleep 0.5 && keys b && sleep 0.5; done
  [ "$(answers)" = 6 ] || { echo "$job: $(answers) answers after the kill, expected 6" && exit 1; }
  picture end
}
words() { # at three sizes: a word is found, said again and compared, and one take's word put into another
  for size in 1024x700 1280x800 1920x1200; do
    window && keys ctrl+a && type "The little boat sailed across the quiet lake." && keys ctrl+Return && made 1
    command "sailed" && leave_text && picture "found-$size"
    keys shift+r && made 4 && leave_text && keys 1 2 && picture "again-$size"
    check take.json '[.[] | select(.measures.seam) | .words | length] | unique' '[
  8
]'
    command "show the comparison" && picture "compared-$size"
    command "sailed" && command "selected words from the first" && made 5 && picture "taken-$size"
    check tokens.json '[.[].edits // [] | .[] | select(.source)] | length' 1
    close && rm -r "$takes" && mkdir "$takes"
  done
  size=1280x800
  window
}
drops() { # files that a file manager drops: tokens, a recording and a listening test; needs python-xlib
  "$PROGRAM/csm" generate --text "Dropped." --seed 3 --output "$home/a voice.wav" --dump-tokens "$home/tokens.json" 2>/dev/null >&2
  for n in 1 2; do "$PROGRAM/csm" generate --text "The boat." --seed "$n" --output "$home/$n.wav" 2>/dev/null >&2; done
  "$PROGRAM/csm" listen new --kind preference --trials 2 --condition "one=$home/1.wav" --condition "two=$home/2.wav" \
    --output "$home/test.json" >/dev/null
  drop() { timeout 60 python3 tests/drop.py "$id" "$@" >/dev/null; }
  window && drop "$home/tokens.json" && sleep 2 && picture tokens
  drop "$home/a voice.wav" && sleep 2 && picture prompt
  type "With a voice." && keys ctrl+Return && made 1
  check tokens.json '[.[].context // [] | length] | max' 1
  drop "$home/test.json" && sleep 2 && picture test
}
no_speech() { # a text that cannot be spoken is reported, and nothing is lost
  window && type "..." && keys ctrl+Return && picture told
  command "light theme" && picture light
}

for job in "${@:-replace_frame three_modes conversation draft two_windows missing_model codebooks many_takes killed_test words drops no_speech}"; do
  for job in $job; do
    begin
    "$job"
    close
    grep -i "panicked" "$home/studio.log" && exit 1
    rm -rf "$home"
    echo "$job: done"
  done
done
