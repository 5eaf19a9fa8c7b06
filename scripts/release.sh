#!/usr/bin/env bash
# release.sh: puts everything that is handed on into target/dist: the Debian package, the rpm, the image as an OCI
# archive, the CycloneDX list of what is in the binary, and SHA256SUMS of them all. Nothing of an earlier call stays.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
dist=$target/dist
rm -rf "$dist" && mkdir -p "$dist"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

binary=$(scripts/release-binary.sh)
for kind in deb rpm; do cp "$(scripts/package.sh "$kind" | tail -1)" "$dist/"; done
container/image.sh "$binary" "$target/image"
cp "$target/image/redpath-$version.oci.tar" "$dist/"
scripts/sbom.sh
cp "$target/release/redpath.cdx.json" "$dist/redpath-$version.cdx.json"
(cd "$dist" && sha256sum -- * > SHA256SUMS && cat SHA256SUMS)
