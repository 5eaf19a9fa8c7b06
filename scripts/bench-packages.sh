#!/usr/bin/env bash
# What `make bench-peers` measures beside redpath, and what it needs for that. Nothing is started as a service.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); } # COMMAND, its Debian package
need prometheus-blackbox-exporter prometheus-blackbox-exporter # probes TCP, TLS and Redis when it is asked to
need prometheus-redis-exporter prometheus-redis-exporter       # looks into Redis when it is asked to
need redis-server redis-server                                 # the server that is probed
need redis-cli redis-tools                                     # one check, and a part of the script
need dig bind9-dnsutils                                        # a part of the script
need openssl openssl                                           # a part of the script
need ip iproute2                                               # addresses in a namespace
need tcpdump tcpdump                                           # what the wire shows of each phase
need unshare util-linux                                        # the namespace

[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}"
