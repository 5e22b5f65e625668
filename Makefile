# Two commands for everybody: `make demo` and `make test`. The rest is for those who change Gatepost.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SECONDS ?= 30
# Debian's squid and Samba are outside an ordinary user's path.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help demo test check package fuzz lock soak bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   see it work on this machine, in a browser"
	@echo "make test   install what the tests need, and run them"
	@echo "make check  ruff, mypy, and 30 seconds of fuzzing what comes from outside"
	@echo "make package   build the connector as one file (PLATFORM=linux_x86_64, PYTHONS='3.11 3.12 …')"
	@echo "make lock   compile the pinned requirements anew"
	@echo "make soak   the long runs: hundreds of kills, the pin story under fire"
	@echo "make bench  the benchmarks, as tables: decoding, the lab, ingest, the whole way, an inventory (half an hour)"

$(VENV)/.demo: requirements/demo.txt pyproject.toml
	@./tools/venv $(PYTHON) $(VENV) requirements/demo.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@./tools/venv $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@$(BIN)/gatepost demo $(ARGS)

test: $(VENV)/.dev
	@./tools/servers $(BIN)
	@./tools/kerberos $(BIN)
	@$(BIN)/python -m pytest -n 3 --dist loadgroup $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory fuzz

# What a set-up package hands out: the Pythons that it shall run with, and another platform than this one if named.
PYTHONS ?= 3.11 3.12 3.13 3.14
package: $(VENV)/.demo
	@$(BIN)/python tools/package --python $(PYTHONS) $(if $(PLATFORM),--platform $(PLATFORM))

# What is found is written to the file that it names; make an example of it in tests/wire.
fuzz: $(VENV)/.dev
	@if $(BIN)/python -c "import atheris" 2>/dev/null; then \
	    $(BIN)/python -m tests.fuzz.wire -max_total_time=$(SECONDS); \
	else echo "there is no fuzzer for this platform" >&2; fi

lock: $(VENV)/.dev
	@./tools/lock $(BIN)

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak -o addopts="-ra --import-mode=importlib" $(ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.lab
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.inventory
	$(BIN)/python -m benchmarks.quick

clean:
	rm -rf $(VENV) .build .demo .mypy_cache .ruff_cache .pytest_cache
