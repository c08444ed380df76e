PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 3
SYSTEM := chromium munge slurm-client slurmctld slurmd slurmdbd mariadb-server

# Every process of a test would compile again what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install system-deps run test suite test-fast test-kill lint types format bench zoo clean

help:  ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(STAMP)  ## make .venv and install videxp with what CI tested (again only when something changed)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

system-deps:  ## what some tests use (Chromium, Slurm, MariaDB), by apt: as root, on Debian
	@if ! command -v apt-get >/dev/null; then \
		echo "no apt-get here: tests that use $(SYSTEM) are skipped without them"; \
	elif ! LC_ALL=C dpkg -s $(SYSTEM) 2>&1 | grep -qE '^Status: deinstall|is not installed'; then \
		echo "installed: $(SYSTEM)"; \
	elif [ "$$(id -u)" != 0 ]; then \
		echo "apt-get needs root: sudo make system-deps installs $(SYSTEM)"; \
	else \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -q && apt-get install -q -y --no-install-recommends $(SYSTEM); \
	fi

run: install  ## train the main job: classification/moving_digits
	$(BIN)/videxp train classification/moving_digits

test: lint  ## everything that CI runs: format, lint, types, all tests, JOBS=3 at a time
	@$(MAKE) --no-print-directory --jobs=2 types suite

suite: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not kill'

test-fast: install  ## the tests that take less than half a second each (a minute and a half)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow and not gpu and not kill'

test-kill: install  ## a hundred runs killed at random moments and resumed (about 6 minutes)
	$(BIN)/python -m pytest -m kill tests/training

lint: install  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## mypy
	$(BIN)/mypy

format: install  ## let ruff rewrite the files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install  ## the benchmarks: ratios against other pipelines, on this machine
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/clips.py
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/transforms.py
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/transport.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/scenes.py

zoo: install  ## write docs/model_zoo.md: our counts and speeds beside the published ones
	$(BIN)/python -m benchmarks.model_zoo

clean:  ## remove caches and build products (not .venv, data or runs)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
