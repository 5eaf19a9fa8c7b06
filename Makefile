# What there is to type. `make` alone lists it. Longer things are in scripts/, with the reasons.
# Cargo where rustup puts it, and the servers' own folder, whoever calls.
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/sbin:/sbin
BUILT := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test lint deny fuzz sbom image deb rpm release bench rehearsal soak ci
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## see redpath tell a private path from a public one, on loopback (no root; the first build takes some minutes)
	@scripts/toolchain.sh
	cargo build --locked --release --package redpath --package redpath-demo
	@echo; $(BUILT)/release/redpath-demo $(BUILT)/release/redpath

test: ## install what the tests need (Debian packages, as root or with sudo) and run all of them; `cargo test` alone runs those that need nothing
	@scripts/toolchain.sh
	@scripts/test-packages.sh
	cargo test --locked --features system-tests
	@echo; echo "All tests passed."

lint: ## formatting, clippy and the documentation, warnings refused
	@scripts/toolchain.sh
	cargo fmt --all --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --workspace --all-targets --features redpath/system-tests -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	@echo; echo "Formatting, lints and documentation are in order."

deny: ## licences, banned crates and sources of all dependencies (builds cargo-deny once, some minutes)
	@scripts/toolchain.sh
	scripts/cargo-deny.sh check bans licenses sources
	@echo; echo "Dependencies are in order."

fuzz: ## every parser of bytes from outside against hostile ones, 12 s each (builds cargo-fuzz once; installs g++)
	@scripts/toolchain.sh
	@scripts/fuzz.sh

sbom: ## target/release/redpath.cdx.json: what the binary is made of, CycloneDX (builds cargo-cyclonedx once)
	@scripts/toolchain.sh
	scripts/sbom.sh

image: ## the container image as an OCI archive, without daemon or base image (installs buildah; ARCH=arm64 or amd64 cross-compiles)
	@scripts/toolchain.sh
	@binary=$$(scripts/release-binary.sh $(ARCH)) && container/image.sh "$$binary" $(BUILT)/image $(ARCH)

bench: ## measure redpath next to blackbox_exporter and redis-cli (installs them; some ten minutes)
	@scripts/toolchain.sh
	@scripts/bench-packages.sh
	cargo build --locked --release --bin redpath
	cargo build --locked --package redpath-bench
	@echo; $(BUILT)/debug/redpath-bench $(BUILT)/release/redpath $(OTHER)

rehearsal: ## a cutover of six subnets from beginning to end, in network namespaces (as root; some four minutes), as Markdown
	@scripts/toolchain.sh >&2
	@scripts/test-packages.sh >&2
	cargo build --locked --release --bin redpath
	@scripts/rehearsal.sh $(BUILT)/release/redpath

soak: ## 500 targets for MINUTES (30), servers that come and go, a changing configuration, 64 clients; ends with figures
	@scripts/toolchain.sh
	@scripts/bench-packages.sh
	cargo build --locked --release --bin redpath
	cargo build --locked --package redpath-bench
	@echo; $(BUILT)/debug/redpath-bench soak $(or $(MINUTES),30) $(BUILT)/release/redpath

deb: ## a Debian package, target/packages/redpath_VERSION_amd64.deb (builds cargo-deb once)
	@scripts/toolchain.sh
	@scripts/package.sh deb

rpm: ## an rpm, target/packages/redpath-VERSION-1.x86_64.rpm (builds cargo-generate-rpm once)
	@scripts/toolchain.sh
	@scripts/package.sh rpm

release: ## everything that is handed on, in target/dist with checksums: packages, image, SBOM (builds their tools once, some minutes)
	@scripts/toolchain.sh
	@scripts/release.sh

ci: ## all of it, as the build server does
	.ci/run
