# Everything sets itself up: a virtual environment in .venv, with the library installed from this folder.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint bench objects clean

demo: $(VENV)/.demo  ## run the main job: check, rewrite, load, run, read and write
	@$(BIN)/python samples/quickstart/quickstart.py

test: $(VENV)/.dev  ## run all tests; those that need the kernel say why where it cannot serve
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(VENV)/.dev  ## measure every claim about speed, each as a ratio in one run
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

objects: $(VENV)/.dev  ## rebuild the committed objects; needs clang, llvm-strip, bpftool and the headers of libbpf
	$(MAKE) -C tests/testdata
	$(MAKE) -C tests/testdata/corpus PYTHON=$(abspath $(BIN)/python)
	$(MAKE) -C samples

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
