#!/usr/bin/env bash
# apt-install.sh PACKAGE...: installs Debian packages as root or with sudo, without starting a service,
# and without a question. Where that cannot be, says which command to run.
set -euo pipefail

mapfile -t packages < <(printf '%s\n' "$@" | sort -u)
if ! command -v apt-get >/dev/null; then
  echo "these are needed and this is no Debian: ${packages[*]} (Debian's names); install them and run this again." >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "these packages are needed: ${packages[*]}; run 'apt-get install ${packages[*]}' as root, then this again." >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing ${packages[*]} (Debian packages; no service is started)"
# 101 from policy-rc.d: maintainer scripts start nothing (/usr/share/doc/init-system-helpers/README.policy-rc.d.gz).
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  trap '"${as_root[@]}" rm -f "$guard"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$guard" >/dev/null
  "${as_root[@]}" chmod 755 "$guard"
fi
quietly=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
"${as_root[@]}" "${quietly[@]}" update </dev/null
"${as_root[@]}" "${quietly[@]}" install -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
