# make demo   set up a virtual environment and animate the sample photo
# make test   set up and run every check: formatting, types, tests
# make quick  the same without the tests that take more than some 10 s
# make fuzz   3,000 damaged files and odd requests: no traceback, no hang, nothing half-written
# make gallery, make bench   pictures of every recipe; speed of every stage
# make docs   the pages in build/site; dead links are errors

VENV ?= .venv
PYTHON ?= python3
STAMP = $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | sha256sum | cut -c1-16)
RUN = $(VENV)/bin/python -m
# Tests run on all cores, neighbours in a file on one of them; who has done its own takes over others'.
CORES ?= auto
PYTEST = $(RUN) pytest -n $(CORES) --dist worksteal
# Tests start the program some hundred times: it is compiled once, whatever the user has set.
unexport PYTHONDONTWRITEBYTECODE

# As the command sets for itself (memegen/cli/__init__.py): threads that wait sleep.
export OMP_WAIT_POLICY ?= PASSIVE
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test quick fuzz gallery bench docs clean

demo: $(STAMP)
	mkdir -p demo
	$(RUN) memegen animate examples/astronaut.png --recipe smile -o demo/astronaut_smile.gif
	@echo "The astronaut smiles in $(CURDIR)/demo/astronaut_smile.gif"

test: $(STAMP)
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(PYTEST)

quick: $(STAMP)
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(PYTEST) -m "not slow"

fuzz: $(STAMP)
	$(VENV)/bin/python tests/fuzz.py

gallery: $(STAMP)
	rm -f docs/gallery/*.webp
	$(VENV)/bin/python docs/make_gallery.py docs/gallery examples/*.png examples/*.jpg

bench: $(STAMP)
	$(VENV)/bin/python benchmarks/speed.py --cold
	$(VENV)/bin/python benchmarks/generators.py

docs: $(STAMP)-docs
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict

$(STAMP)-docs: $(STAMP)
	$(RUN) pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@

$(STAMP):
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --upgrade pip
	$(RUN) pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf demo build dist .mypy_cache .pytest_cache .ruff_cache
