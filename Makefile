# `make demo` is the place to start. Every target first sets up what it needs.

# An own value (make PYTHON=python3.12) or the newest of these that is there.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && exit; done; echo python3)
PERIOD ?= week
PROTOCOL ?= llv2
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
BUILT := $(VENV)/.built
RUST_VERSION := $(shell sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)
NATIVE := $(wildcard src/gristmill/_native.abi3.so)

export PATH := $(PATH):$(HOME)/.cargo/bin
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help

.PHONY: help
help: prerequisites
	@echo 'make demo [PERIOD=week|month|year] [PROTOCOL=llv2|reach-only|hmss]'
	@echo '                  measure real events among three duchies on this machine'
	@echo 'make dev          make .venv with everything built into it'
	@echo 'make test         all tests but the long ones'
	@echo 'make test-long    the long ones, one after another: they measure times'
	@echo 'make lint         formatting, types, layers, lints, generated code is current'
	@echo 'make proto        generate the message classes from proto/'
	@echo 'make wheel        build a wheel into dist/'
	@echo 'make bench        every stage against libcrypto and the targets; writes benchmarks/results.json'
	@echo 'make bench-quick  the same in less than a minute, with smaller sizes'
	@echo 'make clean        remove .venv, target and dist'

.PHONY: prerequisites
prerequisites:
	@tools/check-prerequisites $(PYTHON) $(RUST_VERSION)

.PHONY: dev
dev: $(BUILT)

# maturin installs the dependencies too; an unchanged tree costs nothing.
$(BUILT): pyproject.toml $(RUST_SOURCES) $(if $(NATIVE),,FORCE) | prerequisites
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/maturin || $(BIN)/python -m pip install --quiet 'maturin>=1.9,<2'
	$(BIN)/maturin develop --release --features replay --extras dev --quiet
	@touch $@

.PHONY: FORCE
FORCE:

.PHONY: demo
demo: dev
	@$(BIN)/gristmill demo --period $(PERIOD) --protocol $(PROTOCOL)

.PHONY: test
test: dev
	cargo test --quiet --workspace
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m 'not long'

.PHONY: test-long
test-long: dev
	$(BIN)/pytest -m long --timeout 3600

.PHONY: lint
lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/protos.py --check
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings

.PHONY: proto
proto: dev
	$(BIN)/python tools/protos.py

.PHONY: proto-check
proto-check: dev
	$(BIN)/python tools/protos.py --check

.PHONY: wheel
wheel: dev
	$(BIN)/maturin build --release --out dist

.PHONY: bench
bench: dev
	$(BIN)/python benchmarks/run.py

.PHONY: bench-quick
bench-quick: dev
	$(BIN)/python benchmarks/run.py --quick

.PHONY: clean
clean:
	rm -rf $(VENV) target dist src/gristmill/_native.abi3.so
