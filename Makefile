# `make demo` shows nvr at work, `make test` runs every check that CI runs. Nothing needs to be installed before.
# Without make, the same by hand:
#   python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'
#   .venv/bin/nvr demo
#   .venv/bin/ruff format --check && .venv/bin/ruff check && .venv/bin/mypy && .venv/bin/lint-imports && .venv/bin/pytest
# Another Python: make PYTHON=python3.12 test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Rebuilt when pyproject.toml changes, else never: the checkout is installed editable.
STAMP := $(VENV)/.installed

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.PHONY: help demo test check soak install uninstall venv packages promtool

help:
	@cat <<'END'
	make demo [SECONDS=30]  two simulated cameras and the daemon, until Ctrl-C
	make test               everything: packages, environment, checks, tests
	make check              format, lint, types, import contract
	make soak               the long figures: soak tests and benches
	make install            as root: this nvr, or WHEEL=nvr-….whl, as a service of this machine, in /opt/nvr
	make uninstall          as root: takes the service off; footage, index and configuration stay
	END

demo: $(STAMP)
	@exec $(BIN)/nvr demo $(if $(SECONDS),--seconds $(SECONDS))

test: packages venv promtool check
	@echo "nvr: tests"
	$(BIN)/pytest --numprocesses 2 --ignore tests/system
	echo "nvr: tests of the whole daemon"  # alone: they hold it against the clock
	$(BIN)/pytest tests/system

check: $(STAMP)
	@echo "nvr: format, lint, types, import contract"
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy --no-error-summary
	contract=$$($(BIN)/lint-imports 2>&1) || { printf '%s\n' "$$contract"; exit 1; }

soak: $(STAMP)
	@echo "nvr: soak tests"
	$(BIN)/pytest -m soak -o faulthandler_timeout=0 || [ $$? -eq 5 ]  # 5: pytest found none
	echo "nvr: benches"
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.rebuild
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.alarms
	$(BIN)/python -m bench.scale

PREFIX ?= /opt/nvr
WHEEL ?=

install:
	@[ "$$(id -u)" -eq 0 ] || { echo "nvr: only root can install a service"; exit 1; }
	$(PYTHON) -m venv $(PREFIX)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PREFIX)/bin/pip install -qq --no-input --upgrade $(or $(WHEEL),.)
	sh "$$(cd / && $(PREFIX)/bin/python -c 'import nvr, pathlib; print(pathlib.Path(nvr.__file__).parent)')/systemd/install" $(PREFIX)

uninstall:
	@sh systemd/uninstall

venv: $(STAMP)

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "nvr: there is no $(PYTHON) here; install Python 3.11 or newer"; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
		echo "nvr: needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V); name another: make PYTHON=python3.12 ..."
		exit 1
	}
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || {
		echo "nvr: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv"
		exit 1
	}
	echo "nvr: environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install -qq --no-input --editable '.[dev]'
	sync  # or the disk is still busy with it when tests ask how long a sync takes
	touch $@

# What the tests call besides Python: ffmpeg and ffprobe as foreign players, ext4 for power cuts, systemd's own checks of a unit.
packages:
	@wanted=()
	need() { command -v "$$1" >/dev/null || wanted+=("$$2"); }
	need ffmpeg ffmpeg
	need mkfs.ext4 e2fsprogs
	need systemd-analyze systemd
	need $(PYTHON) python3
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || need /missing python3-venv
	[ $${#wanted[@]} -gt 0 ] || exit 0
	if [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "nvr: not installed here: $${wanted[*]}; as root on Debian: apt-get install $${wanted[*]}"
		exit 0
	fi
	echo "nvr: installing $${wanted[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq install --yes --no-install-recommends "$${wanted[@]}" </dev/null >/dev/null

# Debian packs promtool with the Prometheus server. Both are taken out of their package: nothing is installed, and a test
# runs a server of its own.
promtool: $(STAMP)
	@[ ! -x $(BIN)/promtool ] || [ ! -x $(BIN)/prometheus ] || exit 0
	if tool=$$(command -v promtool) && server=$$(command -v prometheus); then
		ln -sf "$$tool" $(BIN)/promtool
		ln -sf "$$server" $(BIN)/prometheus
		exit 0
	fi
	command -v apt-get >/dev/null || { echo "nvr: promtool is not installed here"; exit 0; }
	echo "nvr: fetching promtool and prometheus"
	work=$$(mktemp -d)
	trap 'rm -rf "$$work"' EXIT
	cd "$$work"
	[ "$$(id -u)" -ne 0 ] || apt-get -qq update
	apt-get -qq download prometheus 2>/dev/null || { echo "nvr: promtool is not installed here, and apt-get has no prometheus"; exit 0; }
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool ./usr/bin/prometheus
	install -m 755 usr/bin/promtool usr/bin/prometheus "$(CURDIR)/$(BIN)/"
