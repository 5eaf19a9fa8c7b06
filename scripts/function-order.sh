#!/usr/bin/env bash
# function-order.sh: writes scripts/function-order.txt, the functions that an agent runs while all is well, those that
# are called most first. The linker puts them side by side in this order (build.rs), so that the pages of all others
# need not be in memory; docs/decisions/0012 has the reasons.
#
# function-order.sh check: fails where the program of today has fewer than four fifths of them, under these names.
# They change with the version of redpath, the compiler and the dependencies; a name that is nobody's does no harm,
# and saves nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/toolchain.sh
built=${CARGO_TARGET_DIR:-target}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The program as it is shipped, but with its names.
cargo rustc --locked --release --quiet --bin redpath -- -C strip=none
cp "$built/release/redpath" "$folder/redpath"
cargo build --locked --release --quiet --bin redpath
nm "$folder/redpath" | awk '$2 ~ /^[tT]$/ { print $3 }' | LC_ALL=C sort -u >"$folder/functions"

if [ "${1:-}" = check ]; then
  listed=$(wc -l <scripts/function-order.txt)
  known=$(LC_ALL=C sort -u scripts/function-order.txt | LC_ALL=C comm -12 - "$folder/functions" | wc -l)
  echo "$known of the $listed functions of scripts/function-order.txt are in the program."
  [ $((known * 5)) -ge $((listed * 4)) ] || { echo "scripts/function-order.sh writes the list anew." >&2; exit 1; }
  exit
fi

scripts/bench-packages.sh
command -v valgrind >/dev/null || scripts/apt-install.sh valgrind
cargo build --locked --quiet --example bench-peers
echo "Watching an agent for half a minute, under valgrind."
BENCH_TARGETS=1 BENCH_SECONDS=15 \
  BENCH_WRAP="valgrind --quiet --tool=callgrind --demangle=no --callgrind-out-file=$folder/calls.%p" \
  "$built/debug/examples/bench-peers" "$folder/redpath" alone >/dev/null

# Callgrind names a function where it first comes, and calls it by its number from there on.
awk '
  function number(line) { match(line, /\([0-9]+\)/); return substr(line, RSTART + 1, RLENGTH - 2) }
  FNR == 1 { split("", name) }
  /^c?fn=\(/ {
    id = number($0)
    if (NF > 1) { sub(/\x27[0-9]+$/, "", $2); name[id] = $2; count[$2] += 0 }
    if (/^cfn=/) called = name[id]
  }
  /^calls=/ { split($1, part, "="); count[called] += part[2] }
  END { for (function_name in count) print count[function_name], function_name }
' "$folder"/calls.* | LC_ALL=C sort -k1,1nr -k2 | awk '{ print $2 }' |
  awk 'NR == FNR { is[$1]; next } $1 in is' "$folder/functions" - >"$folder/order"

lines=$(wc -l <"$folder/order")
[ "$lines" -ge 2000 ] || { echo "function-order.sh: $lines functions alone were seen; did the agent probe?" >&2; exit 1; }
mv "$folder/order" scripts/function-order.txt
cargo build --locked --release --quiet --bin redpath
echo "scripts/function-order.txt: $lines functions. \`make bench-peers\` tells what memory they take."
