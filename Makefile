# Every target sets up what it needs by itself; the second time that costs nothing.

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
# A command starts many processes: where images for containers forbid it, each would compile all of the grader again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup develop lock grade grade-class regrade release gradescope check doctor test test-whole coverage attacks screenshots test-slurm test-long lint practice new-exercise site wheel guide-pictures template template-check reference classifier audit audit-full audit-pairs audit-seeds calibrate constants costs bench bench-data bench-wall bench-class gpu-check gpu-wheels clean

help: ## this list
	@echo "make grade SUBMISSION=x.ipynb   grades a notebook; the results are in runs/<name>/"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## the environment and MNIST; CPU=1 takes PyTorch's builds without CUDA, a quarter of the size
	@$(RUN) -m grader.exercises.vae_mnist.data

$(STAMP): $(LOCKS)
	@PYTHON="$(PYTHON)" CPU="$(CPU)" sh install/setup.sh $(VENV) $(LOCKS)
	@touch $@

# What developing needs besides: a teaching assistant is spared it.
$(DEVELOP): $(STAMP) requirements-develop.lock
	@PYTHON="$(PYTHON)" sh install/setup.sh $(VENV) requirements-develop.lock
	@touch $@

$(DOCS): $(STAMP) requirements-docs.lock
	@PYTHON="$(PYTHON)" sh install/setup.sh $(VENV) requirements-docs.lock
	@touch $@

develop: setup $(DEVELOP) ## the same and what tests, linters and locks need

lock: $(DEVELOP) ## resolves the lock files anew from pyproject.toml (UPGRADE=1: the newest of everything)
	@$(RUN) -m install.locks $(if $(UPGRADE),--upgrade)

grade: setup ## grades SUBMISSION=x.ipynb (RUBRIC=..., OPTIONS="--seed ...")
	@test -n "$$SUBMISSION" || { echo "not graded: no notebook given; use make grade SUBMISSION=x.ipynb" >&2; exit 2; }
	@$(RUN) -m grader grade "$$SUBMISSION" --rubric "$(RUBRIC)" $(OPTIONS)

grade-class: setup ## grades SUBMISSIONS=dir-or-zip, several at once; run again, only what is missing or changed (RUBRIC=... is remembered)
	@test -n "$$SUBMISSIONS" || { echo "not graded: no folder given; use make grade-class SUBMISSIONS=dir" >&2; exit 2; }
	@$(RUN) -m grader grade-class "$$SUBMISSIONS" $(CLASS_RUBRIC) $(OPTIONS)

regrade: setup ## judges CLASS=runs/dir again from stored evidence, under the rubric as it is now (OPTIONS=--dry-run writes nothing)
	@test -n "$$CLASS" || { echo "not judged: no folder given; use make regrade CLASS=runs/submissions" >&2; exit 2; }
	@$(RUN) -m grader regrade "$$CLASS" $(CLASS_RUBRIC) $(OPTIONS)

release: setup ## notes the points of CLASS=runs/dir as shown to students, and packs their feedback for Moodle and Canvas
	@test -n "$$CLASS" || { echo "not released: no folder given; use make release CLASS=runs/submissions" >&2; exit 2; }
	@$(RUN) -m grader release "$$CLASS" $(OPTIONS)

gradescope: $(STAMP) ## the zip for Gradescope, in runs/gradescope/
	@$(RUN) -m grader gradescope --rubric "$(RUBRIC)" $(OPTIONS)

check: setup ## grades the components of SUBMISSION=x.ipynb alone, without training, in seconds
	@test -n "$$SUBMISSION" || { echo "not graded: no notebook given; use make check SUBMISSION=x.ipynb" >&2; exit 2; }
	@$(RUN) -m grader grade "$$SUBMISSION" --rubric "$(RUBRIC)" --components-only $(OPTIONS)

doctor: setup ## says whether this machine can grade untrusted notebooks, by trying from inside real boxes
	@$(RUN) -m grader doctor --rubric "$(RUBRIC)" $(OPTIONS)

PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
EVERYDAY = $(PARALLEL) -m "not long and not whole and not attack and not slurm"

test: develop lint template-check ## the everyday tests
	@$(RUN) -m pytest -q $(EVERYDAY)

test-whole: develop $(DOCS) ## grades whole notebooks and classes, tries the wall, and does what each page of the guide says
	@$(RUN) -m pytest -q $(PARALLEL) -m "whole and not long"

coverage: develop ## the everyday tests with a coverage report; takes longer
	@$(RUN) -m pytest -q $(EVERYDAY) --cov=grader --cov-report=term

attacks: develop ## hands in hostile notebooks, the fast form: no training
	@$(RUN) -m pytest -q -n $(WORKERS) --dist worksteal -m "attack and not long" tests/attacks

screenshots: develop ## opens every page in a headless Chromium, checks it, and leaves its pictures in build/screenshots/
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { echo "no Chromium on the PATH; Debian: apt install chromium" >&2; exit 2; }
	@VAE_GRADER_SCREENSHOTS=build/screenshots $(RUN) -m pytest -q tests/browser
	@echo "build/screenshots/"

test-slurm: develop ## grades a class on a real Slurm of one node, started and stopped for it (Debian: slurm-wlm, munge)
	@$(RUN) -m pytest -q -m slurm tests/slurm

