# make demo, make test, ... need Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Arguments for the demo, pytest or the benchmark: make test ARGS="-k dropout"
ARGS ?=

# The cache of compiled kernels is the suite's own, and stays warm between runs.
PYTEST := NBNET_CACHE_DIR="$(CURDIR)/$(VENV)/cache/nbnet" NUMBA_CACHE_DIR="$(CURDIR)/$(VENV)/cache/numba" \
	$(BIN)/python -m pytest

.PHONY: demo test test-slow test-checked test-benchmarks mutate fuzz lint bench clean

demo: $(VENV)/.installed-plot
	$(BIN)/python examples/demo.py $(ARGS)

test: $(VENV)/.installed-test
	$(PYTEST) $(ARGS)

# pytest answers 5 when no test is marked slow.
test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ]

# Kernels with bounds checks, memory between red zones: nbnet/engine/README.md, Checked kernels.
CHECKED := tests/ops tests/layers
test-checked: $(VENV)/.installed-test
	NBNET_CHECK=1 $(PYTEST) $(CHECKED) $(ARGS)

test-benchmarks: $(VENV)/.installed-test
	$(PYTEST) -m benchmark tests/benchmarks $(ARGS)

# Change files and load them: --count 20000 --seed 1.
mutate: $(VENV)/.installed-test
	NBNET_CACHE_DIR="$(CURDIR)/$(VENV)/cache/nbnet" $(BIN)/python -m tests.security.mutation $(ARGS)

# Fuzz what reads files and sparse matrices: --seconds 60 --target csr.
fuzz: $(VENV)/.installed-dev
	NBNET_CACHE_DIR="$(CURDIR)/$(VENV)/cache/nbnet" $(BIN)/python -m tests.security.fuzz $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-plot
	$(BIN)/python -m benchmarks.train $(ARGS)

clean:
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamp files: written only when the step succeeded, so that an interrupted one is done again.
$(VENV)/.created:
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
