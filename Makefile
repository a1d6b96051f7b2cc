# Everything a contributor runs. `make help` lists it; `make demo` and `make test` do their own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STATIC := server/buoy_server/static
NPM := npm --prefix web
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CORE_SOURCES := core/build_core.py $(wildcard core/buoy_core/_compiled/*.pyx core/buoy_core/_compiled/*.pxd core/buoy_core/_compiled/*.h)
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/e2e/*' -not -path '*/pictures/*' -not -path '*/bench/*' 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: demo
demo: build web ## set up, start a server, train two processes, print the link
	$(PY) scripts/demo.py start

.PHONY: demo-stop
demo-stop: ## end what `make demo` started
	$(PY) scripts/demo.py stop

.PHONY: test
test: system build web lint type ## set up, then run every check and test
	$(NPM) test
	$(PY) scripts/run_tests.py
	$(NPM) run e2e

ROWS ?= 2500000
.PHONY: outage
outage: build ## log ROWS rows of 8 keys while the server is away; print memory, and how fast they arrive then
	$(PY) -m tests.crash.test_outage $(ROWS)

.PHONY: build
build: $(VENV)/.compiled ## virtual environment and compiled core

.PHONY: lint
lint: $(VENV)/.installed web/node_modules/.installed ## ruff, cython-lint, Biome
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/cython-lint core
	$(PY) proto/build_proto.py --check
	$(NPM) run lint

.PHONY: type
type: $(VENV)/.compiled web/node_modules/.installed ## mypy strict, tsc
	$(VENV)/bin/mypy
	$(NPM) run types

.PHONY: fuzz
fuzz: build ## feed every reader of foreign bytes with damaged ones, guided by coverage (SECONDS=60)
	$(PY) -m pip install --quiet --group fuzz
	$(PY) -m tests.fuzz --seconds $(or $(SECONDS),60)

.PHONY: sanitize
sanitize: build ## the core's tests and all that fuzzing has kept, under the address and undefined-behaviour sanitizers
	BUOY_CORE_SANITIZE=1 $(PY) core/build_core.py >/dev/null
	PYTHON=$(PY) scripts/sanitize.sh

.PHONY: bench
bench: build ## compare with peers and with the floor, in one run (BENCH=log_call for one of them)
	$(PY) -m bench $(BENCH)

.PHONY: bench-web
bench-web: build web ## measure the dashboard's budgets in Chromium, on a thousand runs and on ten million points (BUDGETS=loading)
	$(NPM) run bench -- $(BUDGETS)

.PHONY: screenshots
screenshots: system build web ## make the pictures of README and docs, from seeded runs
	$(NPM) run pictures

SEED ?=
WRITERS ?= 8

.PHONY: chaos
chaos: build ## kill, pause, cut and fill up everything at random, then compare (SEED=, SECONDS=60, WRITERS=8)
	$(PY) -m tests.crash.chaos $(if $(SEED),--seed $(SEED)) --seconds $(or $(SECONDS),60) --writers $(WRITERS)

.PHONY: nodes
nodes: build ## 64 ranks on 8 simulated nodes with random kills, then compare (SEED=, SEEDS=1)
	$(PY) -m tests.crash.nodes $(if $(SEED),--seed $(SEED)) --seeds $(or $(SEEDS),1)

.PHONY: web
web: $(STATIC)/index.html ## build the dashboard into the server package

.PHONY: wheel
wheel: build web ## wheel with the compiled core and the dashboard, in dist/
	rm -rf dist
	BUOY_NO_NPM=1 $(PY) -m build --wheel --no-isolation --outdir dist .
	@ls -l dist

.PHONY: wheel-check
wheel-check: wheel ## install the wheel with [server] elsewhere and walk through the tutorial
	$(PY) scripts/check_wheel.py server dist/*.whl

.PHONY: wheel-sdk-check
wheel-sdk-check: wheel ## install the wheel without extras elsewhere: it logs, and no server dependency is there
	$(PY) scripts/check_wheel.py sdk dist/*.whl

.PHONY: system
system: ## check for what comes from Debian; install it when root
	scripts/system.sh

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf $(VENV) web/node_modules $(STATIC) dist build .cache .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find core -name '*.so' -o -path '*_compiled*' -name '*.c' | xargs rm -f

$(VENV)/.installed: pyproject.toml scripts/system.sh
	scripts/system.sh build
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade 'pip>=25.1'
	$(PY) -m pip install --quiet --group dev
	BUOY_NO_NPM=1 $(PY) -m pip install --quiet --no-build-isolation --editable '.[server]'
	touch $@ $(VENV)/.compiled

$(VENV)/.compiled: $(VENV)/.installed $(CORE_SOURCES)
	$(PY) core/build_core.py >/dev/null
	touch $@

web/node_modules/.installed: web/package-lock.json web/package.json
	scripts/system.sh web
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(STATIC)/index.html: web/node_modules/.installed $(WEB_SOURCES)
	$(NPM) run build
	touch $@
