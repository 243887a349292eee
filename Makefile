# `make run` and `make test` work on a bare machine with Python 3.11: the first call makes the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A test run shares its cores between workers; threads of their own would only fight.
TEST_ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

.PHONY: run test lint types tests faults format clean

run: $(VENV)/run-ready
	$(BIN)/tinybert run --recipe demo

test: lint types tests

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

tests: $(VENV)/ready
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile

# The long part of tests/faults; the short one is among the tests.
faults: $(VENV)/ready
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m faults tests/faults

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What a run needs; tests, checks and export need more.
$(VENV)/run-ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $(VENV)/run-ready

$(VENV)/ready: $(VENV)/run-ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(VENV)/ready

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
