#!/usr/bin/env bash
# image.sh BINARY FOLDER [ARCHITECTURE]: builds the image around BINARY, without a daemon or a base image, and leaves it
# in FOLDER as an OCI archive, with its digest and the sizes in files beside it. `make image` calls it. For another
# architecture than this machine's, Debian's packages of that one are downloaded; else there is no network.
# The same binary, packages and commit give the same digest.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."
binary=$1
here=$(dpkg --print-architecture)
architecture=${3:-$here}
mkdir -p "$2"
folder=$(cd "$2" && pwd)

missing=()
command -v buildah >/dev/null || missing+=(buildah)
[ -d /usr/share/ca-certificates/mozilla ] || missing+=(ca-certificates)
command -v readelf >/dev/null || missing+=(binutils)
[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}" >&2

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
labels=()
if revision=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
  : "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
  [ -z "$(git status --porcelain 2>/dev/null)" ] || revision+=-dirty
  labels+=(--label "org.opencontainers.image.revision=$revision")
fi
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
labels+=(--label "org.opencontainers.image.created=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)")

# Storage of its own, and gone at the end: no other image on this machine is touched.
work=$folder/work
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/empty"
container/rootfs.sh "$binary" "$work/context/rootfs" "$architecture"
suffix=
[ "$architecture" = "$here" ] || suffix=-$architecture
archive=$folder/redpath-$version$suffix.oci.tar
rm -f "$archive"
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
build() {
  buildah bud --quiet --isolation chroot --format oci --identity-label=false --timestamp "$SOURCE_DATE_EPOCH" \
    --build-context "rootfs=$work/context" --platform "linux/$architecture" --file container/Containerfile "${labels[@]}" --tag "localhost/redpath:$version" "$work/empty"
  buildah push --quiet --digestfile "$folder/digest$suffix" "localhost/redpath:$version" "oci-archive:$archive:localhost/redpath:$version"
}
build >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

bytes() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }
all=$(bytes "$work/context/rootfs")
certificates=$(bytes "$work/context/rootfs/etc/ssl")
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.2f MB", bytes / 1e6 }'; }
cat <<END
image     $archive
digest    $(cat "$folder/digest$suffix")
unpacked  $(megabytes $((all - certificates))) without the CA certificates, which are $(megabytes "$certificates") more
binary    $(megabytes "$(stat --format %s "$binary")")
run       podman load --input $archive
          podman run --rm --network host --read-only --cap-drop all localhost/redpath:$version check HOST
END
