# Barvault. `make help` names the targets. Each works on a fresh clone with only Python 3.11 or newer.
# Everything is installed into .venv, exactly as the lock files say, and again only when they change.

VENV    := .venv
PYTHON  := $(VENV)/bin/python
MANAGE  := $(PYTHON) manage.py
PIP     := $(PYTHON) -m pip --disable-pip-version-check --no-input -qq

USER_STAMP := $(VENV)/.installed
DEV_STAMP  := $(VENV)/.installed-dev
# A .venv whose Python is gone (the system's was replaced) is filled anew.
$(shell test -x $(PYTHON) || ! test -w . || rm -f $(USER_STAMP) $(DEV_STAMP))

.PHONY: help demo run install install-dev test lint format bench chaos standstill screenshots messages lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      try it: a simulated market of 5,400 stocks, at http://127.0.0.1:5000/data/"
	@echo "make run       the web page and the import workers on the real database"
	@echo "make test      every test"
	@echo "make lint      style, types, migrations, translations"
	@echo "make bench     measure and judge the figures (ONLY=NAME for one, QUICK=1 for a look)"
	@echo "make chaos     kill processes at random, with new seeds, for MINUTES=30"
	@echo "make standstill  how long an import stands still after each kind of death, as a table"
	@echo "make screenshots  pictures of every page, into var/screenshots (ONLY=NAME for some)"
	@echo "make messages  bring the translation catalogues in line with the sources"
	@echo "make lock      make the lock files anew from requirements*.txt"
	@echo "make clean     remove .venv and everything else that is made; the databases in var/ stay"

demo: $(USER_STAMP)
	@BARVAULT_DEMO=1 exec $(MANAGE) demo

run: $(USER_STAMP)
	@echo "Preparing the database."
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) serve

install: $(USER_STAMP)

install-dev: $(DEV_STAMP)

# The fast tests share the cores. Those that start real processes mostly wait: two at a time, file by file, whatever the
# number of cores. Skipped ones are listed with reasons.
test: $(DEV_STAMP)
	@status=0; \
	$(PYTHON) -m pytest -q -n auto --maxprocesses 4 -m "not slow and not browser" || status=1; \
	$(PYTHON) -m pytest -q -n 2 --dist loadfile -m "slow or browser" || status=1; \
	exit $$status

lint: $(DEV_STAMP)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(MANAGE) makemigrations --check --dry-run
	@$(PYTHON) -m config.catalogues check

format: $(DEV_STAMP)
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: $(DEV_STAMP)
	@$(PYTHON) -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

# Three rounds of deaths at a time, a host cut off for two minutes, and courses of events by the thousand.
chaos: $(DEV_STAMP)
	@export BARVAULT_TEST_CHAOS_ROUNDS=3 BARVAULT_TEST_CUT_SECONDS=120 BARVAULT_TEST_EXAMPLES=1000; \
	end=$$(( $$(date +%s) + 60 * $(or $(MINUTES),30) )); \
	while [ $$(date +%s) -lt $$end ]; do \
	$(PYTHON) -m pytest -q -s --timeout 3600 tests/importer/test_chaos.py tests/importer/test_two_hosts.py \
	tests/importer/test_state_machine.py || exit 1; done

# How long an import stands still after the death of each kind of process, as a table.
standstill: $(DEV_STAMP)
	@$(PYTHON) -m tests.importer.standstill

screenshots: $(DEV_STAMP)
	@$(PYTHON) -m tests.browser.screenshots $(ONLY)

messages: $(DEV_STAMP)
	@$(PYTHON) -m config.catalogues update

# Without hosts and options: which index is used is each machine's own affair.
LOCK := $(PYTHON) -m piptools compile --quiet --upgrade --allow-unsafe --strip-extras \
	--no-header --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(DEV_STAMP)
	@echo "Resolving the newest versions that requirements*.txt allow. This takes a minute or two."
	@{ $(LOCK) --output-file requirements.lock requirements.txt && \
	$(LOCK) --output-file requirements-dev.lock --constraint requirements.lock requirements-dev.txt; \
	} 2>$(VENV)/lock.log || { cat $(VENV)/lock.log; exit 1; }

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find locale -name "*.mo" -delete

# The first of these that runs and is 3.11 or newer; PYTHON3=… names another one.
PYTHON3 ?= $(shell for candidate in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$candidate && break; done)

# Another user's folder: said before pip or venv fail at it half-way.
MAY_WRITE := @test -w . || { \
	echo "This user may not write in $(CURDIR): run make as its owner, or in a clone of your own."; exit 1; }

$(PYTHON):
	$(MAY_WRITE)
	@test -n "$(PYTHON3)" || { \
	echo "Barvault needs Python 3.11 or newer, and none was found: install it, or name it with PYTHON3=/path/to/python3."; \
	exit 1; }
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Barvault needs Python 3.11 or newer; $(PYTHON3) is not."; exit 1; }
	@$(PYTHON3) -m venv $(VENV) || { rm -rf $(VENV); \
	echo "$(PYTHON3) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(USER_STAMP): requirements.lock | $(PYTHON)
	$(MAY_WRITE)
	@echo "Installing what requirements.lock names into $(VENV). The first time this takes a few minutes."
	@$(PIP) install -r requirements.lock
	@touch $@

$(DEV_STAMP): requirements-dev.lock | $(PYTHON)
	$(MAY_WRITE)
	@echo "Installing what requirements-dev.lock names into $(VENV). The first time this takes a few minutes."
	@$(PIP) install -r requirements-dev.lock
	@touch $@ $(USER_STAMP)
