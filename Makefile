# Every target installs what it needs; this takes no time if it is installed already.

PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DEVELOP := $(VENV)/.develop
DOCS := $(VENV)/.docs
LOCKS := $(if $(CPU),requirements-cpu.lock,requirements.lock) requirements-student.lock
CLASS_RUBRIC := $(if $(RUBRIC),--rubric "$(RUBRIC)")
RUBRIC ?= rubric.yaml
WORKERS ?= 2
PYTHON_VERSION ?= 3.12
OUT ?= build/gpu-check
REPEATED ?= reference deep_and_narrow kl_with_wrong_sign decoder_ignores_z no_zero_grad one_picture_a_class uniform_noise
export PYTHONUNBUFFERED := 1
export SUBMISSION SUBMISSIONS CLASS NAME WHEELS

.DEFAULT_GOAL := help
# A command starts many processes. If an image forbids bytecode files, each process would compile the grader again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup develop lock grade grade-class regrade release gradescope check doctor test test-whole coverage attacks screenshots test-slurm test-long lint practice new-exercise site wheel guide-pictures template template-check reference classifier audit audit-full audit-pairs audit-seeds calibrate constants costs bench bench-data bench-wall bench-class gpu-check gpu-wheels clean

help: ## lists all targets
	@echo "make grade SUBMISSION=x.ipynb   grades a notebook; the results are in runs/<name>/"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## installs the packages and fetches MNIST (CPU=1: PyTorch without CUDA)
	@$(RUN) -m grader.exercises.vae_mnist.data

$(STAMP): $(LOCKS)
	@PYTHON="$(PYTHON)" CPU="$(CPU)" sh install/setup.sh $(VENV) $(LOCKS)
	@touch $@

# Packages for developers only: a teaching assistant does not need them.
$(DEVELOP): $(STAMP) requirements-develop.lock
	@PYTHON="$(PYTHON)" sh install/setup.sh $(VENV) requirements-develop.lock
	@touch $@

$(DOCS): $(STAMP) requirements-docs.lock
	@PYTHON="$(PYTHON)" sh install/setup.sh $(VENV) requirements-docs.lock
	@touch $@

develop: setup $(DEVELOP) ## runs setup and installs tools for tests, linters and locks

lock: $(DEVELOP) ## rebuilds the lock files from pyproject.toml (UPGRADE=1: newest versions)
	@$(RUN) -m install.locks $(if $(UPGRADE),--upgrade)

grade: setup ## grades SUBMISSION=x.ipynb (RUBRIC=..., OPTIONS="--seed ...")
	@test -n "$$SUBMISSION" || { echo "not graded: no notebook given; use make grade SUBMISSION=x.ipynb" >&2; exit 2; }
	@$(RUN) -m grader grade "$$SUBMISSION" --rubric "$(RUBRIC)" $(OPTIONS)

grade-class: setup ## grades new and changed notebooks in SUBMISSIONS=dir (RUBRIC=... is kept)
	@test -n "$$SUBMISSIONS" || { echo "not graded: no folder given; use make grade-class SUBMISSIONS=dir" >&2; exit 2; }
	@$(RUN) -m grader grade-class "$$SUBMISSIONS" $(CLASS_RUBRIC) $(OPTIONS)

regrade: setup ## re-grades CLASS=runs/dir from stored evidence (OPTIONS=--dry-run: a preview)
	@test -n "$$CLASS" || { echo "not re-graded: no folder given; use make regrade CLASS=runs/submissions" >&2; exit 2; }
	@$(RUN) -m grader regrade "$$CLASS" $(CLASS_RUBRIC) $(OPTIONS)

release: setup ## records the points of CLASS=runs/dir as shown and packs the feedback
	@test -n "$$CLASS" || { echo "not released: no folder given; use make release CLASS=runs/submissions" >&2; exit 2; }
	@$(RUN) -m grader release "$$CLASS" $(OPTIONS)

gradescope: $(STAMP) ## writes the zip for Gradescope to runs/gradescope/
	@$(RUN) -m grader gradescope --rubric "$(RUBRIC)" $(OPTIONS)

check: setup ## grades SUBMISSION=x.ipynb without training, in seconds
	@test -n "$$SUBMISSION" || { echo "not graded: no notebook given; use make check SUBMISSION=x.ipynb" >&2; exit 2; }
	@$(RUN) -m grader grade "$$SUBMISSION" --rubric "$(RUBRIC)" --components-only $(OPTIONS)

doctor: setup ## tests whether this machine can grade untrusted notebooks
	@$(RUN) -m grader doctor --rubric "$(RUBRIC)" $(OPTIONS)

PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
EVERYDAY = $(PARALLEL) -m "not long and not whole and not attack and not slurm"

test: develop lint template-check ## runs the linters, the template check and the everyday tests
	@$(RUN) -m pytest -q $(EVERYDAY)

test-whole: develop $(DOCS) ## tests whole notebooks and classes, isolation and the guide's commands
	@$(RUN) -m pytest -q $(PARALLEL) -m "whole and not long"

coverage: develop ## runs the everyday tests with a coverage report
	@$(RUN) -m pytest -q $(EVERYDAY) --cov=grader --cov-report=term

attacks: develop ## runs the attack suite (fast: no training)
	@$(RUN) -m pytest -q -n $(WORKERS) --dist worksteal -m "attack and not long" tests/attacks

