#!/usr/bin/env bash
# cargo-deny.sh ARGUMENT...: runs cargo-deny of the one version that deny.toml is written for, offline;
# builds it where it is not installed (some minutes on two cores).
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ] || [ "$("$deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
  deny=$(scripts/cargo-tool.sh cargo-deny "$version" --no-default-features)
fi
# It reads the manifest of every package of the lock file, those of other platforms too; after this, no network.
cargo fetch --locked --quiet
exec "$deny" --offline "$@"
