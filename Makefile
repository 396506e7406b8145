# `make help` lists the targets. Any target that needs the environment makes it first.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench bench-crf bench-coverage clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## create the environment and install everything into it; a second call does nothing

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "error: $$($(PYTHON) --version) will not do: make PYTHON=/path/to/python3.10..3.13"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
	  { echo "error: no environment could be made; on Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV); torch is large, this takes minutes"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[reference]' \
	  || echo "pydensecrf could not be built (no C++ compiler?): all works but crf.engine=pydensecrf and its tests"
	@touch $@

demo: setup ## train and score a small network on generated images, about 4 minutes on two cores
	$(RUN) -m src.train data=shapes backbone=resnet18 backbone.weights=none recipe=demo crf=deeplabv2 name=demo \
	  $(if $(wildcard runs/demo/last.ckpt),resume=last) $(ARGS)

test: setup lint ## all tests, linters and type checks
	$(RUN) -m pytest -n 2 --dist loadfile $(ARGS)

lint: setup ## style, format and types
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/mypy

bench: setup ## step and start-up times beside torchvision and segmentation_models.pytorch
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(RUN) -m benchmarks.step_time $(ARGS)

bench-crf: setup ## the dense CRF beside pydensecrf, on real images from SEGLAB_SAMPLE
	$(RUN) -m benchmarks.crf $(ARGS)

bench-coverage: setup ## how often the tables' intervals hold the truth, by simulation
	$(RUN) -m benchmarks.coverage $(ARGS)

clean: ## remove the environment and caches; data and runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info src/crf/__pycache__
