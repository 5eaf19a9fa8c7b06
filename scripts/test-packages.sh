#!/usr/bin/env bash
# The tests run against real servers and judge with real tools; none is skipped where one is missing.
# This installs the missing ones. None of them is started as a service: each test starts its own.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); } # COMMAND, its Debian package
need redis-server redis-server    # the server that is probed
need redis-cli redis-tools        # shows that the stand-ins speak Redis
need named bind9                  # a real name server with a split view
need dig bind9-dnsutils           # shows that the stand-ins speak DNS
need ip iproute2                  # namespaces of the tests' own
need nft nftables                 # silence in those namespaces
need socat socat                  # lends the metadata service its address in a namespace
need openssl openssl              # a TLS server of the old versions
need ssh-keygen openssh-client   # signs a report
need nft nftables                 # blocks the port of a cluster's node
need prometheus prometheus        # scrapes the agent
need systemd-analyze systemd      # runs the Debian package's unit, and judges it
need lowdown lowdown              # makes the manual page of the configuration
need rpm rpm                      # reads the rpm
need prometheus-node-exporter prometheus-node-exporter # serves the agent's text file
need promtool prometheus          # judges the /metrics page
need buildah buildah              # builds the image, without a daemon
need umoci umoci                  # unpacks it into a bundle
need runc runc                    # runs the bundle
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu # a program for the root file system of the other architecture
[ -d /usr/aarch64-linux-gnu/lib ] || missing+=(libc6-dev-arm64-cross)
need qemu-aarch64-static qemu-user-static # runs it
need readelf binutils             # reads the sections of the binary
need chromium chromium            # shows the status page
need tmux tmux                    # the terminal of the live view
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv) # scripts/helm-tools.sh installs from PyPI
[ -e "/usr/lib/$(uname -m)-linux-gnu/faketime/libfaketime.so.1" ] || missing+=(libfaketime) # steps a test's clock

[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}"
