# SPDX-License-Identifier: Apache-2.0
# Each target builds .venv first if it has to; see scripts/bootstrap.py.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# A .venv that is there keeps its Python, unless the caller names another.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(realpath .venv/bin/python),python3)
endif
BAG ?=
VIDEO ?=
MODEL ?=
ARGS ?=

# Traffic stays on this machine, and large messages arrive (docs and reasons: config/fastdds_large_messages.xml).
export FASTDDS_DEFAULT_PROFILES_FILE ?= $(CURDIR)/config/fastdds_large_messages.xml
export FASTRTPS_DEFAULT_PROFILES_FILE ?= $(FASTDDS_DEFAULT_PROFILES_FILE)
ifeq ($(ROS_DISTRO),humble)
export ROS_LOCALHOST_ONLY ?= 1
else
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
endif
export ROS_LOG_DIR ?= $(CURDIR)/log/ros

.PHONY: help demo test test-core test-training test-late bench lint clean venv

help:  ## show this
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: venv  ## play a drive through the node and leave pictures in demo/out (BAG= VIDEO= MODEL= for your own)
	@.venv/bin/python demo/run_demo.py $(if $(BAG),--bag '$(BAG)') $(if $(VIDEO),--video '$(VIDEO)') \
	    $(if $(MODEL),--model '$(MODEL)') $(ARGS)

# What measures time or talks through DDS runs alone; all else two at a time, each on a core of its own.
ALONE := test/ros test/test_demo.py
LATE := test/training/test_[i-z]*.py
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 .venv/bin/python -m pytest --timeout 300 -p pytest_timeout -p _hypothesis_pytestplugin

test: venv  ## check style and types, run every test (ARGS='-k name' for some)
ifeq ($(ARGS),)
	@$(MAKE) --jobs=2 --output-sync lint test-late test-core test-training
	@echo '[test] pytest: $(ALONE)'
	@$(PYTEST) $(ALONE)
else
	@$(MAKE) lint
	@$(PYTEST) $(ARGS)
endif

test-core: venv
	@echo '[test] pytest: all but test/training $(ALONE)'
	@OMP_NUM_THREADS=1 $(PYTEST) --ignore=test/training $(ALONE:%=--ignore=%) test

test-training: venv
	@echo '[test] pytest: test/training but what comes late in it'
	@OMP_NUM_THREADS=1 $(PYTEST) --ignore-glob='$(LATE)' test/training

test-late: venv
	@echo '[test] pytest: $(LATE)'
	@OMP_NUM_THREADS=1 $(PYTEST) $(LATE)

bench: venv  ## measure speed on this machine
	@.venv/bin/python benchmarks/run.py $(ARGS)

lint: venv  ## check style and types
	@echo '[test] ruff: rules, format'
	@.venv/bin/python -m ruff check --quiet .
	@.venv/bin/python -m ruff format --check --quiet . || { echo 'error: run .venv/bin/python -m ruff format .' >&2; exit 1; }
	@echo '[test] mypy: types'
	@.venv/bin/python -m mypy

clean:  ## remove .venv and all that was built or written
	@rm -rf .venv build install log demo/out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@command -v '$(PYTHON)' > /dev/null || { echo "error: $(PYTHON) was not found: install Python 3.10 to 3.13" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	    echo "error: this needs Python 3.10 to 3.13, and $(PYTHON) is $$('$(PYTHON)' -V 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	@'$(PYTHON)' scripts/bootstrap.py
