#!/usr/bin/env bash
# release-binary.sh [amd64|arm64]: builds the binary as packages and images have it, and prints its path. It is that of
# `cargo build --release` with one more section, `.dep-v0`: the crates that are compiled in, with their versions, for
# scanners (cargo-auditable). For another architecture than this machine's, by Debian's cross compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A machines=([amd64]=x86_64 [arm64]=aarch64)
here=$(uname -m)
machine=$here
if [ -n "${1:-}" ]; then
  machine=${machines[$1]:-}
  [ -n "$machine" ] || { echo "release-binary.sh: amd64 or arm64 is expected, not $1" >&2; exit 2; }
fi

target=${CARGO_TARGET_DIR:-target}
options=()
if [ "$machine" != "$here" ]; then
  triple=$machine-unknown-linux-gnu
  compiler=$machine-linux-gnu-gcc # ring has a little C in it; the crate cc finds it by this name
  command -v "$compiler" >/dev/null || scripts/apt-install.sh "gcc-${machine/_/-}-linux-gnu" "libc6-dev-$1-cross" >&2
  rustup target list --installed | grep -qx "$triple" || rustup target add "$triple" >&2
  linker=CARGO_TARGET_${triple^^}_LINKER
  export "${linker//-/_}=$compiler"
  options=(--target "$triple")
  target+=/$triple
fi

# Called by a test, cargo would take these for a change: ring's build script looks at them.
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^CARGO_(PKG|MANIFEST)_' || true)
tool=$(scripts/cargo-tool.sh cargo-auditable 0.7.7)
"$tool" auditable build --locked --release --quiet --bin redpath "${options[@]}" >&2
binary=$target/release/redpath
readelf --sections --wide "$binary" | grep -q ' \.dep-v0 ' || { echo "release-binary.sh: $binary has no section .dep-v0" >&2; exit 1; }
echo "$binary"
