# One verb each. `make install` needs Python 3.11 to 3.13 and nothing else; the rest needs `make install`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
UV ?= $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
BIN := .venv/bin
# Two processes, each with a stack of its own; a file's tests stay together.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help install demo up down test test-pure test-ledger test-stack test-demo test-slow test-down check fix docs fuzz bench java-bank

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

install: $(if $(filter uv,$(UV)),,.uv/bin/uv) ## everything into .venv
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it: make install PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(UV) sync --frozen --all-extras --python "$(PYTHON)"

# uv in a private venv, where the machine has none.
.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it: make install PYTHON=/path/to/python3.12" >&2; exit 2; }
	@"$(PYTHON)" -m venv .uv || { rm -rf .uv; echo "$(PYTHON) cannot make a venv: install its venv package (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/%:
	@echo "$@ is missing: run 'make install' first" >&2; exit 2

demo: install ## one cohort through its whole life on a local stack; ARGS="--cards 200 --exit"
	$(BIN)/issuance demo $(ARGS)

up: install ## start the local stack
	$(BIN)/issuance stack up $(ARGS)

down: $(BIN)/issuance ## stop the local stack
	$(BIN)/issuance stack down

# The longest files first, so that both processes end together.
test: install ## all tests but the slow ones
	$(PYTEST) -m "not slow" tests/demo tests/stack tests/ledger tests/pure $(ARGS)

test-pure: install ## tests that need no server: under a minute
	$(PYTEST) -m "not slow" tests/pure $(ARGS)

test-ledger: install ## tests that need PostgreSQL alone; KEEP=1 leaves it up for the next run
	ISSUANCE_TEST_KEEP=$(KEEP) $(PYTEST) -m "not slow" tests/ledger $(ARGS)

test-stack: install ## tests on Kafka, PostgreSQL, S3 and the registry; KEEP=1 leaves them up
	ISSUANCE_TEST_KEEP=$(KEEP) $(PYTEST) -m "not slow" tests/stack $(ARGS)

test-demo: install ## the demo through Airflow
	$(PYTEST) -m "not slow" tests/demo $(ARGS)

test-slow: install ## what takes minutes: run by hand before a change is called done
	$(PYTEST) -m slow $(ARGS)

test-down: $(BIN)/issuance ## stop what KEEP=1 left running
	$(BIN)/python tests/stop_kept.py

check: install ## style, types, one-way arrows, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict issuance
	$(BIN)/lint-imports
	$(BIN)/python -m issuance.docpages --check

fix: install ## let ruff put right what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write every generated page anew
	$(BIN)/python -m issuance.docpages

fuzz: install ## hostile messages of every partner on a stack of its own; ARGS="--messages 20000 --seed 7"
	PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

bench: $(BIN)/issuance ## a measurement: WHAT=intake ARGS="--rows 200000"
	$(BIN)/python -m bench.$(or $(WHAT),journal) $(ARGS)

java-bank: install ## build the sample client in Java
	examples/java-bank/build
