# Every target sets up what it needs. `make demo` and `make test` are all that a newcomer has to know.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
# What the real servers, the guides' commands and the checks need, as Debian packages.
PACKAGES := ca-certificates chromium curl faketime ffmpeg jq lua-check mount openssl pkg-config postgresql procps prosody python3-venv shellcheck util-linux
PROGRAMS := chromium curl faketime ffmpeg jq luacheck openssl prosody psql setpriv shellcheck
# What they need from PyPI and npm, at the versions of the lock files in testbed/tools.
TOOLS := .tools
# What building and proving the packages needs beside it.
PACKAGING_PACKAGES := apt-utils binutils build-essential debhelper docker-compose dpkg-dev fakeroot fish gnupg iproute2 lintian mandoc mmdebstrap piuparts podman procps shellcheck slirp4netns systemd-container xz-utils zsh zstd
PACKAGING_PROGRAMS := apt-ftparchive dh docker-compose dpkg-buildpackage fakeroot fish gpg lintian mandoc mmdebstrap objdump piuparts podman shellcheck slirp4netns systemd-nspawn zsh zstd
# What the repository of packages is made with, wherever that is done.
REPOSITORY_PACKAGES := apt-utils build-essential debhelper dpkg-dev gnupg xz-utils
REPOSITORY_PROGRAMS := apt-ftparchive dh dpkg-buildpackage g++ gpg xz
# How programs are built that are shipped or measured: whatever directory they are built in, the same source gives the same bytes.
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
CARGO_DIRECTORY := $(abspath $(or $(CARGO_HOME),$(HOME)/.cargo))
PATHS := $(CURDIR)=/reflector $(TARGET)=/target $(CARGO_DIRECTORY)/registry/src=/registry
RELEASE := env RUSTFLAGS="$(PATHS:%=--remap-path-prefix=%)" CFLAGS="$(PATHS:%=-ffile-prefix-map=%)" $(CARGO) build --locked --release
# The auditor of `make audit`: built without optimisation, which is a minute and a half instead of eight.
CARGO_DENY := 0.20.2
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 18

.PHONY: setup
setup: ## Install what demo, tests and benchmarks need from Debian (does nothing when it is there)
	@if ! which $(PROGRAMS) >/dev/null 2>&1 || ! ls -d /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then \
		echo "Installing $(PACKAGES)"; \
		$(AS_ROOT) apt-get update -qq; \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null; \
	fi
	@command -v npm >/dev/null || { $(AS_ROOT) apt-get update -qq; $(AS_ROOT) apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; }
	@for program in $(PROGRAMS) npm; do command -v $$program >/dev/null || { echo "$$program is still missing: install it by hand"; exit 1; }; done
	@$(MAKE) --no-print-directory $(TOOLS)/python/stamp $(TOOLS)/node/stamp

$(TOOLS)/python/stamp: testbed/tools/requirements.txt
	@echo "Installing the test servers and checkers of testbed/tools/requirements.txt"
	@rm -rf $(@D) && python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(TOOLS)/node/stamp: testbed/tools/package.json testbed/tools/package-lock.json
	@echo "Installing the frontend tools of testbed/tools/package.json"
	@rm -rf $(@D) && mkdir -p $(@D) && cp $^ $(@D)/
	@npm ci --prefix $(@D) --silent --no-audit --no-fund
	@touch $@

.PHONY: setup-packaging
setup-packaging: ## Install what packages are built and proven with (does nothing when it is there)
	@if ! which $(PACKAGING_PROGRAMS) >/dev/null 2>&1; then \
		echo "Installing $(PACKAGING_PACKAGES)"; \
		$(AS_ROOT) apt-get update -qq; \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $(PACKAGING_PACKAGES) >/dev/null; \
	fi
	@for program in $(PACKAGING_PROGRAMS); do command -v $$program >/dev/null || { echo "$$program is still missing: install it by hand"; exit 1; }; done
	@$(MAKE) --no-print-directory $(TOOLS)/prometheus/stamp

# The key need not be where packages are built and proven.
.PHONY: setup-repository
setup-repository:
	@which $(REPOSITORY_PROGRAMS) >/dev/null 2>&1 || { \
		echo "Installing $(REPOSITORY_PACKAGES)"; \
		$(AS_ROOT) apt-get update -qq; \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(REPOSITORY_PACKAGES) >/dev/null; \
	}

