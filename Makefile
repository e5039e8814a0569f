# The two commands of the README. Each sets up the virtual environment it needs.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo test clean

demo: .venv/installed
	$(BIN)/python -m data_prep.simulate --name=sim --data_dir=data
	$(BIN)/python -m refinevad_jax.main --config=configs/demo.py --workdir=$(DEMO)
	$(BIN)/python -m refinevad_jax.evaluate --workdir=$(DEMO)
	@echo "simulated data, so the numbers above say nothing about real video; look at $(DEMO)/eval/sim-test-best/"

test: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

.venv/installed: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -r requirements.txt
	touch $@

.venv/installed-dev: requirements.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $@ .venv/installed

clean:
	rm -rf .venv runs data .pytest_cache .mypy_cache .ruff_cache
