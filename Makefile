# Everything runs in the virtual environment $(VENV), which is created when it is missing:
# a Python >= 3.10 and a C++20 compiler are all that the machine must have.

VENV   ?= .venv
PYTHON ?= python3
JOBS   ?= 2
BUILD  ?= build/release
# the folder of real networks and images; tests that need it say so when it is absent
export FEWBINS_DATA ?= $(abspath ../shared/data)
export FEWBINS_BUILD = $(abspath $(BUILD))

BIN := $(abspath $(VENV))/bin
PY  := $(BIN)/python
EXTRAS := dev,onnx,images,bench
CXX_FILES = $(shell git ls-files --cached --others --exclude-standard 'engine/*.cpp' 'engine/*.h' | while read f; do [ -e $$f ] && echo $$f; done)

.DEFAULT_GOAL := help
.PHONY: help install build demo test test-cpp test-python test-data test-sanitize test-package limits test-arm test-networks lint format bench wheel size clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- the environment: made once, and again when pyproject.toml changes
$(VENV)/.installed: pyproject.toml
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python >= 3.10 is needed: make PYTHON=python3.x")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet "scikit-build-core>=0.10"
	@# The extension is built by `make build` into src/fewbins, so pip only links the sources and the scripts.
	$(PY) -m pip install --quiet --no-build-isolation -Cwheel.cmake=false -Cwheel.py-api=py3 -Ceditable.mode=inplace -e ".[$(EXTRAS)]"
	@touch $@

install: $(VENV)/.installed build ## the virtual environment with fewbins and all that tests and benches need

# ---- the engine: one CMake tree for the library, the program, the C++ tests and the Python module
# Warnings are errors in CI only: a compiler of tomorrow warns of what nobody could know.
WERROR ?= OFF
CONFIGURED := $(BUILD)/.configured-werror-$(WERROR)
$(CONFIGURED): $(VENV)/.installed
	$(BIN)/cmake -S . -B $(BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja -DPython_EXECUTABLE=$(PY) \
	  -DFEWBINS_BUILD_PYTHON=ON -DFEWBINS_BUILD_TESTS=ON -DFEWBINS_WERROR=$(WERROR)
	@rm -f $(BUILD)/.configured-* && touch $@

build: $(CONFIGURED) ## compile what changed and put the extension into src/fewbins
	$(BIN)/cmake --build $(BUILD) -j $(JOBS)
	@$(BIN)/cmake --install $(BUILD) --prefix src --component python > $(BUILD)/install.log

demo: build ## quantize a small CNN to several schemes and compare them; needs no data and no network
	$(PY) examples/02_demo.py

# ---- tests
test: test-cpp test-python ## the C++ and the Python tests

test-cpp: build
	$(BIN)/ctest --test-dir $(BUILD) --output-on-failure --no-tests=error

test-python: build
	$(PY) -m pytest -m "not data" $(PYTEST_ARGS)

test-data: build ## the tests that need FEWBINS_DATA (default ../shared/data)
	$(PY) -m pytest -m data $(PYTEST_ARGS)

test-sanitize: $(VENV)/.installed build ## C++ tests, and fewbins-run over malformed files, under ASan and UBSan
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_MAKE_PROGRAM=$(BIN)/ninja -DPython_EXECUTABLE=$(PY) \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" \
	  -DFEWBINS_SANITIZE=ON -DFEWBINS_BUILD_TESTS=ON -DFEWBINS_BUILD_PYTHON=OFF
	$(BIN)/cmake --build build/sanitize -j $(JOBS)
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure --no-tests=error
	$(PY) tools/check_malformed.py build/sanitize/engine/fewbins-run

test-package: build ## the C library from the sdist, without Python, and C programs against it
	tools/check_package.sh $(BIN) $(JOBS)

limits: build ## small files that ask for gigabytes: what both readers take before they refuse
	$(PY) tools/limits.py

test-arm: $(VENV)/.installed build ## the engine for 64-bit ARM and ARMv7, cross compiled, tested under qemu
	tools/check_arm.sh $(BIN) $(JOBS) $(WERROR)

# Not in .ci/run: it downloads torch, and half an hour and more goes by. NETWORKS="resnet18 convnext_tiny" checks some.
test-networks: build ## torchvision's networks by both exporters of torch, from import to quantized models
	$(PY) tools/check_networks.py $(NETWORKS)

# ---- style
lint: build ## ruff, mypy, clang-format, the stub of the extension, the lists of ADRs and limits
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(PY) -m nanobind.stubgen -q -m fewbins._engine -o build/_engine.pyi
	cmp build/_engine.pyi src/fewbins/_engine.pyi
	$(PY) tools/check_adr_index.py
	$(PY) tools/limits_table.py

format: $(VENV)/.installed ## rewrite Python and C++ in the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# ResNet-18 where the script that builds it lies beside the data, else the demo's small network.
BENCH_ARGS ?= --nets $(if $(wildcard $(FEWBINS_DATA)/../tools/speed_models.py),resnet18,examples/digits.onnx)
bench: build ## time networks beside ONNX Runtime, one thread; BENCH_ARGS="--nets ... --isa avx2 --json"
	$(BIN)/fewbins bench models $(BENCH_ARGS)

wheel: $(VENV)/.installed ## the sdist, and from it the wheel of this Python, in dist/; both installed and the main job run with each
	tools/check_wheel.sh $(BIN)

size: $(VENV)/.installed ## lines of code of the core, as information
	@$(PY) tools/core_size.py

clean: ## remove what was built, keep the virtual environment
	rm -rf build dist src/fewbins/bin src/fewbins/_engine*.so src/fewbins/_engine.pyi
