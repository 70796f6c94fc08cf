#!/usr/bin/env bash
# tests/animation.sh: records README's pictures of the real window: assets/studio.webp (it speaks, and the draws follow), assets/studio.png
# and assets/studio@2x.png. Needs what window.sh needs, and ffmpeg.
# shellcheck source=tests/window.sh
. "$(dirname "${BASH_SOURCE[0]}")/window.sh"
text="The little boat sailed across the quiet lake, and nobody on the shore said a word."

# session SIZE SCALE: types the text and speaks it.
session() {
  new_home "{\"theme\": \"dark\", \"scale\": $2, \"random_seed\": false}"
  open_window "$1"
  type "$text"
}

open_display 74 1280x800
session 1280x800 1.0
ffmpeg -loglevel error -y -f x11grab -draw_mouse 0 -framerate 10 -video_size 1280x800 -t 17 -i "$DISPLAY" -c:v libx264 -qp 0 -preset ultrafast "$home/studio.mkv" &
recorder=$!
sleep 1
keys ctrl+Return
wait "$recorder"
import -window root assets/studio.png
ffmpeg -loglevel error -y -i "$home/studio.mkv" -vf scale=960:-1 -c:v libwebp_anim -loop 0 -quality 55 assets/studio.webp
kill "$studio"

open_display 75 2560x1600
session 2560x1600 2.0
keys ctrl+Return
sleep 20
import -window root assets/studio@2x.png
ls -l assets/studio*
