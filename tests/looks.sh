#!/usr/bin/env bash
# tests/looks.sh: look.sh in every size, theme and state that people have: empty, busy and done, a model that is not there, and, where
# the peers' CSM-1B shapes lie in the cache, 32 codebooks. A quarter of an hour; pictures under target/looks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
large=${XDG_CACHE_HOME:-$HOME/.cache}/csm-studio/peers/full
for look in "1024x700 dark 1.5" "1024x700 light 1.5" "1280x800 dark 1.0" "1280x800 light 1.0" "1440x900 dark 1.0" "1440x900 light 1.5" \
  "1920x1200 dark 1.5" "1920x1200 light 1.0" "2560x1440 dark 1.0" "2560x1440 light 1.5"; do
  read -r size theme scale <<<"$look"
  tests/look.sh "$size" "$theme" "$scale"
  TAG=missing tests/look.sh "$size" "$theme" "$scale" /nowhere
  # CSM-1B's shapes take seconds to load and half a second a frame.
  [ ! -d "$large" ] || TAG=large LOADING=14 SPEAKING=25 tests/look.sh "$size" "$theme" "$scale" "$large"
done
