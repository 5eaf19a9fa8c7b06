#!/usr/bin/env bash
# Is there a Rust new enough, and a C compiler (ring has a little C in it, and Rust links with it)?
# Says in one sentence what is missing and where to get it; installs nothing but Debian's gcc.
set -euo pipefail
cd "$(dirname "$0")/.."

needed=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)

if ! command -v cargo >/dev/null; then
  echo "redpath is built with Rust $needed or newer, and cargo is not here: install it from https://rustup.rs (Debian 12's own is too old), then run this again." >&2
  exit 1
fi
found=$(cargo --version | awk '{print $2}')
if [ "$(printf '%s\n' "$needed" "${found%%-*}" | sort -V | head -n 1)" != "$needed" ]; then
  echo "redpath is built with Rust $needed or newer, and cargo here is $found: run 'rustup update', or install Rust from https://rustup.rs." >&2
  exit 1
fi
command -v cc >/dev/null || scripts/apt-install.sh gcc libc6-dev
