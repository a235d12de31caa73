# Two commands: `make demo` runs a whole study on small real models, `make test` checks everything; `make first` is a first
# look. Each makes its own environment in .venv from a bare Python 3.11, and they work in any order, any number of times.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCKED := $(PIP) install --quiet --no-deps --require-hashes --requirement
SNAKEMAKE := $(BIN)/snakemake
# Small models answer faster than their libraries are imported: nodes are forks of one process that has imported them.
WARM := CASCADE_EQUIVALENCE_WARM=1
# A line a stage while it runs; what Snakemake says of each job is in its log.
SHOWN := CASCADE_EQUIVALENCE_SHOW=stages
FIRST := --configfile config/first.yaml --profile profiles/demo
DEMO := --configfile config/demo.yaml --profile profiles/demo
EMBEDDED := --configfile config/embedded.yaml --profile profiles/demo
# A process for each core, four at most: each holds torch. Tests of one file share what they set up and stay together.
TOGETHER := --numprocesses logical --maxprocesses 4 --dist loadfile
# Each Snakemake takes two cores and leaves one idle for much of its time.
OF_STUDIES := $(TOGETHER) --maxprocesses 2
# What two parts of the tests say at once comes apart, where this make can do so.
APART := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help first demo check test test-long lint format types unit studies workflow end-to-end slurm report embedded locks benchmark config clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# From the locks: no package that they do not name, no file whose hash they do not have. The build of torch for processors
# only saves gigabytes; an index that has none of it gives its own, which on Linux asks for the packages of cuda.txt.
$(VENV)/.run: requirements/locks/cpu.txt requirements/locks/run.txt requirements/locks/cuda.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c "import sys; sys.version_info[:2] == (3, 11) or sys.exit('The locks are for Python 3.11: name one with PYTHON=..., and remove $(VENV)')"
	@echo "Installing the packages of requirements/locks/run.txt into $(VENV) (once, some minutes)"
	@$(LOCKED) requirements/locks/cpu.txt 2>/dev/null || echo "No build of torch for processors only, or another than the lock names: taking the package index's own"
	@$(LOCKED) requirements/locks/run.txt
	@$(BIN)/python -c "import sys, importlib.metadata as m; sys.exit('+' not in m.version('torch'))" || $(LOCKED) requirements/locks/cuda.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/locks/dev.txt
	@echo "Installing the packages of requirements/locks/dev.txt into $(VENV)"
	@$(LOCKED) requirements/locks/dev.txt
	@touch $@

# Beside the environment: see the file of its pins.
$(VENV)/.slurm: $(VENV)/.dev requirements/locks/slurm.txt
	@echo "Installing the packages of requirements/locks/slurm.txt into $(VENV)/slurm"
	@$(LOCKED) requirements/locks/slurm.txt --upgrade --target $(VENV)/slurm
	@touch $@

first: $(VENV)/.run ## A first look: one task, one speech LLM, its cascade (minutes; two cores; no GPU)
	@$(WARM) $(SHOWN) $(SNAKEMAKE) $(FIRST)
	@$(BIN)/cascade-equivalence show config/first.yaml

demo: $(VENV)/.run ## Run the whole study on small real models (minutes; two cores; no GPU)
	@$(WARM) $(SHOWN) $(SNAKEMAKE) $(DEMO)
	@$(BIN)/cascade-equivalence show config/demo.yaml

embedded: $(VENV)/.run ## The same models on the real texts (hours; name their folder with DATA=...)
	@$(WARM) $(SHOWN) $(SNAKEMAKE) $(EMBEDDED) $(if $(DATA),--config items='{"folder": "$(DATA)"}')
	@$(BIN)/cascade-equivalence show config/embedded.yaml

report: $(VENV)/.run ## Snakemake's own report of the demo (fetches its viewer's packages from the network)
	@$(SNAKEMAKE) $(DEMO) --report results/demo/snakemake-report.html

check: lint types ## Lint, types and the quick unit tests: config, plugins, tasks, statistics (a minute)
	@$(BIN)/python -m pytest $(TOGETHER) $(foreach part,conditions config* conformance_tasks plugins registry* stats_* tasks_*,$(wildcard tests/unit/test_$(part).py))

# SLURM's tests wait for most of their time: the others run beside them. All are run, whatever fails.
test: ## Lint, types, unit, workflow, end-to-end and SLURM tests
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(APART) slurm lint types unit studies

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/snakefmt --check workflow
	@$(BIN)/lint-imports --no-logo --no-cache > /dev/null || $(BIN)/lint-imports --no-logo --no-cache
	@$(SNAKEMAKE) --lint --configfile config/demo.yaml
	@$(BIN)/cascade-equivalence check --elsewhere config/*.yaml

types: $(VENV)/.dev
	@$(BIN)/mypy

unit: $(VENV)/.dev
	@$(BIN)/python -m pytest $(TOGETHER) tests/unit

# In one run: both start from the same finished study, which takes a minute to make.
studies: $(VENV)/.dev
	@$(BIN)/python -m pytest $(OF_STUDIES) tests/workflow tests/end_to_end

workflow end-to-end: $(VENV)/.dev
	@$(BIN)/python -m pytest $(OF_STUDIES) tests/$(subst -,_,$@)

# Each of its files has a cluster of its own.
slurm: $(VENV)/.slurm ## Tests on a real SLURM on this machine (root, slurm-wlm and munge; skips elsewhere)
	@$(BIN)/python -m pytest -rs --numprocesses 3 --dist loadfile tests/slurm

test-long: $(VENV)/.slurm ## The long forms of the tests as well (kill tests: 20 and more kills)
	@$(BIN)/python -m pytest tests --long

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/snakefmt workflow

config: $(VENV)/.run ## Write the JSON schema and the documented defaults of the config
	@$(BIN)/cascade-equivalence schema config

locks: $(VENV)/.dev ## Resolve the pins of requirements/ anew: writes requirements/locks and envs (asks the package index)
	@$(BIN)/cascade-equivalence lock

benchmark: $(VENV)/.dev ## Time what has a goal, each against what a user would otherwise use (18 minutes)
	@$(BIN)/python benchmarks/goals.py

clean: ## Remove the environment and the results of `first` and `demo` (downloads stay in the cache)
	@rm -rf $(VENV) results/demo results/first
