# `make run` and `make test` are all that a fresh machine with Python 3.11 or 3.12 needs.
# The virtual environment is made once and again only when the lock changes.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.locked
# Every tool that could report home is told not to.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := False
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# A run and its tests start hundreds of short processes: each would compile the project's code anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test slow lint

run: $(READY)
	@$(BIN)/darkroom run

test: $(READY)
	@$(BIN)/python -m pytest -n $$(cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : 4))) --dist loadscope --no-loadscope-reorder -m "not slow and not gpu"

slow: $(READY)
	@$(BIN)/python -m pytest -m "slow and not gpu"

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

$(READY): requirements.lock pyproject.toml
	@set -e; \
	for python in $(PYTHON) python3 python3.12 python3.11; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then echo "Darkroom needs Python 3.11 or 3.12: none found. Set PYTHON=/path/to/python3.12." >&2; exit 1; fi; \
	echo "Setting up $(VENV) with $$($$found --version): once, some minutes."; \
	test -x $(BIN)/python || $$found -m venv $(VENV); \
	$(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check -r requirements.lock; \
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --disable-pip-version-check -e .; \
	$(BIN)/python -m flows.workspace.embedded_stores; \
	touch $@
