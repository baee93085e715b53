# `make demo` and `make test` need Python >= 3.11 and the network (PyPI), nothing else:
# uv is taken from the PATH or installed into .uv, and brings the rest into .venv.

export OMP_NUM_THREADS ?= 2

UV := $(shell command -v uv || echo .uv/bin/uv)
RUN = $(UV) run --frozen

.PHONY: demo test test-fast bench lint typecheck format wheel-check

demo: $(UV)
	$(RUN) --no-dev nnsparse_demo

test: $(UV)
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto

test-fast: $(UV)
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto -m "not slow"

bench: $(UV)
	$(RUN) python benchmarks/phantom_difficulty.py

lint: $(UV)
	$(RUN) ruff check
	$(RUN) ruff format --check

typecheck: $(UV)
	$(RUN) mypy

format: $(UV)
	$(RUN) ruff check --fix
	$(RUN) ruff format

wheel-check: $(UV)
	UV=$(abspath $(UV)) .ci/check_wheel

.uv/bin/uv:
	python3 -m venv .uv && .uv/bin/pip install --quiet uv \
	|| python3 -m pip install --quiet --target .uv uv
