# `make demo` and `make test` need Python >= 3.11 and the network (PyPI), nothing else:
# uv is taken from the PATH or installed into .uv, and brings the rest into .venv.

export OMP_NUM_THREADS ?= 2
# uv leaves that out, and every process that imports torch would do it again
export UV_COMPILE_BYTECODE ?= 1

UV := $(shell command -v uv || echo .uv/bin/uv)
RUN = $(UV) run --frozen

.PHONY: demo test test-fast test-browser test-viewer test-slurm test-grid test-kills paper bench bench-gpu lint typecheck format wheel-check

demo: $(UV)
	$(RUN) --no-dev nnsparse_demo

test: $(UV)
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto --dist worksteal

test-fast: $(UV)
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto --dist worksteal -m "not slow"

# the page of reports in a real browser; needs Debian's packages chromium and chromium-driver
test-browser: $(UV)
	$(RUN) pytest tests/browser

# the window for annotators in a virtual display; needs the Debian packages named in CONTRIBUTING.md
test-viewer: $(UV)
	NNSPARSE_VIEWER=1 OMP_NUM_THREADS=1 $(RUN) --extra annotate pytest tests/viewer

# grids on a real SLURM of one node; needs root, and Debian's packages slurm-wlm and munge
test-slurm: $(UV)
	NNSPARSE_SLURM=1 $(RUN) pytest tests/slurm

# experiments that are killed again and again, and one from end to end; about half an hour
KILLS ?= 20
test-grid: $(UV)
	OMP_NUM_THREADS=1 NNSPARSE_KILLS=$(KILLS) NNSPARSE_QUICK=1 $(RUN) pytest tests/grid/test_workflow.py

# the whole paper on miniatures of its data sets, by the commands; goes on where it was stopped, and
# leaves figures and tables in PAPER/paper/report
PAPER ?= nnsparse_paper

paper: $(UV)
	OMP_NUM_THREADS=1 NNSPARSE_PAPER=$(PAPER) $(RUN) pytest -s tests/paper/test_miniature.py

# every command that publishes, ended at each of its changes of files in four ways; over an hour
test-kills: $(UV)
	OMP_NUM_THREADS=1 NNSPARSE_EVERY_CHANGE=1 $(RUN) pytest -n auto --dist worksteal tests/system/test_kills.py \
		tests/annotate/test_kills_while_annotating.py

# BENCH_DATA=DATA/Dataset004_Hippocampus measures real data as well; hours on a CPU, and it goes on
# where it was stopped
BENCH ?= nnsparse_bench
BENCH_DATA ?=

bench: $(UV)
	$(RUN) python benchmarks/preprocessing.py -o $(BENCH)/preprocessing $(if $(BENCH_DATA),--data $(BENCH_DATA))
	$(RUN) python benchmarks/loader.py -o $(BENCH)/loader --data phantom:organ $(BENCH_DATA)
	$(RUN) python benchmarks/affinity.py
	$(RUN) python benchmarks/cover.py
	$(RUN) python benchmarks/probe_features.py -o $(BENCH)/selection --data phantom:lesion $(BENCH_DATA)
	$(RUN) python benchmarks/slice_coverage.py -o $(BENCH)/selection --data phantom:lesion $(BENCH_DATA)
	$(RUN) python benchmarks/phantom_difficulty.py --output $(BENCH)/phantom_difficulty.md
	$(RUN) python benchmarks/ablation.py -o $(BENCH)/ablation --jobs 2 \
		--data phantom:organ $(BENCH_DATA)
	$(RUN) python benchmarks/compare_selectors.py -o $(BENCH)/selectors --jobs 2 \
		--data $(or $(BENCH_DATA),phantom:organ)

# nine minutes of one large GPU with 16 cores
bench-gpu: $(UV)
	$(RUN) python benchmarks/gpu.py -o $(BENCH)/gpu

lint: $(UV)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) .ci/check_imports

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
