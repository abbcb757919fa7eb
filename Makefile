# Every target sets up what it needs in a virtual environment of the project's own.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
READY_FOR_DOCS = $(VENV)/.ready-for-docs
# Such as: make bench BENCH="--only echo,store --rounds 1"
BENCH =
# On every processor; the tests of one file share what they start.
PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile
TESTS = tests --ignore=tests/interop

.PHONY: demo test lint interop bench examples docs clean

demo: $(READY)
	$(BIN)/dicomio demo

test: $(READY)
	$(PYTEST) $(TESTS)

# Peers leave a processor idle now and then.
interop: $(READY)
	$(PYTEST) -n $$(($$(nproc) + 1)) tests/interop

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Without a line of make's own before what is printed, which may be JSON.
bench: $(READY)
	@$(BIN)/python -m benchmarks $(BENCH)

examples: $(READY)
	$(PYTEST) tests/examples

# Warnings are errors; with --quiet they would not even be counted. The variable silences an advertisement of the theme.
docs: $(READY_FOR_DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dicomio needs Python 3.11 or newer: make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable '.[archive]'
	touch $@

$(READY_FOR_DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --group docs
	touch $@
