# `make help` lists the targets. Any target that needs the environment makes it first.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
ARGS ?=
comma := ,

.DEFAULT_GOAL := help
.PHONY: help setup demo tables tables-demo tables-sample tables-part tables-voc2012 test test-only test-pythons lint reference bench bench-crf bench-coverage bench-classes bench-report test-slow clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make the environment and install everything into it; a second call does nothing

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "error: $$($(PYTHON) --version) is not supported; use: make PYTHON=/path/to/python3.10..3.13"; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || \
	  { echo "error: cannot make an environment; on Debian and Ubuntu: apt install python3-venv"; rm -f $(RUN); exit 1; }
	@echo "installing into $(VENV); torch is large, this takes minutes"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[reference]' \
	  || echo "pydensecrf could not be built (no C++ compiler?); only crf.engine=pydensecrf and its tests need it"
	@touch $@

demo: setup ## train and score a small network on generated images, and report on it: two minutes on two cores
	$(RUN) -m src.train data=shapes backbone=resnet18 backbone.weights=none recipe=demo crf=deeplabv2 name=demo $(ARGS)
	$(RUN) -m src.report runs=runs/demo title=demo baseline=none question="What does a dense CRF change, on generated images?"

# Small enough for 25 minutes on two cores: random weights, small crops, few epochs.
DATA ?= demo
SEGLAB_SAMPLE ?= ../shared/data/voc2012_sample
JITTER := $(foreach key,brightness=0.2 contrast=0.2 saturation=0.2 hue=0.02,recipe.augment.jitter.$(key))
tables-demo: OPTIONS := data=shapes recipe=demo backbone.weights=none recipe.epochs=8 recipe.val_every=4 \
  recipe.augment.crop=96 'recipe.augment.scale=[0.75,1.5]' $(JITTER) jobs=2
tables-voc2012: OPTIONS := data=voc2012 recipe=deeplab
INTO := insert=experiments/README.md
TABLES = set -e; $(foreach table,$(1),$(RUN) -m src.train table=$(table) $(2) $(OPTIONS) $(ARGS) || status=1; \
  $(RUN) -m src.report table=$(table) $(2) $(OPTIONS) $(ARGS) $(3) > /dev/null;) exit $${status:-0}

tables: tables-$(DATA) ## make what is missing of the tables in experiments/: DATA=demo (default), sample, part or voc2012

tables-demo: setup
	@$(call TABLES,losses crf_fusion,backbone=resnet18,)
	@$(call TABLES,backbones,backbone=resnet18$(comma)resnet50,baseline=resnet18)

tables-voc2012: setup
	@$(call TABLES,losses crf_fusion backbones,,)

tables-sample: setup
	$(RUN) -m src.evaluate logits=$(SEGLAB_SAMPLE)/logits_espnetv2 data.root=$(SEGLAB_SAMPLE) variants=crf_fusion \
	  output=runs/sample-crf_fusion $(ARGS)
	$(RUN) -m src.evaluate logits=$(SEGLAB_SAMPLE)/logits_espnetv2 data.root=$(SEGLAB_SAMPLE) variants=report2024 \
	  output=runs/sample-report2024 $(ARGS)
	$(RUN) -m src.report runs=runs/sample-crf_fusion title=crf_fusion-sample baseline=none $(INTO) \
	  question="Which dense CRF, guidance image and fusion rule help a network that is not ours?"
	$(RUN) -m src.report runs=runs/sample-report2024 title=report2024-sample baseline=none $(INTO) \
	  question="Do the claims of the 2024 report hold, scored against the ground truth?"

# A part of VOC2012 in its own layout, with logits of another network, and ImageNet weights of EfficientNet-Lite0 and Lite2.
SEGLAB_PART ?= ../shared/data/voc2012_part
SEGLAB_LITE ?= data/weights
PART := data.root=$(SEGLAB_PART) data.expected=null data.train_list=train_aug
LITE = backbone=timm backbone.model=tf_efficientnet_lite$(1) backbone.weights=$(2)
LITE0 := $(call LITE,0,$(SEGLAB_LITE)/tf_efficientnet_lite0.pth) recipe=adam_poly
# A decoder of separable convolutions, small crops and few epochs: trainings that two cores can do.
SMALL := head=smp head.arch=DeepLabV3Plus head.output_stride=16 recipe=adam_poly recipe.epochs=5 recipe.batch_size=8 \
  recipe.augment.crop=192 trainer.channels_last=true