# Debian's package would start a server: its two programs are taken out of it.
$(TOOLS)/prometheus/stamp:
	@echo "Fetching Prometheus, which the alert rules and dashboards are tried on"
	@rm -rf $(@D) && mkdir -p $(@D)
	@cd $(@D) && { apt-get download -qq -o APT::Sandbox::User=root prometheus || { $(AS_ROOT) apt-get update -qq && apt-get download -qq -o APT::Sandbox::User=root prometheus; }; }
	@cd $(@D) && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin && rm prometheus_*.deb
	@touch $@

.PHONY: build
build: ## Build the two programs and the testbed
	$(CARGO) build --locked --workspace --exclude reflector-packaging --bins

.PHONY: release
release: ## Build the two programs as they are shipped
	$(RELEASE) --package reflector-agent --package reflector-api

.PHONY: demo
demo: setup build ## Hold a real meeting and watch it arrive; ONCE=1 holds one and ends
	$(CARGO) run --locked --quiet -p testbed -- demo $(if $(ONCE),--once) --directory .demo

.PHONY: test
test: setup build ## Run every test: real Prosody, real Postgres, real ffmpeg, real kills
	$(CARGO) test --locked --workspace --exclude reflector-packaging

.PHONY: chaos
chaos: setup build ## Kill the agent 200 times (KILLS) while meetings are held and the API fails in every way
	CHAOS_KILLS=$(or $(KILLS),200) $(CARGO) test --locked -p testbed --test chaos -- --nocapture

.PHONY: check
check: setup ## Formatting, lints, documentation, the Prosody module, shell scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	luacheck --quiet agent/prosody testbed/prosody
	shellcheck --external-sources $$(grep -rlIE '^#! ?/(usr/bin/env (ba)?sh|bin/(ba)?sh)' .ci packaging deb)

.PHONY: audit
audit: $(TOOLS)/cargo/cargo-deny-$(CARGO_DENY) ## Licences, sources and known vulnerabilities of the dependencies (ADVISORY_DB=a copy of RustSec's database)
	CARGO=$(CARGO) packaging/audit/run

$(TOOLS)/cargo/cargo-deny-$(CARGO_DENY):
	@echo "Building cargo-deny $(CARGO_DENY)"
	@CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --locked --debug --force --no-default-features --root $(@D) cargo-deny@$(CARGO_DENY)
	@touch $@

.PHONY: deb
deb: setup-packaging release ## Build the packages of both programs into target/deb
	CARGO=$(CARGO) TARGET=$(TARGET) packaging/build

.PHONY: deb-reproducible
deb-reproducible: setup-packaging ## Build the packages of target/deb again elsewhere, from nothing, and compare the bytes (as long as the first time)
	@ls target/deb/*.deb >/dev/null 2>&1 || { echo "there are no packages in target/deb: run make deb first"; exit 1; }
	packaging/build-again $(TARGET)/deb $(TARGET)/deb-again

.PHONY: apt-repo
apt-repo: setup-repository ## Put the packages of target/deb into the signed repository target/apt (APT_SIGNING_KEY, APT_URL)
	packaging/apt/build target/deb target/apt

.PHONY: arm64
arm64: setup-packaging ## Compile both programs for arm64, in a Debian 12 of its own, and start them under qemu
	$(CARGO) fetch --locked --quiet
	$(AS_ROOT) env CARGO_HOME=$(CARGO_DIRECTORY) packaging/arm64/run target/arm64

# The same programs as an older version, to upgrade from.
PREVIOUS := target/package-test/previous

.PHONY: package-test
package-test: setup setup-packaging build ## Prove the packages of target/deb on fresh Debian 12 and 13: install, hurt, upgrade, remove (as root)
	@ls target/deb/*.deb >/dev/null 2>&1 || { echo "there are no packages in target/deb: run make deb first"; exit 1; }
	for release in bookworm trixie; do $(AS_ROOT) packaging/machine/tree $$release target/package-test & trees+=($$!); done; for tree in $${trees[@]}; do wait $$tree; done
	mkdir -p $(PREVIOUS) && ln -sfn ../../release $(PREVIOUS)/release && TARGET=$(PREVIOUS) packaging/build --version 0.0.9
	$(if $(AS_ROOT),CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$(AS_ROOT)) $(CARGO) test --locked --package reflector-packaging

.PHONY: bench
bench: setup ## Measure against bare loops and pgbench, and write docs/performance.md
	$(RELEASE) --package reflector-agent --package reflector-api --package testbed
	target/release/testbed bench $(if $(QUICK),--quick,--write docs/performance.md)

.PHONY: clean
clean: ## Remove what was built and what the demo left
	$(CARGO) clean
	rm -rf .demo $(TOOLS)
