# Two commands do all the set-up on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Tests mostly wait for servers, so more of them than cores run side by side, each set with servers of its own.
JOBS ?= 4
# Tests start hundreds of commands: without bytecode each of them compiles all of it again.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test bench peers check format servers requirements picture walkthrough docs snapshots clean

demo: .venv/.demo
	@$(BIN)/dbdeck demo

test: .venv/.dev
	@rm -f .pytest_cache/v/cache/lastfailed
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS) || $(BIN)/python -m tests.alone $$? $(ARGS)

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Real servers for `make test` that pip cannot bring: Debian's PostgreSQL 15, PgBouncer and MariaDB, MySQL 9. Needs root.
servers:
	tests/servers/provision.sh

# dbdeck beside what is installed: tables with ratios, and build/bench.json. `make peers` brings what pip can.
bench: .venv/.dev
	$(BIN)/python -m bench --json build/bench.json $(ARGS)

peers: .venv/bin/python
	@$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install --quiet --disable-pip-version-check pg_activity 'psycopg[binary]'

# The pictures of README and tour, from the running demo.
picture: .venv/.dev
	$(BIN)/python bench/picture.py

# The pictures of docs/walkthrough, from the demo and the servers of the tests.
walkthrough: .venv/.dev
	$(BIN)/python -m bench.walkthrough

# Reference pages, man page and completions, from the code.
docs: .venv/.dev
	$(BIN)/python -m docs.generate

snapshots: .venv/.dev
	$(BIN)/python -m pytest tests/tui --snapshot-update

# Pins with hashes and without any index address.
requirements: .venv/.dev
	$(PIP) install uv
	for set in run demo dev; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" \
		requirements/$$set.in -o requirements/$$set.txt; done

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "dbdeck needs Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.demo: requirements/demo.txt pyproject.toml | .venv/bin/python
	@echo "installing dbdeck into .venv …"
	@$(PIP) install --require-hashes -r requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@echo "installing dbdeck and its tools into .venv …"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch .venv/.demo $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
