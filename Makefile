# The two commands: `make run` starts the bridge, `make test` proves it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
LOCK   := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help install run demo check format test test-bridge test-e2e fuzz soak bench-quick supported lock clean

help: ## What can be made
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(STAMP) ## Install into .venv from the lock

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Missing: $(PYTHON). Try: apt install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Missing: the venv module of Python. Try: apt install python3-venv"; exit 1; }
	@echo "Installing into $(VENV): half a minute, a few on a small computer."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## Start the bridge on port 8888 (ARGS="--config FILE")
	@exec $(BIN)/tk103b-bridge run $(ARGS)

demo: install ## The bridge with a simulated car driving around
	@exec $(BIN)/tk103b-bridge run --demo $(ARGS)

check: install ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install ## Put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: test-bridge test-e2e ## The whole suite

test-bridge: install ## The bridge's own tests
	$(BIN)/pytest -q tests/bridge $(ARGS)

test-e2e: install ## Real sockets, a real Mosquitto, real processes
	$(BIN)/pytest -q tests/e2e $(ARGS)

fuzz: install ## A million mutated frames against the bridge, some minutes
	$(BIN)/python -m tests.fuzz.run --count 1000000 $(ARGS)

soak: install ## Every fault at length, as a table, some minutes (ARGS="NAME --short")
	@$(BIN)/python -m tests.soak $(ARGS)

bench-quick: install ## Decoding and end-to-end speed, as ratios measured in one run
	$(BIN)/python -m tests.benchmarks.quick

supported: install ## Write SUPPORTED.md anew from corpus and encoders
	$(BIN)/python -m tests.supported

lock: install ## Resolve the dependencies anew: all of them, and those the image runs with
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --all-extras -o requirements.lock
	$(LOCK) --constraints requirements.lock -o requirements-run.lock

clean: ## Remove what make made
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
