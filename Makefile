# One verb each. `make install` needs Python 3.11 to 3.13 and nothing else; the rest needs `make install`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
UV ?= $(shell uv --version >/dev/null 2>&1 && echo uv || echo .uv/bin/uv)
BIN := .venv/bin

.PHONY: install demo test check up down bench java-bank

install: $(if $(filter uv,$(UV)),,.uv/bin/uv)
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it: make install PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(UV) sync --frozen --all-extras --python "$(PYTHON)"

# uv in a private venv, where the machine has none.
.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it: make install PYTHON=/path/to/python3.12" >&2; exit 2; }
	@"$(PYTHON)" -m venv .uv || { rm -rf .uv; echo "$(PYTHON) cannot make a venv: install its venv package (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(BIN)/%:
	@echo "$@ is missing: run 'make install' first" >&2; exit 2

demo: install
	$(BIN)/issuance demo $(ARGS)

up: install
	$(BIN)/issuance stack up $(ARGS)

down: $(BIN)/issuance
	$(BIN)/issuance stack down

bench: $(BIN)/issuance
	$(BIN)/python -m bench.$(or $(WHAT),journal) $(ARGS)

java-bank: install
	examples/java-bank/build

# Two processes, each with a stack of its own; a file's tests stay together.
test: install
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict issuance
	$(BIN)/lint-imports