test-long: develop ## every test, also those that train
	@$(RUN) -m pytest -q -m "not slurm"

lint: $(DEVELOP) ## ruff, mypy, vulture, which finds what nothing uses, and the order of the rooms
	@$(RUN) -m ruff check . && $(RUN) -m ruff format --check --quiet . && $(RUN) -m mypy && $(RUN) -m vulture
	@$(VENV)/bin/lint-imports --no-cache --no-logo

template: $(STAMP) ## student_template/ from reference/ (NOTEBOOK_URL=https://github.com/... adds an "Open in Colab" badge)
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb $(if $(NOTEBOOK_URL),--notebook-url "$(NOTEBOOK_URL)")

template-check: $(STAMP) ## fails where the template is not what the reference makes
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb --check
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb --check

reference: setup ## trains and runs the reference notebook, and keeps its pictures in it
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb
	@$(RUN) -m reference.pictures
	@$(RUN) -m grader.notebook.template reference/vae_mnist.ipynb student_template/vae_mnist.ipynb
	@$(RUN) -m grader grade reference/vae_mnist.ipynb --out runs/reference
	@$(RUN) -m grader.notebook.included reference/vae_mnist.ipynb --outputs runs/reference/executed.ipynb

practice: $(STAMP) ## a small class to practise on, in build/practice/: right, wrong, unfinished, and no notebook
	@$(RUN) -m grader practice build/practice

new-exercise: $(STAMP) ## writes a second exercise that grades at once, to be changed: NAME=straight_line
	@test -n "$$NAME" || { echo "not written: no name given; use make new-exercise NAME=straight_line" >&2; exit 2; }
	@$(RUN) -m grader new-exercise "$$NAME"

site: $(DOCS) ## all pages as one site with an API reference, in build/site/
	@$(RUN) -m sphinx -W --keep-going -q -c docs/site . build/site
	@echo "build/site/README.html"

wheel: $(STAMP) ## the package that installs anywhere, in dist/
	@$(RUN) -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

guide-pictures: develop ## grades the practice class and photographs its pages for the guide, with a headless Chromium
	@$(RUN) -m docs.making.pictures $(OPTIONS)

classifier: setup ## trains the classifier again (about 15 minutes on two cores)
	@$(RUN) -m grader.exercises.vae_mnist.classifier.train

audit: setup ## tries the rubric on every right and wrong solution of corpus/, components alone, in minutes
	@$(RUN) -m grader audit --rubric "$(RUBRIC)" $(OPTIONS)

audit-full: setup ## the same with training: hours the first time, then only what changed
	@$(RUN) -m grader audit --full --rubric "$(RUBRIC)" --jobs $(WORKERS) $(OPTIONS)

audit-pairs: setup ## trains forty drawn pairs of wrong solutions, and each alone: two mistakes must not earn more than one
	@$(RUN) -m grader audit --full --pairs 40 --rubric "$(RUBRIC)" --jobs $(WORKERS) $(OPTIONS)

audit-seeds: setup ## grades seven solutions with ten seeds each: the points must be the same
	@$(RUN) -m grader audit --full --seeds 10 --rubric "$(RUBRIC)" --jobs $(WORKERS) $(addprefix --only ,$(REPEATED))

calibrate: setup ## measures honest and defective models; writes docs/calibration*, an hour or two the first time
	@$(RUN) -m grader calibrate --rubric "$(RUBRIC)" --jobs $(WORKERS)

bench-data: setup ## the reference's batches against a DataLoader, one epoch each
	@$(RUN) -m benchmarks.data_path

bench-wall: setup ## the reference's run in the box against the same run outside it
	@$(RUN) -m benchmarks.wall_cost

constants: setup ## trains the reference with other constants; writes docs/constants.md, some hours
	@$(RUN) -m benchmarks.constants --jobs $(WORKERS)
	@$(RUN) -m benchmarks.constants_page

costs: audit ## what each mistake of the corpus costs where it was made; writes docs/costs.md from the audit's table
	@$(RUN) -m benchmarks.costs

bench: setup ## what grading costs beside the notebook alone, Otter-Grader and nbgrader; writes docs/benchmarks.md (PARTS="whole short class data growth starts")
	@mkdir -p build && $(RUN) -m benchmarks.bench $(PARTS)

bench-class: setup ## a class of toy submissions: one at a time against several, the parent process's memory, a regrade
	@$(RUN) -m benchmarks.class_of_toys

gpu-wheels: setup ## fills WHEELS=dir with what gpu-check needs on a bare machine (PYTHON_VERSION=3.12, HAS="packages that it has")
	@test -n "$$WHEELS" || { echo "not filled: no folder given; use make gpu-wheels WHEELS=dir PYTHON_VERSION=3.12" >&2; exit 2; }
	@$(RUN) -m benchmarks.gpu_wheels "$$WHEELS" --python-version "$(PYTHON_VERSION)" --has $(HAS)

gpu-check: ## on a bare machine with PyTorch and no network: does grading work on its GPU, and how fast (WHEELS=dir OUT=dir)
	@test -n "$$WHEELS" || { echo "not measured: no folder given; use make gpu-check WHEELS=dir" >&2; exit 2; }
	@$(PYTHON) -m benchmarks.gpu_check --wheels "$$WHEELS" --out "$(OUT)"

clean: ## removes what the other targets made, but not runs/ or the cache
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .coverage
