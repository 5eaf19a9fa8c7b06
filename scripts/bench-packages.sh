#!/usr/bin/env bash
# Installs what `make bench` compares redpath with, and what it needs. Nothing is started as a service.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); } # COMMAND, its Debian package
need prometheus-blackbox-exporter prometheus-blackbox-exporter # probes TCP, TLS and Redis when it is scraped
need redis-server redis-server                                 # the server that is probed
need redis-cli redis-tools                                     # one check
need ip iproute2                                               # addresses in the namespace
need unshare util-linux                                        # the namespace

[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}"
