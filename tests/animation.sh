#!/usr/bin/env bash
# tests/animation.sh: records README's pictures of the real window: assets/studio.webp (it speaks, and the draws follow), assets/studio.png
# and assets/studio@2x.png. Needs what window.sh needs, ffmpeg, pulseaudio
# and libasound2-plugins: a null sink of PulseAudio plays in real time, so that the playhead moves.
# shellcheck source=tests/window.sh
. "$(dirname "${BASH_SOURCE[0]}")/window.sh"
text="Nobody on the shore said a single word about the boat."
sampling='{"mode": "exact", "temperature": 0.9, "topk": 50, "depth_temperature": 0.9, "depth_topk": 50, "seed": 7, "guard": null, "precision": "float32"}'

# session SIZE SCALE: types the text and speaks it.
session() {
  new_home "{\"theme\": \"dark\", \"scale\": $2, \"random_seed\": false, \"sampling\": $sampling}"
  pulseaudio --daemonize=no -n --exit-idle-time=-1 --load=module-null-sink --load=module-native-protocol-unix >"$home/pulse.log" 2>&1 &
  printf 'pcm.!default { type pulse }\nctl.!default { type pulse }\n' >"$home/asound.conf"
  export ALSA_CONFIG_PATH=/usr/share/alsa/alsa.conf:$home/asound.conf
  sleep 1
  open_window "$1"
  xdotool mousemove 5 5 # a pointer over the map shows what is under it
  type "$text"
}

# look_at WORD SECONDS: selects a word; a large window needs seconds for each step on a software renderer.
look_at() {
  keys ctrl+k && sleep "$2"
  type "$1" && sleep "$2"
  keys Return && sleep "$2"
}

open_display 74 1280x800
session 1280x800 1.0
ffmpeg -loglevel error -y -f x11grab -draw_mouse 0 -framerate 10 -video_size 1280x800 -t 17 -i "$DISPLAY" -c:v libx264 -qp 0 -preset ultrafast "$home/studio.mkv" &
recorder=$!
sleep 1
keys ctrl+Return
wait "$recorder"
look_at shore 1
import -window root assets/studio.png
ffmpeg -loglevel error -y -i "$home/studio.mkv" -vf scale=960:-1 -c:v libwebp_anim -loop 0 -quality 55 assets/studio.webp
kill "$studio"

open_display 75 2560x1600
session 2560x1600 2.0
keys ctrl+Return
sleep 20
look_at shore 4
import -window root assets/studio@2x.png
ls -l assets/studio*