OWN := runs=runs/part panels=0
KEEP = title=$(1)-part records=experiments/results/$(1) $(INTO)
PLAIN := runs/part/voc_animals-*-deeplabv3plus-cross_entropy-adam_poly-seed*/config.yaml
tables-part: setup
	$(RUN) -m src.evaluate logits=$(SEGLAB_PART)/logits_deeplabv3_mnv2 data=voc2012 $(PART) variants=report2024 \
	  output=runs/part/deeplabv3_mnv2-report2024 panels=0 $(ARGS)
	$(RUN) -m src.report runs=runs/part/deeplabv3_mnv2-report2024 baseline=none $(call KEEP,report2024) \
	  question="Do the claims of the 2024 report hold for a DeepLabV3, scored against the ground truth?"
	$(RUN) -m src.evaluate logits=$(SEGLAB_PART)/logits_deeplabv3_mnv2 data=voc2012 $(PART) variants=crf_fusion \
	  output=runs/part/deeplabv3_mnv2-crf_fusion panels=0 $(ARGS)
	$(RUN) -m src.report runs=runs/part/deeplabv3_mnv2-crf_fusion baseline=none $(call KEEP,crf_fusion) \
	  question="Which dense CRF, guidance image and fusion rule help a DeepLabV3?"
	$(RUN) -m src.train table=losses data=voc_animals $(PART) $(LITE0) $(OWN) $(ARGS)
	$(RUN) -m src.report table=losses data=voc_animals $(PART) $(LITE0) $(OWN) $(call KEEP,losses)
	$(RUN) -m src.train table=crf_fusion data=voc_animals $(PART) $(LITE0) $(OWN) $(ARGS)
	$(RUN) -m src.report table=crf_fusion data=voc_animals $(PART) $(LITE0) $(OWN) $(call KEEP,crf_fusion_own) \
	  question="Is it the same for networks trained on 1,042 images?"
	$(RUN) -m src.train -m seed=1,2,3 data=voc_animals $(PART) $(call LITE,0,none) recipe=adam_poly recipe.optimizer.lr=3e-3 \
	  recipe.new_layers_lr_factor=1 recipe.augment.crop=257 variants=none $(OWN) $(ARGS)
	$(RUN) -m src.train data=voc2012 $(PART) $(LITE0) seed=1 variants=none $(OWN) $(ARGS)
	$(RUN) -m src.report "runs=$$(ls -d runs/part/voc2012-*-seed1-*)" $(call KEEP,voc21)
	$(RUN) -m src.report "runs=$$( (grep -L 'weights: none' $(PLAIN); grep -l 'weights: none' $(PLAIN)) | xargs -n 1 dirname | paste -sd, -)" \
	  $(call KEEP,backbones) question="What do ImageNet weights bring?" names="[Lite0 with ImageNet weights, Lite0 from random weights]"
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[smp]'
	$(RUN) -m src.train -m backbone.model=tf_efficientnet_lite0,tf_efficientnet_lite2 seed=1,2,3 data=voc_animals $(PART) backbone=timm \
	  'backbone.weights=$(SEGLAB_LITE)/$${backbone.model}.pth' $(SMALL) variants=none $(OWN) jobs=2 $(ARGS)
	$(RUN) -m src.report "runs=$$(ls -d runs/part/voc_animals-tf_efficientnet_lite?-smp-*/ | paste -sd, -)" $(call KEEP,encoders) \
	  question="Does a larger encoder help, in trainings that two cores can do?" names="[Lite0, Lite2]"

test: setup ## all tests, linters and type checks
	@$(MAKE) --no-print-directory -j2 lint test-only

test-only: setup ## all tests, without linters
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# pyenv puts a shim for every version on the PATH, but only the chosen versions start: so each candidate must answer.
PYENV_ROOT ?= $(HOME)/.pyenv
test-pythons: ## all tests on each of Python 3.10 to 3.13 that is found (PATH, pyenv), each in its .venv-3.X
	@results=; for version in 3.10 3.11 3.12 3.13; do \
	  found=; \
	  for python in python$$version "$(PYENV_ROOT)"/versions/$$version*/bin/python; do \
	    answer=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null); \
	    if test "$$answer" = $$version; then found=$$python; break; fi; \
	  done; \
	  if test -z "$$found"; then result="not found"; \
	  elif $(MAKE) --no-print-directory test-only PYTHON="$$found" VENV=.venv-$$version; then result=passed; \
	  else result=failed; fi; \
	  results="$$results$$version $$result;"; \
	done; \
	printf '%s' "$$results" | tr ';' '\n'; \
	case "$$results" in *failed*) exit 1;; *passed*) ;; *) exit 1;; esac

lint: setup ## style, format, types, and which room may import which
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }

reference: setup ## write docs/reference.md from the comments in conf/
	$(RUN) docs/reference.py

bench: setup ## one table of all ratios to torchvision and others: input, step, scoring, memory, start
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(RUN) -m benchmarks $(ARGS)

bench-crf: setup ## compare the dense CRF with pydensecrf, on real images from SEGLAB_SAMPLE
	$(RUN) -m benchmarks.crf $(ARGS)
	$(RUN) -m benchmarks.crf_compile
	$(RUN) -m benchmarks.crf_gpu $(SEGLAB_SAMPLE)

bench-coverage: setup ## count how often verdicts and intervals are right where the truth is known (minutes)
	$(RUN) -m benchmarks.coverage $(ARGS)

bench-classes: setup ## measure what scoring an image costs for 21 and for 150 classes
	$(RUN) -m benchmarks.many_classes $(ARGS)

bench-report: setup ## measure how long a report takes on counts of all of VOC2012 val
	$(RUN) -m benchmarks.report $(ARGS)

test-slow: setup ## tests that take minutes: submitit's local executor and a local Ray, the page (installs all three), two processes on images
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[slurm,ray,page]'
	$(RUN) -m pytest -m slow $(ARGS)

clean: ## remove the environments and caches; data and runs stay
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info src/crf/cpu/__pycache__
