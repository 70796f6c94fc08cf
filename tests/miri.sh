#!/usr/bin/env bash
# tests/miri.sh: what can run under Miri does: readers of pickled weights, WAV and codes, and the plain face of the products on the
# processor. Needs `bundle/setup` and a nightly toolchain with miri and rust-src; a quarter of an hour, most of it to build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --target-dir target/miri --no-default-features --lib -- dot:: pickle riff codes \
  --skip repeated_objects # a million of them: an hour
