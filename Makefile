# Sweeper's commands. Everything happens in .venv: nothing outside this folder is written, pip's cache apart.
# Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# A local sweep sends nothing to anyone.
export RAY_USAGE_STATS_ENABLED := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo setup test test-all lint format bench docs wheel clean

help: ## show this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the demo: a sweep on the embedded digits, its tables and its page
	@$(BIN)/sweeper demo

setup: $(READY) ## make .venv and install Sweeper in it

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -q

test-all: $(READY) ## run the tests, the slow ones and those that need a browser too
	$(BIN)/python -m pytest -q -m "" --hypothesis-profile=new

lint: $(READY) ## check format, style, types, import contracts and SQL files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tests/support/lint_sql.py sweeper analysis

format: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure the speed claims; writes bench/out.jsonl
	$(BIN)/python -m bench

docs: $(READY) ## write the generated pages of docs/ and build the site in build/site
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/agreement.py
	$(BIN)/mkdocs build --strict -q -d build/site

wheel: $(READY) ## build dist/sweeper_stitching-*.whl, which clusters install
	@rm -f dist/sweeper_stitching-*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## remove .venv, caches and built files; keeps runs/
	rm -rf $(VENV) build dist bench/out.jsonl .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again when the dependencies change. The stamp is written last, so a broken install isn't taken for one.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(f"Sweeper needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...") if not (3, 11) <= v <= (3, 13) else None'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) can't make virtual environments: install its venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Sweeper into $(VENV): a few minutes, once" >&2
	@$(BIN)/python -m pip install -qq -e '.[dev]'
	@touch $@
