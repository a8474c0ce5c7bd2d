# Three commands and no more to remember: make demo, make check, make test. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
DEVSTACK := PYTHONPATH=include $(PYTHON) -m devstack

.PHONY: help demo up stack down status check test faults bench lint types clean bootstrap

help:            ## what there is
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

bootstrap:
	@./include/devstack/bootstrap.sh

demo: bootstrap  ## load six sources through real DAG runs and check every row
	@PYTHONPATH=include $(PYTHON) -m demo

up: bootstrap    ## start the servers and Airflow, for you to play with
	@$(DEVSTACK) up

stack: bootstrap ## start the servers without Airflow
	@$(DEVSTACK) stack

down:            ## stop what demo, up or stack started, and only that
	@if [ -x $(PYTHON) ]; then $(DEVSTACK) down; else echo "nothing was started"; fi

status:          ## say what runs
	@$(DEVSTACK) status

lint:
	@.venv/bin/ruff check --no-cache .
	@.venv/bin/ruff format --check .

types:
	@.venv/bin/mypy

check: bootstrap lint types  ## the fast part of the tests: lint, types, unit and DAG tests
	@$(PYTHON) -m pytest -q -n auto -m "not stack and not airflow" tests/unit tests/dags tests/test_house.py tests/test_docs.py

test: bootstrap lint types   ## lint, types, all tests on real servers
	@$(PYTHON) -m pytest -q -n auto -m "not stack and not airflow"
	@$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15 -m "stack or airflow"

faults: bootstrap ## attack it: 200 crash trials and all other fault tests (ARGS="--seed 1 --trials 50")
	@$(PYTHON) tests/faults/run.py $(ARGS)

bench: bootstrap ## measure it beside its peers, 20 minutes; ARGS="--quick" only shows that it works
	@./include/devstack/bootstrap.sh bench
	@PYTHONPATH=plugins:include:tests $(PYTHON) -m benchmarks $(ARGS)

clean: down      ## stop the stack and forget its data; environments stay
	@rm -rf .devstack .demo
