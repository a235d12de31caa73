# Two commands: `make demo` runs a whole study on small real models, `make test` checks everything. Both make their own
# environment in .venv from a bare Python 3.11 and work in any order, any number of times.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SNAKEMAKE := $(BIN)/snakemake
# Small models answer faster than their libraries are imported: nodes are forks of one process that has imported them.
WARM := CASCADE_EQUIVALENCE_WARM=1
DEMO := --configfile config/demo.yaml --profile profiles/demo
EMBEDDED := --configfile config/embedded.yaml --profile profiles/demo

.PHONY: help demo test test-long lint format types unit workflow end-to-end slurm report embedded benchmark config clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch first and by itself: a plain requirement set may otherwise prefer a newer build with gigabytes of CUDA packages.
$(VENV)/.run: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages of requirements/run.txt into $(VENV) (once, some minutes)"
	@$(PIP) install --quiet "$$(grep '^torch==' requirements/run.txt)"
	@$(PIP) install --quiet --requirement requirements/run.txt
	@$(PIP) install --quiet --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the pinned packages of requirements/dev.txt into $(VENV)"
	@$(PIP) install --quiet --requirement requirements/run.txt --requirement requirements/dev.txt
	@touch $@

# Beside the environment: see the file.
$(VENV)/.slurm: $(VENV)/.dev requirements/slurm.txt
	@echo "Installing the pinned packages of requirements/slurm.txt into $(VENV)/slurm"
	@$(PIP) install --quiet --no-deps --upgrade --target $(VENV)/slurm --requirement requirements/slurm.txt
	@touch $@

demo: $(VENV)/.run ## Run the whole study on small real models (minutes; two cores; no GPU)
	@$(BIN)/python -m cascade_equivalence.dag.lock
	@$(WARM) $(SNAKEMAKE) $(DEMO)
	@$(BIN)/cascade-equivalence show config/demo.yaml

embedded: $(VENV)/.run ## The same models on the real texts (hours; name their folder with DATA=...)
	@$(BIN)/python -m cascade_equivalence.dag.lock
	@$(WARM) $(SNAKEMAKE) $(EMBEDDED) $(if $(DATA),--config items='{"folder": "$(DATA)"}')
	@$(BIN)/cascade-equivalence show config/embedded.yaml

report: $(VENV)/.run ## Snakemake's own report of the demo (fetches its viewer's packages from the network)
	@$(SNAKEMAKE) $(DEMO) --report results/demo/snakemake-report.html

test: lint types unit workflow end-to-end slurm ## Lint, types, unit, workflow, end-to-end and SLURM tests

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	@$(SNAKEMAKE) --lint --configfile config/demo.yaml
	@$(BIN)/cascade-equivalence check config/*.yaml

types: $(VENV)/.dev
	@$(BIN)/mypy

unit: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/unit

workflow: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/workflow

end-to-end: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/end_to_end

slurm: $(VENV)/.slurm ## Tests on a real SLURM on this machine (root, slurm-wlm and munge; skips elsewhere)
	@$(BIN)/python -m pytest -rs tests/slurm

test-long: $(VENV)/.slurm ## The long forms of the tests as well (kill tests: 20 and more kills)
	@$(BIN)/python -m pytest tests --long

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/snakefmt Snakefile workflow/rules

config: $(VENV)/.run ## Write the JSON schema and the documented defaults of the config
	@$(BIN)/cascade-equivalence schema config

benchmark: $(VENV)/.dev ## Time our path against the loop a user would write
	@$(BIN)/python benchmarks/transcribe_and_answer.py

clean: ## Remove the environment and the demo's results (downloads stay in the cache)
	@rm -rf $(VENV) results/demo
