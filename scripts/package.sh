#!/usr/bin/env bash
# package.sh deb|rpm [VERSION]: packs the release binary with what belongs to it (unit, configuration, manual
# pages, completions, copyright), and prints the package's path. VERSION is that of Cargo.toml unless given.
# Nothing depends on the time of the build: files are dated by the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=$1
target=${CARGO_TARGET_DIR:-target}
version=${2:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}
exec 8>"$target/package.lock" # two at a time would write the same files
flock 8

redpath=$(scripts/release-binary.sh)
# Not before: a build script that compiles C takes a new date for a change, and all of it would be built again.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.lock)
export SOURCE_DATE_EPOCH
mkdir -p "$target/packages"
files=target/package # where Cargo.toml names them
rm -rf "$files" && mkdir -p "$files/man" "$files/completions"

page() { "$redpath" man "$@" | gzip -9n > "$files/man/$(IFS=-; echo "redpath${*:+-$*}").1.gz"; }
page
for command in check watch connections clients agent explain config gate report healthcheck journal completions man; do page "$command"; done
page gate expect
page journal verify
for command in check print schema from-az; do page config "$command"; done
# The configuration as a manual page of section 5, without a date: two builds give the same bytes.
command -v lowdown >/dev/null || scripts/apt-install.sh lowdown >&2
{ printf '# NAME\n\nredpath.yaml - configuration of the agent of redpath\n\n'; cat docs/configuration.md; } \
  | lowdown -s -t man -M section=5 -M title=redpath.yaml | gzip -9n > "$files/man/redpath.yaml.5.gz"
"$redpath" completions bash > "$files/completions/redpath"
"$redpath" completions zsh > "$files/completions/_redpath"
"$redpath" completions fish > "$files/completions/redpath.fish"
gzip -9n < CHANGELOG.md > "$files/CHANGELOG.md.gz"
gzip -9n > "$files/changelog.gz" <<CHANGELOG
redpath ($version) stable; urgency=medium

  * What has changed is told in CHANGELOG.md.gz.

 -- $(sed -n 's/^maintainer = "\([^"]*\)".*/\1/p' Cargo.toml)  $(date -uR -d "@$SOURCE_DATE_EPOCH")
CHANGELOG

{
  cat <<'COPYRIGHT'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: redpath
Comment: The program has these crates compiled in, each under a licence that it names itself:
COPYRIGHT
  cargo tree --locked --edges normal --prefix none --format '{p}: {l}' | sed 's/ (\*)$//; s/ (proc-macro)//; /^redpath /d; /^$/d; s/^/ /' | sort -u
  cat <<'COPYRIGHT'

Files: *
Copyright: the authors of redpath
License: Apache-2.0

License: Apache-2.0
 The whole text is in /usr/share/common-licenses/Apache-2.0 on Debian, and beside this file elsewhere.
COPYRIGHT
} > "$files/copyright"

case $kind in
deb)
  tool=$(scripts/cargo-tool.sh cargo-deb 3.8.0 --no-default-features)
  package=$target/packages/redpath_${version}_$(dpkg --print-architecture).deb
  # xz by the system's own program, so that the tool needs no C library.
  # Not straight to its place: the tool empties target/debian, and a reader of the last package goes on.
  "$tool" --no-build --no-strip --locked --quiet --deb-version "$version" --compress-system --output "$files/deb/${package##*/}" >&2
  mv "$files/deb/${package##*/}" "$package"
  ;;
rpm)
  tool=$(scripts/cargo-tool.sh cargo-generate-rpm 0.21.1)
  package=$target/packages/redpath-$version-1.$(uname -m).rpm
  "$tool" --auto-req builtin --source-date "$SOURCE_DATE_EPOCH" --set-metadata "version = \"$version\"" --output "$files/${package##*/}" >&2
  mv "$files/${package##*/}" "$package"
  ;;
*)
  echo "package.sh: deb or rpm is expected, not $kind" >&2
  exit 2
  ;;
esac
echo "$package"
