# One door to everything; `make help` says what there is.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS   ?=
NODES  ?= 1
PORT   ?= 9092
DATA   ?=

.DEFAULT_GOAL := help
.PHONY: help venv check fast test bench demo broker pins clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/dev.stamp ## Make .venv with everything that development needs, pinned and hash-checked

check: $(VENV)/dev.stamp ## Lint, formatting, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" lint-imports --no-logo

fast: $(VENV)/dev.stamp ## The tests that need no broker (ARGS='-k pause' for some of them)
	$(BIN)/pytest -m 'not broker and not cluster' $(ARGS)

test: $(VENV)/dev.stamp ## All tests; those on a real Kafka need JDK 17 and Maven (skipped without, unless CI is set)
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
	  echo 'Kafka for the tests: fetched once, then kept'; \
	  $(BIN)/python -c 'from pathlib import Path; from kadence.testing.broker import classpath; classpath(Path(".cache"))'; \
	fi
	$(BIN)/pytest $(ARGS)

bench: $(VENV)/dev.stamp ## Figures on a real broker, as Markdown (ARGS='failover' for one of failover, pause, rate, executor)
	@$(BIN)/python -m bench.figures $(ARGS)

demo: $(VENV)/core.stamp ## kadence in one process with a broker of its own (ARGS='--bootstrap-servers HOST:PORT')
	@$(BIN)/kadence demo $(ARGS)

broker: $(VENV)/core.stamp ## A real Kafka on this desk until Ctrl-C (NODES=3, PORT=9092, DATA=DIR to keep what it holds)
	@$(BIN)/python -m kadence.testing.broker --cache .cache --nodes $(NODES) --port $(PORT) $(if $(DATA),--data $(DATA))

pins: $(VENV)/bin/pip ## Choose the newest allowed version of every dependency again (requirements/*.txt)
	$(PIP) install dependency-groups pip-tools
	BIN=$(BIN) requirements/pin

clean: ## Remove what make made here
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist examples/*/target
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Of what the environment is made of pip comes last, so that an interrupted start is begun again.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'kadence needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The demo waits for these few only. Hashes are checked, so the two steps install what was reviewed and no more.
$(VENV)/core.stamp: requirements/core.txt requirements/build.txt pyproject.toml | $(VENV)/bin/pip
	@echo 'Installing kadence in $(VENV) ...'
	@$(PIP) install --require-hashes -r requirements/core.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/core.stamp
	@echo 'Installing what development needs in $(VENV) ...'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
