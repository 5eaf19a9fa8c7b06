#!/usr/bin/env bash
# scripts/screenshot.sh URL FILE.png [WIDTH [HEIGHT]]: a picture of the status page of a running agent,
# such as docs/images/status-page.png, taken in headless Chromium.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 URL FILE.png [WIDTH [HEIGHT]]" >&2; exit 2; }
command -v chromium >/dev/null || { echo "$0: chromium is missing; scripts/test-packages.sh installs it" >&2; exit 1; }
profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update \
  --disable-sync --disable-quic --no-first-run --hide-scrollbars --user-data-dir="$profile" \
  --window-size="${3:-1180},${4:-2100}" --screenshot="$(realpath "$2")" "$1" 2>/dev/null
