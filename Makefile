# Two commands do all on a fresh machine: `make lab` and `make test`. They need Python 3.11 or later, and nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help venv lab test lint docs clean translations constraints release-check lowest newest bench-peers
.DEFAULT_GOAL := help

help:
	@echo "make lab           install, then run the course's lab on MNIST"
	@echo "make test          install, then run every test"
	@echo "make lint          ruff, mypy, import-linter"
	@echo "make docs          build the documentation's site into build/site"
	@echo "make venv          install only, into .venv"
	@echo "make translations  bring the catalogues up to date and compile them"
	@echo "make constraints   pin the dependencies anew"
	@echo "make release-check build wheel and sdist, and use the wheel in an empty environment, offline"
	@echo "make lowest        the tests with the lowest versions of the dependencies; make newest: with the newest"
	@echo "make bench-peers   install the peers, each in an environment of its own, and compare speeds"
	@echo "make clean         remove what the above made, but no study"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Neurona needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Say: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv

.venv/installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Neurona into .venv (about a minute)..."
	@$(INSTALL) -e .
	@touch $@

.venv/installed-docs: .venv/installed
	@echo "Installing what the documentation's site needs..."
	@$(INSTALL) -e '.[docs]'
	@touch $@

.venv/installed-tests: .venv/installed
	@echo "Installing what the tests and linters need..."
	@$(INSTALL) -e '.[test,lint]'
	@touch $@

venv: .venv/installed

lab: .venv/installed
	@$(BIN)/neurona lab

test: .venv/installed-tests
	@$(BIN)/python -m pytest -q -n auto --dist worksteal

lint: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "The site is in build/site; look at it with: $(BIN)/mkdocs serve"

translations: .venv/installed-tests
	$(BIN)/python tools/translations.py

constraints: .venv/installed-tests
	$(BIN)/python -m pip freeze --exclude-editable | sed -n 's/^\([A-Za-z0-9._-]*==[^ ;]*\)$$/\1/p' > constraints.txt

.venv/installed-release: .venv/installed
	@$(INSTALL) -e '.[release]'
	@touch $@

release-check: .venv/installed-release
	$(BIN)/python tools/release.py

lowest newest: .venv/installed-release
	$(BIN)/python tools/dependencies.py $@

bench-peers: .venv/installed
	$(BIN)/python benchmarks/peers/run.py --setup
	$(BIN)/python benchmarks/peers/run.py

clean:
	rm -rf .venv .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
