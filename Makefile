# Every target sets up what it needs, on a machine with make, python3 (3.11 or newer) and python3-venv.

PYTHON ?= python3
PYTEST_ARGS ?=
PROCESSES ?= 2
BENCH_ARGS ?=
FUZZ_ARGS ?= all --seconds 10
MUTANTS_ARGS ?=
CONFORMANCE_ARGS ?=
SOAK_ARGS ?= --times 50 --twins 1000 --busy
NIGHTLY := .venv/bin/mungos lab run --network host --stall 600

VENV := .venv
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
BENCH_BIN := $(BENCH_VENV)/bin
PIP_INSTALL := -m pip install --quiet --no-input --disable-pip-version-check
CHECKED := $(wildcard src tests benchmarks examples fuzz mutants scripts)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-s390x lab-s390x lab-i386 lab-mips64el selftest soak conformance tls-libraries lint draw bench bench-tls bench-hostile fuzz mutants-tls nightly clean

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed ## the main job: everything opened, used, closed and accounted for
	$(BIN)/mungos demo

test: $(VENV)/.installed-test ## all tests, natively (PYTEST_ARGS="-k name" for some)
	MUNGOS_CACHE=$(CURDIR)/.cache $(BIN)/python -m pytest -n $(PROCESSES) $(PYTEST_ARGS)

test-s390x: lab-s390x ## the same as lab-s390x

lab-s390x: ## all tests on an emulated big-endian processor
lab-i386: ## all tests on a 32-bit processor
lab-mips64el: ## all tests on a processor with other numbers of errors, options and signals
lab-s390x lab-i386 lab-mips64el: $(VENV)/.installed
	MUNGOS_CACHE=$(CURDIR)/.cache $(BIN)/python scripts/processors/run_tests.py $(@:lab-%=%) $(PYTEST_ARGS)

selftest: $(VENV)/.installed-test ## the planted bugs under the lab, each repaired twin twenty times
	MUNGOS_CACHE=$(CURDIR)/.cache $(BIN)/mungos lab selftest --twins 20

soak: $(VENV)/.installed-test ## each planted bug 50 times, each twin 1,000 times, with every CPU busy: an hour (SOAK_ARGS="--help")
	MUNGOS_CACHE=$(CURDIR)/.cache $(BIN)/mungos lab selftest $(SOAK_ARGS)

lint: $(VENV)/.installed-lint ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy $(CHECKED)

bench: $(BENCH_VENV)/.installed ## measure, beside other libraries (BENCH_ARGS="--help")
	$(BENCH_BIN)/python -m benchmarks $(BENCH_ARGS)

bench-tls: $(BENCH_VENV)/.installed ## measure the built-in TLS beside ssl (BENCH_ARGS="--help")
	$(BENCH_BIN)/python -m benchmarks.tls $(BENCH_ARGS)

bench-hostile: $(BENCH_VENV)/.installed ## measure what attacks cost, and who waits beside them (BENCH_ARGS="--help")
	$(BENCH_BIN)/python -m benchmarks.hostile --check $(BENCH_ARGS)

draw: $(VENV)/.installed ## the pictures and tables of docs/, made anew from the code
	$(BIN)/python scripts/state_pictures.py

fuzz: $(VENV)/.installed-fuzz ## any bytes into every decoder and handshake (FUZZ_ARGS="--help")
	$(BIN)/python -m fuzz $(FUZZ_ARGS)

conformance: $(VENV)/.installed ## every TLS engine that is here through the 93 cases (CONFORMANCE_ARGS="--help")
	$(BIN)/python -m mungos.testing.tls $(CONFORMANCE_ARGS)

tls-libraries: $(VENV)/.installed ## the engines over C libraries, with Debian 13's Mbed TLS 3.6 and wolfSSL 5.7
	MUNGOS_CACHE=$(CURDIR)/.cache $(BIN)/python scripts/tls_libraries/run_tests.py amd64

mutants-tls: $(VENV)/.installed-lint ## delete each branch of TLS that refuses something: a test must notice (MUTANTS_ARGS="--help")
	$(BIN)/python -m mutants $(MUTANTS_ARGS)

nightly: export MUNGOS_HYPOTHESIS_PROFILE := nightly
nightly: export MUNGOS_TEST_TIME_FACTOR := 12
nightly: $(VENV)/.installed-lint ## everything, with many more examples, each stage under the lab
	$(NIGHTLY) --deadline 600 -- $(MAKE) lint
	$(NIGHTLY) --deadline 7200 -- $(MAKE) test
	$(NIGHTLY) --deadline 7200 -- $(MAKE) lab-s390x
	$(NIGHTLY) --deadline 3600 -- $(MAKE) lab-i386
	$(NIGHTLY) --deadline 7200 -- $(MAKE) lab-mips64el
	$(NIGHTLY) --deadline 1800 -- $(MAKE) conformance
	$(NIGHTLY) --deadline 1800 -- $(MAKE) tls-libraries
	$(NIGHTLY) --deadline 7200 -- $(MAKE) mutants-tls
	$(NIGHTLY) --deadline 7200 -- $(MAKE) soak
	$(NIGHTLY) --deadline 300 -- $(MAKE) run

clean: ## remove everything that was built, the environments and the processors' roots too
	rm -rf $(VENV) $(BENCH_VENV) .cache build dist src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts $(wildcard benchmarks examples fuzz) -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is older than the metadata: install again. `make run` waits for the package and its command line
# only; tests and checks add their own.

%/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@$(PYTHON) -c 'import ensurepip' || { echo 'Python has no venv here: install the package python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(@D)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.made
	$(BIN)/python $(PIP_INSTALL) -e '.[cli]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed scripts/dependency_group.py
	$(BIN)/python scripts/dependency_group.py test > $(VENV)/test.txt
	$(BIN)/python $(PIP_INSTALL) -e '.[all]' -r $(VENV)/test.txt
	@touch $@

$(VENV)/.installed-lint: $(VENV)/.installed-test
	$(BIN)/python scripts/dependency_group.py lint > $(VENV)/lint.txt
	$(BIN)/python $(PIP_INSTALL) -r $(VENV)/lint.txt
	@touch $@

# atheris has wheels for some versions of Python only; without it the plain driver runs.
$(VENV)/.installed-fuzz: $(VENV)/.installed
	$(BIN)/python $(PIP_INSTALL) --only-binary :all: atheris || echo 'no atheris here: random mutations only' >&2
	@touch $@

$(BENCH_VENV)/.installed: pyproject.toml benchmarks/requirements.txt $(BENCH_VENV)/.made
	$(BENCH_BIN)/python $(PIP_INSTALL) -e '.[all]' -r benchmarks/requirements.txt
	@touch $@
