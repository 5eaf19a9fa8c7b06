#!/usr/bin/env bash
# rootfs.sh BINARY FOLDER [ARCHITECTURE]: assembles the root file system of the image in FOLDER, from BINARY and from
# the Debian packages that are installed here (apt-get install libc6 libgcc-s1 ca-certificates): only files that are as
# their package brought them, so that nothing of this machine's own gets in. For another architecture than this
# machine's (amd64, arm64), apt downloads the C library and libgcc of that one, by its own signatures; nothing is
# installed. The same input gives the same bytes, modes and times ($SOURCE_DATE_EPOCH, or 1970). The Containerfile and
# `make image` both call it.
set -euo pipefail
umask 022
export LC_ALL=C
project=$(cd "$(dirname "$0")/.." && pwd)
binary=$1 root=$2
packages=(ca-certificates libc6 libgcc-s1)

die() { printf 'rootfs.sh: %s\n' "$*" >&2; exit 1; }

command -v dpkg-query >/dev/null || die "needs Debian's packages, and this is no Debian: build container/Containerfile instead"
here=$(dpkg --print-architecture)
architecture=${3:-$here}
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || die "apt-get install $package"
done

# Where the files of a package are: here, or in a folder of their own.
from=
if [ "$architecture" != "$here" ]; then
  command -v readelf >/dev/null || die "apt-get install binutils"
  downloads=$(mktemp -d)
  trap 'rm -rf "$downloads"' EXIT
  from=$downloads/root
  mkdir -p "$from" "$downloads"/{state/lists,cache/archives}/partial
  : >"$downloads/status" # as if nothing were installed: this machine's packages are of another architecture
  apt() {
    apt-get -qq -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture" -o APT::Sandbox::User=root \
      -o "Dir::State=$downloads/state" -o "Dir::State::status=$downloads/status" -o "Dir::Cache=$downloads/cache" "$@" >&2
  }
  apt update
  apt install --download-only --no-install-recommends -y libc6 libgcc-s1
  for deb in "$downloads"/cache/archives/*.deb; do dpkg-deb --extract "$deb" "$from"; done
fi

# is_downloaded PACKAGE
is_downloaded() { [ -n "$from" ] && [ "$1" != ca-certificates ] && [ "$1" != base-files ]; }
# sums PACKAGE: the digest of each of its files. fields PACKAGE: what the package says of itself.
sums() {
  if is_downloaded "$1"; then
    dpkg-deb --ctrl-tarfile "$downloads/cache/archives/$1"_*.deb | tar -xO ./md5sums
  else
    dpkg-query --control-show "$1" md5sums
  fi
}
fields() {
  if is_downloaded "$1"; then
    dpkg-deb --field "$downloads/cache/archives/$1"_*.deb | sed '1a Status: install ok installed'
  else
    dpkg-query -s "$1"
  fi
}
rm -rf "$root"
mkdir -p "$root"
root=$(cd "$root" && pwd)

# as_packed PACKAGE PATTERN: the files of the package whose path (without the first /) matches, one a line; fails unless
# each is what the package brought.
as_packed() {
  local found folder=/
  ! is_downloaded "$1" || folder=$from
  found=$(sums "$1" | grep -E "^[0-9a-f]+  ($2)\$" | sort -k 2) || die "$1 has no $2"
  (cd "$folder" && md5sum --check --quiet --strict <<<"$found" >&2) || die "not as $1 brought it: apt-get install --reinstall $1"
  sed 's/^[0-9a-f]*  //' <<<"$found"
}

# The C library, its loader and what rustc links beside it. Its modules for files and DNS are in libc.so.6 itself.
triplet=$(as_packed libc6 '(usr/)?lib/[^/]+/libc\.so\.6')
triplet=$(basename "$(dirname "$triplet")")
library() { # PACKAGE PATTERN-OF-NAME
  local path
  path=$(as_packed "$1" "(usr/)?lib/$triplet/$2")
  install -D -m 755 "$from/$path" "$root/usr/lib/$triplet/${path##*/}"
}
library libc6 'ld-linux[^/]*'
library libc6 'libc\.so\.6'
library libc6 'libm\.so\.6'
library libgcc-s1 'libgcc_s\.so\.1'
loader=$(cd "$root/usr/lib/$triplet" && echo ld-linux*)
ln -s usr/lib "$root/lib"
# Where the ABI wants the loader: /lib64 on x86-64, /lib elsewhere.
if [ "$architecture" = amd64 ]; then
  mkdir "$root/usr/lib64"
  ln -s usr/lib64 "$root/lib64"
  ln -s "../lib/$triplet/$loader" "$root/usr/lib64/$loader"
else
  ln -s "$triplet/$loader" "$root/usr/lib/$loader"
fi

install -D -m 755 "$binary" "$root/usr/bin/redpath"
# With what was packed alone: it names a library or a version of one that is missing.
if [ -z "$from" ]; then
  needed=$("$root/usr/lib/$triplet/$loader" --inhibit-cache --library-path "$root/usr/lib/$triplet" --list "$root/usr/bin/redpath" 2>&1) \
    || die "the binary does not load with this libc6, build it on this Debian: $needed"
  outside=$(awk -v root="$root/" '/=>/ && index($3, root) != 1 { print $1 }' <<<"$needed" | grep -v '^linux-vdso' || true)
else # the loader is of another architecture: by the tables that it reads
  libraries=("$root/usr/lib/$triplet"/*)
  outside=$(readelf --dynamic --wide "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vxF "$(printf '%s\n' "${libraries[@]##*/}")" || true)
  versions=$(readelf --version-info --wide "${libraries[@]}" | sed -n 's/.*Rev: 1  Flags: .*  Name: \([^ ]*\).*/\1/p')
  missing=$(readelf --version-info --wide "$binary" | sed -n 's/.*  Name: \([^ ]*\)  Flags: .*/\1/p' | grep -vxF "$versions" || true)
  [ -z "$missing" ] || die "the binary does not load with this libc6, which lacks" $missing
fi
[ -z "$outside" ] || die "the binary needs what is not packed, add its package above: $outside"

# The certificates of the package alone, and not those that an administrator of this machine added.
mkdir -p "$root/etc/ssl/certs"
certificates=$(as_packed ca-certificates 'usr/share/ca-certificates/.*\.crt')
(cd / && xargs cat <<<"$certificates") >"$root/etc/ssl/certs/ca-certificates.crt"

# What the C library reads before it asks DNS. resolv.conf and hosts come from the container's runtime.
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'multi on\n' >"$root/etc/host.conf" # as Debian's base-files: every line of the hosts file counts
printf 'root:x:0:0:root:/:/usr/sbin/nologin\nredpath:x:65532:65532:redpath:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nredpath:x:65532:\n' >"$root/etc/group"
mkdir "$root/etc/redpath" # for redpath.yaml, which only its user can write

# What distribution this is, where scanners of images look for it.
as_packed base-files 'usr/lib/os-release' >/dev/null
install -D -m 644 /usr/lib/os-release "$root/usr/lib/os-release"
ln -s ../usr/lib/os-release "$root/etc/os-release"

# Licences, and the packages with their versions where scanners of images look for them.
install -D -m 644 "$project/LICENSE" "$root/usr/share/doc/redpath/copyright"
mkdir -p "$root/var/lib/dpkg/status.d"
for package in "${packages[@]}"; do
  folder=
  ! is_downloaded "$package" || folder=$from
  install -D -m 644 "$folder/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
  fields "$package" | grep -E '^(Package|Status|Maintainer|Architecture|Multi-Arch|Source|Version): ' >"$root/var/lib/dpkg/status.d/$package"
done

find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