screenshots: develop ## checks every page in a headless Chromium; pictures in build/screenshots/
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { echo "no Chromium on the PATH; Debian: apt install chromium" >&2; exit 2; }
	@VAE_GRADER_SCREENSHOTS=build/screenshots $(RUN) -m pytest -q tests/browser
	@echo "build/screenshots/"

test-slurm: develop ## grades a class on a real one-node Slurm (Debian: slurm-wlm, munge)
	@$(RUN) -m pytest -q -m slurm tests/slurm

test-long: develop ## runs every test but Slurm's, including those that train (hours)
	@$(RUN) -m pytest -q -m "not slurm"

lint: $(DEVELOP) ## runs ruff, mypy, vulture (unused code), import order, prose linter
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check --quiet . && $(RUN) -m mypy && $(RUN) -m vulture
	@$(VENV)/bin/lint-imports --no-cache --no-logo
	@$(RUN) -m docs.making.prose

template: $(STAMP) ## builds student_template/ from reference/ (NOTEBOOK_URL=... adds a Colab badge)
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb $(if $(NOTEBOOK_URL),--notebook-url "$(NOTEBOOK_URL)")

template-check: $(STAMP) ## fails if the template is out of date
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb --check
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb --check

reference: setup ## trains and runs the reference notebook and keeps its pictures in it
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb
	@$(RUN) -m reference.pictures
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb
	@$(RUN) -m grader grade reference/vae_mnist.ipynb --out runs/reference
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb --outputs runs/reference/executed.ipynb

practice: $(STAMP) ## writes a small practice class to build/practice/
	@$(RUN) -m grader practice build/practice

new-exercise: $(STAMP) ## writes a small second exercise for you to change (NAME=two_numbers)
	@test -n "$$NAME" || { echo "not written: no name given; use make new-exercise NAME=two_numbers" >&2; exit 2; }
	@$(RUN) -m grader new-exercise "$$NAME"

site: $(DOCS) ## builds a website of all pages in build/site/
	@$(RUN) -m sphinx -W --keep-going -q -c docs/site . build/site
	@echo "build/site/README.html"

wheel: $(STAMP) ## builds the wheel in dist/
	@$(RUN) -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

guide-pictures: develop ## grades the practice class and takes the guide's screenshots
	@$(RUN) -m docs.making.pictures $(OPTIONS)

classifier: setup ## trains the classifier again (about 15 minutes on two cores)
	@$(RUN) -m grader.exercises.vae_mnist.classifier.train

audit: setup ## tests the rubric on wrong and correct solutions, without training
	@$(RUN) -m grader audit --rubric "$(RUBRIC)" $(OPTIONS)

audit-full: setup ## tests the rubric with training, too (hours the first time)
	@$(RUN) -m grader audit --full --rubric "$(RUBRIC)" --jobs $(WORKERS) $(OPTIONS)

audit-pairs: setup ## trains 40 pairs of wrong solutions: two mistakes must not earn more than one
	@$(RUN) -m grader audit --full --pairs 40 --rubric "$(RUBRIC)" --jobs $(WORKERS) $(OPTIONS)

audit-seeds: setup ## grades seven solutions with ten seeds each; points must be the same
	@$(RUN) -m grader audit --full --seeds 10 --rubric "$(RUBRIC)" --jobs $(WORKERS) $(addprefix --only ,$(REPEATED))

calibrate: setup ## measures models and writes docs/calibration* (1-2 hours the first time)
	@$(RUN) -m grader calibrate --rubric "$(RUBRIC)" --jobs $(WORKERS)

bench-data: setup ## compares the reference's batches with a DataLoader, one epoch each
	@$(RUN) -m benchmarks.data_path

bench-wall: setup ## compares the reference's run inside and outside the box
	@$(RUN) -m benchmarks.wall_cost

constants: setup ## trains the reference with other constants; writes docs/constants.md (hours)
	@$(RUN) -m benchmarks.constants --jobs $(WORKERS)
	@$(RUN) -m benchmarks.constants_page

costs: audit ## writes docs/costs.md, the cost of each mistake, from the audit's table
	@$(RUN) -m benchmarks.costs

# PARTS: whole short class data growth starts
bench: setup ## measures grading and other graders; writes docs/benchmarks.md (PARTS="...")
	@mkdir -p build && $(RUN) -m benchmarks.bench $(PARTS)

bench-class: setup ## measures the time and memory of a class with a small exercise
	@$(RUN) -m benchmarks.class_of_toys

# HAS: packages that the bare machine has already
gpu-wheels: setup ## fills WHEELS=dir for gpu-check (PYTHON_VERSION=3.12, HAS="packages")
	@test -n "$$WHEELS" || { echo "not filled: no folder given; use make gpu-wheels WHEELS=dir PYTHON_VERSION=3.12" >&2; exit 2; }
	@$(RUN) -m benchmarks.gpu_wheels "$$WHEELS" --python-version "$(PYTHON_VERSION)" --has $(HAS)

gpu-check: ## tests grading on a GPU, with PyTorch and no network (WHEELS=dir OUT=dir)
	@test -n "$$WHEELS" || { echo "not measured: no folder given; use make gpu-check WHEELS=dir" >&2; exit 2; }
	@$(PYTHON) -m benchmarks.gpu_check --wheels "$$WHEELS" --out "$(OUT)"

clean: ## removes .venv and build files, but not runs/ or the cache
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .coverage
