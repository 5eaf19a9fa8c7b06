#!/usr/bin/env bash
# fuzz.sh [SECONDS] [TARGET...]: runs the fuzz targets of fuzz/ for SECONDS each (12 where nothing is said), all of
# them where none is named, and ends with a table. A finding ends it with 1. docs/fuzzing.md says what they hold.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-12}
[ $# -eq 0 ] || shift
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "\"$seconds\" is no number of seconds; usage: scripts/fuzz.sh [SECONDS] [TARGET...]" >&2
  exit 2
fi
command -v g++ >/dev/null || scripts/apt-install.sh g++ # libFuzzer is C++
cargo_fuzz=$(scripts/cargo-tool.sh cargo-fuzz 0.13.1)
mapfile -t known < <("$cargo_fuzz" fuzz list)
targets=("$@")
[ $# -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  if ! printf '%s\n' "${known[@]}" | grep -qx -- "$target"; then
    echo "\"$target\" is no fuzz target: ${known[*]} are" >&2
    exit 2
  fi
done

# Without a sanitizer, on the stable Rust that the program is built with: AddressSanitizer needs an unstable flag
# of the compiler, and what it finds needs unsafe code, of which redpath has none.
built=$(realpath -m "${CARGO_TARGET_DIR:-target}/fuzz")
cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null # cargo-fuzz would change the lock file
"$cargo_fuzz" fuzz build --sanitizer none --no-cfg-fuzzing --codegen-units 16 --target-dir "$built"
programs=$built/$(rustc --version --verbose | sed -n 's/^host: //p')/release

# What a target begins with: its own seeds, and what the tests read already.
seeds() {
  echo "fuzz/seeds/$1"
  case $1 in
    az_json) echo tests/fixtures/az ;;
    configuration) printf '%s\n' tests/configs/valid tests/configs/invalid ;;
  esac
}

run() {
  local target=$1 work=$built/run/$1 options=()
  mkdir -p "$work/corpus"
  rm -rf "$work/artifacts"
  mkdir "$work/artifacts"
  [ ! -e "fuzz/dictionaries/$target" ] || options+=("-dict=fuzz/dictionaries/$target")
  mapfile -t begin < <(seeds "$target")
  "$programs/$target" "$work/corpus" "${begin[@]}" "${options[@]}" -artifact_prefix="$work/artifacts/" \
    -max_total_time="$seconds" -max_len=32768 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$work/log" 2>&1
  echo $? >"$work/status"
}

for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  mkdir -p "$built/run/$target"
  echo running >"$built/run/$target/status"
  (set +e; run "$target") &
done
wait

findings=0
printf '\n%-16s %12s %8s %9s %8s %9s  %s\n' target executions per-s coverage corpus peak-MiB findings
for target in "${targets[@]}"; do
  work=$built/run/$target
  figure() { sed -n "s/^stat::$1: *//p" "$work/log"; }
  last=$(grep -ao 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$work/log" | tail -n 1 || true)
  read -r _ coverage _ _ _ corpus <<<"$last"
  found=none
  if [ "$(cat "$work/status")" != 0 ]; then
    found=$(find "$work/artifacts" -type f -printf '%f\n' | head -n 1)
    found=${found:-it ended badly}
    findings=$((findings + 1))
  fi
  printf '%-16s %12s %8s %9s %8s %9s  %s\n' "$target" "$(figure number_of_executed_units)" "$(figure average_exec_per_sec)" \
    "${coverage:-}" "${corpus:-}" "$(figure peak_rss_mb)" "$found"
done
if [ $findings -gt 0 ]; then
  echo
  for target in "${targets[@]}"; do
    work=$built/run/$target
    [ "$(cat "$work/status")" != 0 ] || continue
    input=$(find "$work/artifacts" -type f | head -n 1)
    grep -a -A3 -m1 'panicked at\|ERROR: libFuzzer' "$work/log" | sed 's/^/  /' || true
    # A build server is gone when somebody wants the input.
    if [ -n "$input" ] && [ "$(stat --format=%s "$input")" -le 4096 ]; then
      echo "  the input: base64 -d <<<$(base64 --wrap=0 "$input")"
    fi
    echo "$target has a finding: $work/log says what, and '$programs/$target ${input:-$work/corpus}' does it again." >&2
  done
  exit 1
fi
echo; echo "Nothing was found in $seconds s of each."
