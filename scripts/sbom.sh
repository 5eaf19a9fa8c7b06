#!/usr/bin/env bash
# sbom.sh: writes target/release/redpath.cdx.json, the CycloneDX 1.5 list of every crate that is linked into the
# x86-64 Linux binary or run while it is built, and holds it to its schema and to what cargo resolves.
# The same commit gives the same bytes, wherever it is built: the time is SOURCE_DATE_EPOCH, else the commit's;
# there is no serial number, and no path of this machine.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
folder=${CARGO_TARGET_DIR:-target}/release
out=$folder/redpath.cdx.json
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

tool=$(scripts/cargo-tool.sh cargo-cyclonedx 0.5.9)
cargo fetch --locked --quiet
mkdir -p "$folder"
trap 'rm -f redpath.cdx.json {bench,demo}/redpath.cdx.json' EXIT # one is written beside each Cargo.toml
"$tool" cyclonedx --format json --spec-version 1.5 --target "$target" --override-filename redpath.cdx -q

built=$(cargo tree --locked --offline --edges normal,build --target "$target" --prefix none --no-dedupe --format '{p}')
python=target/tools/cyclonedx-python/bin/python
if ! "$python" -c 'import cyclonedx, jsonschema' 2>/dev/null; then
  python3 -c 'import ensurepip' 2>/dev/null || scripts/apt-install.sh python3 python3-venv
  python3 -m venv --clear "${python%/bin/python}"
  "$python" -m pip install --quiet --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0'
fi
"$python" scripts/sbom.py redpath.cdx.json "$out" <<<"$built"
