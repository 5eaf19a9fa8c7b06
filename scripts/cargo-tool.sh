#!/usr/bin/env bash
# cargo-tool.sh CRATE VERSION [CARGO-INSTALL-OPTION...]: builds a tool of crates.io, of the one version that is
# asked for, and prints the path of its program. Kept in target/tools; without optimization, since it is built
# more often than it is waited for. The tools share one build folder, so that what they have in common is built once.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=$1 version=$2
shift 2
tools=$PWD/target/tools
program=$tools/$crate-$version/bin/$crate
mkdir -p "$tools"
exec 9>"$tools/lock"
flock 9
if [ ! -x "$program" ]; then
  CARGO_TARGET_DIR=$tools/build cargo install "$crate" --version "$version" --locked --debug --quiet --root "$tools/$crate-$version" "$@" 9>&- >&2
fi
echo "$program"
