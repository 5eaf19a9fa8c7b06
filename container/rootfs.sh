#!/usr/bin/env bash
# rootfs.sh BINARY FOLDER: assembles the root file system of the image in FOLDER, from BINARY and from the Debian
# packages that are installed here (apt-get install libc6 libgcc-s1 ca-certificates): only files that are as their
# package brought them, so that nothing of this machine's own gets in. The same input gives the same bytes, modes and
# times ($SOURCE_DATE_EPOCH, or 1970). The Containerfile and `make image` both call it.
set -euo pipefail
umask 022
export LC_ALL=C
project=$(cd "$(dirname "$0")/.." && pwd)
binary=$1 root=$2
packages=(ca-certificates libc6 libgcc-s1)

die() { printf 'rootfs.sh: %s\n' "$*" >&2; exit 1; }

command -v dpkg-query >/dev/null || die "needs Debian's packages, and this is no Debian: build container/Containerfile instead"
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || die "apt-get install $package"
done
rm -rf "$root"
mkdir -p "$root"
root=$(cd "$root" && pwd)

# as_packed PACKAGE PATTERN: the files of the package whose path (without the first /) matches, one a line; fails unless
# each is what the package brought.
as_packed() {
  local sums
  sums=$(dpkg-query --control-show "$1" md5sums | grep -E "^[0-9a-f]+  ($2)\$" | sort -k 2) || die "$1 has no $2"
  (cd / && md5sum --check --quiet --strict <<<"$sums" >&2) || die "not as $1 brought it: apt-get install --reinstall $1"
  sed 's/^[0-9a-f]*  //' <<<"$sums"
}

# The C library, its loader and what rustc links beside it. Its modules for files and DNS are in libc.so.6 itself.
triplet=$(as_packed libc6 '(usr/)?lib/[^/]+/libc\.so\.6')
triplet=$(basename "$(dirname "$triplet")")
library() { # PACKAGE PATTERN-OF-NAME
  local path
  path=$(as_packed "$1" "(usr/)?lib/$triplet/$2")
  install -D -m 755 "/$path" "$root/usr/lib/$triplet/${path##*/}"
}
library libc6 'ld-linux[^/]*'
library libc6 'libc\.so\.6'
library libc6 'libm\.so\.6'
library libgcc-s1 'libgcc_s\.so\.1'
loader=$(cd "$root/usr/lib/$triplet" && echo ld-linux*)
ln -s usr/lib "$root/lib"
# Where the ABI wants the loader: /lib64 on x86-64, /lib elsewhere.
if [ -e "/lib64/$loader" ]; then
  mkdir "$root/usr/lib64"
  ln -s usr/lib64 "$root/lib64"
  ln -s "../lib/$triplet/$loader" "$root/usr/lib64/$loader"
else
  ln -s "$triplet/$loader" "$root/usr/lib/$loader"
fi

install -D -m 755 "$binary" "$root/usr/bin/redpath"
# With the loader that was packed and what was packed beside it alone; it names a library or a version that is missing.
needed=$("$root/usr/lib/$triplet/$loader" --inhibit-cache --library-path "$root/usr/lib/$triplet" --list "$root/usr/bin/redpath" 2>&1) \
  || die "the binary does not load with this libc6, build it on this Debian: $needed"
outside=$(awk -v root="$root/" '/=>/ && index($3, root) != 1 { print $1 }' <<<"$needed" | grep -v '^linux-vdso' || true)
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
  install -D -m 644 "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
  dpkg-query -s "$package" | grep -E '^(Package|Status|Maintainer|Architecture|Multi-Arch|Source|Version): ' >"$root/var/lib/dpkg/status.d/$package"
done

find "$root" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-0}" {} +
