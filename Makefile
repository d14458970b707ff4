# Everything from a clean clone: `make run`, `make test`. Each target can be interrupted and run again.
PYTHON ?=
PORT ?= 3000
WORKERS ?= 2
MLB_HOME ?= $(CURDIR)/.mlb
ifeq ($(strip $(MLB_HOME)),)
override MLB_HOME := $(CURDIR)/.mlb
endif
# not every shell expands ~ in `make run CAPTURES=~/captures`; patsubst would make one blank of two in a name
at_home = $(subst //begin//,,$(subst //begin//~/,$(HOME)/,//begin//$(1)))
override MLB_HOME := $(call at_home,$(MLB_HOME))
override CAPTURES := $(call at_home,$(CAPTURES))
export MLB_HOME

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALLED := $(VENV)/.installed

.PHONY: help setup run test test-cluster test-chaos live-demo ui bench bench-full bench-charts bench-gate check clean java

help:
	@echo "make run     set everything up, ingest a sample, materialize its tables (CAPTURES=DIR: captures instead)"
	@echo "make ui      the Dagster UI with daemon and sensors (PORT=$(PORT))"
	@echo "make test    all tests (MLB_CAPTURES=DIR: those on captures too; WORKERS=1: in one process)"
	@echo "make test-cluster  the sinks by Spark's executors, and extraction, on a cluster of two workers (a quarter of an hour)"
	@echo "make test-chaos  kills everything at random while simulated games are followed (about 5 minutes)"
	@echo "make live-demo   a simulated day: API, live follower and Dagster in one command"
	@echo "make check   format, lint, types, imports, mappings"
	@echo "make bench   every benchmark, reduced (about a quarter of an hour); bench-full: a season and 10,000 games (hours)"
	@echo "make bench-charts  charts and tables in docs/performance.md from the figures of the latest run"
	@echo "make bench-gate    fails when a ratio is far beyond what it should be (about a minute)"
	@echo "make setup   Python packages and Spark jars only (PYTHON=/path/to/python3.12)"
	@echo "make clean   remove what was installed; DATA=1: also the data in $(MLB_HOME)"

setup: $(INSTALLED) java
	@if [ ! -e "$$MLB_HOME/jars/.complete" ] || [ resources/jars.lock -nt "$$MLB_HOME/jars/.complete" ] \
	  || [ resources/spark_archive.py -nt "$$MLB_HOME/jars/.complete" ]; then \
	  echo "setup: Spark jars"; $(BIN)/mlb setup && touch "$$MLB_HOME/jars/.complete"; fi

$(INSTALLED): requirements.lock pyproject.toml
	@fits='import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
	if $(BIN)/python -c "$$fits" 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1; then exit 0; fi; \
	python=""; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11); do \
	  if "$$candidate" -c "$$fits" 2>/dev/null; then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then \
	  found=$$($(or $(PYTHON),python3) --version 2>&1 | head -1); \
	  echo "setup: Python 3.11, 3.12 or 3.13 with venv is needed; found: $${found:-none}" >&2; \
	  echo "setup: install one (sudo apt-get install python3 python3-venv), or say where: make setup PYTHON=PATH" >&2; \
	  exit 1; fi; \
	echo "setup: $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
	@echo "setup: Python packages (about 700 MB; a few minutes the first time)"
	@$(PIP) install --no-deps --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

java:
	@if [ -z "$$MLB_SPARK_REMOTE" ]; then \
	  java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; \
	  if ! "$$java" -version >/dev/null 2>&1; then \
	    echo "setup: Java is missing ($$java does not run): Spark needs Java 17 or 21;" \
	      "install it with: sudo apt-get install openjdk-17-jre-headless (or brew install openjdk@17)" >&2; exit 1; fi; fi

run: setup
	@$(BIN)/mlb run $(if $(CAPTURES),--captures "$(CAPTURES)")

test: setup
	@$(BIN)/python -m pytest -q $(if $(filter-out 1,$(WORKERS)),-n $(WORKERS) --dist loadgroup --no-loadscope-reorder) $(ARGS)

test-cluster: setup
	@MLB_HISTORIES=$${MLB_HISTORIES:-6} $(BIN)/python -m pytest -q --spark-master "local-cluster[2,1,1024]" tests/sinks tests/spark tests/integration/test_cluster.py $(ARGS)

test-chaos: setup
	@$(BIN)/python -m pytest -q -s tests/chaos $(ARGS)

live-demo: setup
	@$(BIN)/mlb simulate day $(ARGS)

ui: setup
	@$(BIN)/mlb ui --port $(PORT)

bench: setup
	@$(BIN)/python -m benchmarks.run --size bench $(ARGS)

bench-full: setup
	@$(BIN)/python -m benchmarks.run --size full $(ARGS)

bench-charts: setup
	@$(BIN)/python -m benchmarks.charts --docs $(ARGS)

bench-gate: setup
	@$(BIN)/python -m benchmarks.gate

check: $(INSTALLED)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/mlb mapping lint
	@$(BIN)/mlb mapping schema --check
	@$(BIN)/mlb mapping diff --check
	@$(BIN)/mlb mapping docs --check

clean:
	@if [ -x $(BIN)/mlb ] && [ -d "$$MLB_HOME/postgres" ]; then $(BIN)/mlb db stop || true; fi
	@rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
	@if [ -n "$(DATA)" ]; then \
	  rm -rf "$$MLB_HOME/postgres" "$$MLB_HOME/postgres.json" "$$MLB_HOME/postgres.lock" "$$MLB_HOME/lake" \
	    "$$MLB_HOME/dagster" "$$MLB_HOME/jars" "$$MLB_HOME/logs" "$$MLB_HOME/tmp" "$$MLB_HOME/ivy" "$$MLB_HOME/reports" "$$MLB_HOME/live"; \
	  echo "clean: removed what was installed, and the data in $$MLB_HOME"; \
	else echo "clean: removed what was installed; the data in $$MLB_HOME stays (make clean DATA=1 removes it too)"; fi
