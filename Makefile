# samscope: two commands do everything on a fresh machine: `make demo` and `make test`.
# Each makes its own .venv from pyproject.toml and constraints.txt; nothing else is needed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHARED_DATA ?= ../shared/data
RUNS   ?= runs
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$(( n < 4 ? n : 4 )))

.PHONY: help demo test test-long lint format audit shared-data tiny tiny_s clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

# Two stamps, so that the demo does not wait for the test tools.
$(VENV)/runtime.stamp: pyproject.toml constraints.txt
	@echo "installing samscope into $(VENV): about 7 GB (torch), some minutes ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@start=$$(date +%s); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . && \
	echo "installed in $$(( $$(date +%s) - start )) s" && touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	@start=$$(date +%s); \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
	echo "test tools installed in $$(( $$(date +%s) - start )) s" && touch $@

demo: $(VENV)/runtime.stamp  ## the main job on the embedded phantoms, start to report
	@start=$$(date +%s); $(BIN)/samscope demo --out demo && \
	echo "make demo took $$(( $$(date +%s) - start )) s without the installation"

# Bytecode is kept even where the environment says otherwise: a hundred processes begin in a test
# run, and each would compile the same modules.
test: $(VENV)/dev.stamp  ## the whole suite, 10 to 14 minutes on 2 cores
	@start=$$(date +%s); PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m 'not long' -n $(WORKERS) --no-loadscope-reorder --durations=10 && \
	echo "make test took $$(( $$(date +%s) - start )) s without the installation"

test-long: $(VENV)/dev.stamp  ## tests that take minutes each (randomly initialised vit_b and the like)
	$(BIN)/python -m pytest -m long --timeout 3600

lint: $(VENV)/dev.stamp  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp  ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit:  ## look up the pinned versions in the advisory database (needs the internet, its own .venv-audit)
	@test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --timeout 15 --progress-spinner off

shared-data: $(VENV)/runtime.stamp  ## ingest every source of SHARED_DATA and run studies/shared_data.yaml on it
	@start=$$(date +%s); code=0; \
	for recipe in engine/collection/recipes/*.yaml; do \
	  name=$$(basename $$recipe .yaml); \
	  if [ -d "$(SHARED_DATA)/$$name" ]; then \
	    $(BIN)/samscope ingest $$name "$(SHARED_DATA)/$$name" --out $(RUNS)/shared_data.zarr || code=$$?; \
	    if [ $$code -ge 2 ]; then exit $$code; fi; \
	  fi; \
	done; \
	$(BIN)/samscope evaluate studies/shared_data.yaml --collection $(RUNS)/shared_data.zarr --out $(RUNS)/shared_data || code=$$?; \
	if [ $$code -ge 2 ]; then exit $$code; fi; \
	$(BIN)/samscope report $(RUNS)/shared_data; \
	echo "make shared-data took $$(( $$(date +%s) - start )) s without the installation"; exit $$code

$(RUNS)/phantoms_train/made.stamp: $(VENV)/runtime.stamp
	$(BIN)/samscope phantoms --split train --subjects 80 --out $(RUNS)/phantoms_train && touch $@

tiny tiny_s: $(RUNS)/phantoms_train/made.stamp  ## train the model of this name anew, on phantoms
	$(BIN)/samscope train studies/training/$@.yaml \
	  --collection $(RUNS)/phantoms_train/collection.zarr --out $(RUNS)/$@ --workers $(WORKERS)
	@echo "to ship it: cp $(RUNS)/$@/$@.safetensors engine/models/trained/"

clean:  ## remove what demo and tests leave; keeps .venv
	rm -rf demo build .mypy_cache .ruff_cache .hypothesis
