#!/bin/sh
# Takes pictures of the pages for people, light and dark, wide and narrow, into target/screenshots. Needs Chromium.
set -eu
cd "$(dirname "$0")/.."
command -v chromium || command -v chromium-browser || command -v google-chrome || { echo "there is no Chromium" >&2; exit 1; }
cargo test --test people looks
ls "${CARGO_TARGET_DIR:-target}/screenshots"
