# One command for each thing. The environment is built by the first command that needs it, and
# again when pyproject.toml, constraints.txt or the sources in C change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Processes of tests. A file's tests stay together, because they share what is dear to make;
# tests/conftest.py puts the longest files first.
PROCESSES ?= 2
# Bytecode is kept even where the surroundings forbid it: to compile everything again in each of the
# hundred processes that the tests start takes longer than what is tested there.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n $(PROCESSES) --dist loadfile --no-loadscope-reorder \
	--durations=30

.PHONY: setup produce dashboard up status down doctor test quick check lint types docs api clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Build the environment in .venv

$(READY): pyproject.toml constraints.txt setup.py $(wildcard notagen/csrc/* scoregate/csrc/*)
	@echo "Building the environment in $(VENV) (a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

produce: $(READY) ## Produce four Bach chorales with the embedded model
	@$(BIN)/scoregate produce --style 'Baroque/Bach, Johann Sebastian/Choral' --count 4

dashboard: $(READY) ## Open the review dashboard; produce a few pieces first if there are none
	@test -d out/archive || $(BIN)/scoregate produce --count 16 --rounds 1 --seed 5 --no-repair-lines || true
	@$(BIN)/scoregate dashboard

up: $(READY) ## Start server, worker, dashboard and schedules on this machine
	@$(BIN)/scoregate up

status: $(READY) ## Say which of them run
	@$(BIN)/scoregate status

down: $(READY) ## Stop what `make up` has started
	@$(BIN)/scoregate down

doctor: $(READY) ## Check everything that a production needs
	@$(BIN)/scoregate doctor

test: $(READY) ## Run every test
	@$(PYTEST)

quick: $(READY) ## Run the quick tests (a minute or two)
	@$(PYTEST) -m 'not slow and not server'

lint: $(READY) ## Check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## Check types
	@$(BIN)/python tools/link_package.py && $(BIN)/pyright

check: lint types test ## Lint, types and tests: what a change must pass

docs: $(READY) ## Write the generated parts of docs/ anew
	@$(BIN)/python tools/write_cli_reference.py
	@$(BIN)/python tools/draw_rooms.py

api: $(READY) ## Write the API reference into build/api
	@$(BIN)/python tools/link_package.py && $(BIN)/python tools/write_api.py

clean: ## Remove the environment and everything built
	rm -rf $(VENV) build dist scoregate.egg-info notagen/_kernels*.so scoregate/_loops*.so
