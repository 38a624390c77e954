# The two commands: `make run` starts the bridge, `make test` proves it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
LOCK   := $(BIN)/uv pip compile --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

# The component lives in Home Assistant's Python, which is found or fetched into folders of its own.
COMPONENT := tests/component
HA_PYTHON  = $(BIN)/python -m tests.environment
COVERED   := $(if $(ARGS),,--cov --cov-config=$(COMPONENT)/coverage.ini --cov-report=term:skip-covered)

.DEFAULT_GOAL := help
.PHONY: help install run demo check format test test-bridge test-component \
	test-component-next test-e2e test-node-red e2e dist image pictures contract samples fuzz soak bench-quick supported reference docs lock clean

help: ## What can be made
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

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

test: test-bridge test-component test-e2e test-node-red ## The whole suite

test-bridge: install ## The bridge's own tests
	$(BIN)/pytest -q tests/bridge $(ARGS)

test-component: install ## The component's own tests and types, in Home Assistant 2026.10
	@python=$$($(HA_PYTHON)) || exit 1; set -ex; \
	"$$python" -m mypy --config-file $(COMPONENT)/mypy.ini; \
	"$$python" -m pytest -q $(COMPONENT) $(COVERED) $(ARGS); \
	test -n "$(ARGS)" || "$$python" -m coverage report --rcfile=$(COMPONENT)/coverage.ini \
		--include="*/config_flow.py" --fail-under=100

test-component-next: install ## The same in Home Assistant 2026.11
	@python=$$($(HA_PYTHON) --next) || exit 1; set -ex; \
	"$$python" -m mypy --config-file $(COMPONENT)/mypy.ini; \
	"$$python" -m pytest -p tests.component.ahead -q $(COMPONENT) $(ARGS)

contract: ## Give the component the bridge's contract
	cp bridge/contract.py custom_components/tk103b/contract.py

samples: install ## Write anew what the bridge says in the component's tests
	$(BIN)/python -m tests.bridge.component_story

dist: install ## Wheel and sdist into dist/, installed and tried in a clean environment
	rm -rf dist
	$(BIN)/python -m tests.packaging.dist
	$(BIN)/pytest -q -s tests/packaging/dist_story.py $(ARGS)

image: install ## The container's image, built with buildah, started and tried (as root)
	$(BIN)/pytest -q -s tests/packaging/image_story.py $(ARGS)

test-e2e: install ## Real sockets, a real Mosquitto, a real Home Assistant in short
	@$(HA_PYTHON) >/dev/null || true # whoever is missing is named by the tests
	$(BIN)/pytest -q -n 2 tests/e2e tests/packaging tests/homeassistant/test_short.py $(ARGS)

test-node-red: install ## The flows of examples/node-red in a real Node-RED; docs/asyncapi.yaml against its specification
	@$(BIN)/python -m tests.node_red.provide >/dev/null || true # what is missing is named by the tests
	$(BIN)/pytest -q tests/node_red $(ARGS)

e2e: install ## The whole story with a real Home Assistant, seen in Chromium, Node-RED and HAProxy, some minutes
	@$(HA_PYTHON) >/dev/null || true
	@$(BIN)/python -m tests.node_red.provide >/dev/null || true
	$(BIN)/pytest -q tests/homeassistant/test_whole.py tests/homeassistant/test_pictures.py \
		tests/node_red tests/e2e/test_haproxy.py $(ARGS)

pictures: install ## Take the pictures of the documentation anew
	@$(HA_PYTHON) >/dev/null
	PICTURES=docs/images $(BIN)/pytest -q tests/homeassistant/test_pictures.py

fuzz: install ## A million mutated frames against the bridge, some minutes
	$(BIN)/python -m tests.fuzz.run --count 1000000 $(ARGS)

soak: install ## Every fault at length, as a table, some minutes (ARGS="NAME --short")
	@$(BIN)/python -m tests.soak $(ARGS)

bench-quick: install ## Decoding and end-to-end speed, as ratios measured in one run
	$(BIN)/python -m tests.benchmarks.quick

supported: install ## Write SUPPORTED.md and the table of docs/commands.md anew from corpus and encoders
	$(BIN)/python -m tests.supported
	$(BIN)/python -m tests.reference.capabilities

reference: install ## Write docs/reference and docs/asyncapi.yaml anew from the code
	$(BIN)/python -m tests.reference

docs: $(VENV)-docs/.installed ## The documentation as a site, into build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict --quiet

$(VENV)-docs/.installed: docs-requirements.lock
	@test -x $(VENV)-docs/bin/python || $(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

lock: install ## Resolve the dependencies anew: all of them, and those the image runs with
	$(BIN)/python -m pip install --quiet uv
	$(LOCK) --python-version 3.11 pyproject.toml --all-extras -o requirements.lock
	$(LOCK) --python-version 3.11 pyproject.toml --constraints requirements.lock -o requirements-run.lock
	$(LOCK) --python-version 3.11 $(COMPONENT)/tools.in -o $(COMPONENT)/tools.lock
	$(LOCK) --python-version 3.11 docs-requirements.in -o docs-requirements.lock
	$(LOCK) --python-version 3.14.2 $(COMPONENT)/requirements.in -o $(COMPONENT)/requirements.lock
	$(LOCK) --python-version 3.14.2 $(COMPONENT)/requirements.in --override $(COMPONENT)/requirements-next.in \
		-o $(COMPONENT)/requirements-next.lock

clean: ## Remove what make made
	rm -rf $(VENV) .venv-docs .venv-ha .venv-ha-next .python3.14 .node-red dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
