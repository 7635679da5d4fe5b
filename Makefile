# journey-progress: every target installs what it needs into .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SEEDS ?= 500
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# What touches Kafka: `make test-apache` does not judge MongoDB and HTTP a second time.
KAFKA_TESTS := tests/chaos tests/acceptance tests/integration --ignore=tests/integration/api \
	--ignore-glob='*/test_conditions_*.py' --ignore=tests/acceptance/test_serve.py --ignore=tests/integration/test_embedded.py \
	--ignore=tests/acceptance/test_explain.py --ignore=tests/integration/test_frozen_worker.py --ignore=tests/integration/test_large_snapshot.py \
	--ignore=tests/integration/test_parent.py --ignore=tests/integration/test_behind.py --ignore=tests/integration/test_bounded_documents.py \
	--ignore=tests/acceptance/test_processes.py --ignore=tests/acceptance/test_demo.py --ignore=tests/acceptance/test_probes.py --ignore=tests/integration/test_probes.py --ignore=tests/acceptance/test_bench.py --ignore=tests/acceptance/test_http.py \
	--ignore=tests/acceptance/test_recalculation.py --ignore=tests/acceptance/test_cancel_recalculation.py \
	--ignore=tests/integration/test_stop.py --ignore=tests/integration/test_apply.py \
	tests/contract/test_record_source.py tests/contract/test_dead_letters.py tests/contract/test_event_sink.py tests/contract/test_history.py

.PHONY: help install peers demo test jars test-apache chaos simulate check format bench lock docs clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.installed: pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "journey-progress needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: .venv/.installed ## make .venv with the command in .venv/bin/journey-progress

demo: install ## the main job on embedded Kafka and MongoDB (ARGS=--once ends by itself)
	@$(BIN)/journey-progress demo $(ARGS)

test: install ## every test, on real servers: yours, containers, or the embedded ones
	$(BIN)/pytest $(ARGS)

jars: # Apache Kafka, for the two targets below, and bench
	mvn --quiet --batch-mode -f tests/apache/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/tests/apache/jars

test-apache: install jars ## integration and acceptance tests against Apache Kafka 4 (needs Java 17 and Maven)
	JOURNEY_PROGRESS_TEST_KAFKA=apache $(BIN)/pytest $(KAFKA_TESTS) $(ARGS)

chaos: install jars ## kill, freeze and cut off everything on Apache Kafka and three mongods (ARGS=--short; needs Java 17 and Maven)
	$(BIN)/python -m tests.chaos $(ARGS)

simulate: install ## the seeded simulation, longer: SEEDS=10000
	JOURNEY_PROGRESS_SEEDS=$(SEEDS) $(BIN)/pytest tests/simulation $(ARGS)

check: install ## ruff, mypy --strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## write the code as ruff formats it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.venv-peers/.installed: requirements-peers.lock
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-peers.lock
	@touch $@

peers: .venv-peers/.installed # the stream processors that `make bench` measures beside ours, in .venv-peers

bench: install ## benchmarks, as ratios against floors and peers measured in the same run (ARGS=--quick; --long; --only streaming)
	@$(MAKE) --no-print-directory peers || echo "The peers cannot be installed here: they are left out, and what is wanted of them does not hold."
	@if command -v java >/dev/null && command -v mvn >/dev/null; then $(MAKE) --no-print-directory jars || true; fi
	$(BIN)/python -m tests.benchmarks $(ARGS)

docs: install ## write the generated pages and schemas again
	$(BIN)/python -m processor.settings_page > deploy/SETTINGS.md
	$(BIN)/python -m processor.metrics_page > deploy/METRICS.md
	$(BIN)/python -m tests.house
	$(BIN)/python -m schemas.export

lock: install ## resolve the dependencies again, with hashes and without index addresses
	$(LOCK) --extra http pyproject.toml -o requirements.lock
	$(LOCK) --extra http --extra embedded --extra test --extra bench --extra dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --extra peers pyproject.toml -o requirements-peers.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | $(LOCK) --constraint requirements-dev.lock - -o requirements-build.lock

clean: ## remove what was made here
	rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/apache/jars bench-results
