#!/usr/bin/env bash
# cargo-deny.sh ARGUMENT...: runs cargo-deny of the one version that deny.toml is written for, offline;
# builds it into target/tools where it is not installed (three minutes on two cores).
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools
is_right() { [ "$("$1" --version 2>/dev/null)" = "cargo-deny $version" ]; }

deny=$(command -v cargo-deny || true)
if [ -z "$deny" ] || ! is_right "$deny"; then
  deny=$tools/bin/cargo-deny
  is_right "$deny" || cargo install cargo-deny --version "$version" --locked --no-default-features --root "$tools"
fi
# It reads the manifest of every package of the lock file, those of other platforms too; after this, no network.
cargo fetch --locked --quiet
exec "$deny" --offline "$@"
