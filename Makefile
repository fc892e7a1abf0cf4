# Everything a contributor or a newcomer runs. `make run` and `make test` work on a
# fresh machine: Python 3.11+ with venv, and make; the integration tests also need
# Java 21 and Maven, or a container engine, or servers named in the environment.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?=
PYTEST_ARGS ?=
# Processes that share the tests; most tests wait for servers, not for a core.
TEST_JOBS ?= 3
LOCK_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test lint audit-dependencies fmt bench chaos servers stop-servers lock image schemas clean

help:  ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## .venv with the `wirewatch` command in it, from the lock file

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wirewatch needs Python 3.11 or newer; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## watch the sample that ships (no network needed; in ./data-sample); Ctrl-C ends it
	$(BIN)/wirewatch run --sample $(if $(DATA),--data $(DATA))

test: setup  ## lint, types, imports, then every test; starts real Kafka and Elasticsearch
	$(MAKE) --no-print-directory lint audit-dependencies
	$(BIN)/python -m pytest --numprocesses $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS)

lint: setup  ## ruff (all rules), mypy (strict), import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit-dependencies: setup  ## what is known against what we ship; says so if nobody can be asked
	$(BIN)/python -m tests.audit

fmt: setup  ## format, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## speed: prints the figures that the README quotes
	$(BIN)/python -m bench

chaos: setup  ## faults from a seed, then an account: SEED=n FAULTS=n MODE=servers|embedded BROKERS=1|3
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(MODE),--mode $(MODE)) $(if $(BROKERS),--brokers $(BROKERS))

servers: setup  ## a real Kafka and Elasticsearch on loopback, for trying things by hand
	$(BIN)/python -m tests.servers start

stop-servers: setup  ## end them
	$(BIN)/python -m tests.servers stop

# Universal: the same files serve every system and every Python from 3.11 on.
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
    --python-version 3.11 --generate-hashes --no-emit-index-url pyproject.toml

lock: setup  ## pin the dependencies anew; LOCK_ARGS=--upgrade takes newer versions
	$(LOCK) --group dev $(LOCK_ARGS) -o requirements.lock
	$(LOCK) --constraints requirements.lock -o requirements-runtime.lock

image:  ## the container image that docker-compose.yml runs
	docker build --tag wirewatch .

schemas: setup  ## docs/asyncapi.json and docs/schemas/, from the records and topics
	$(BIN)/python -m streams.schema docs

clean:  ## remove what the targets above made, but no data
	test ! -x $(BIN)/python || $(BIN)/python -m tests.servers stop
	rm -rf $(VENV) .servers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
