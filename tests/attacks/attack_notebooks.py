"""Builds the notebook of an entry: the base it starts from, with the attack's code in the places it names.

Places: `first` is a cell above everything, `before` one above the solution, `after` one below it, which has still run
before the grader asks about components, or at the end where the notebook trains; any other place is a solution's
(`double`, `VAE.reparameterize`), whose code the attack's takes. `@MARK@` stands for a word that no other run uses,
`@PORT@` for the test's own listener.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from attack_entries import Attack
from small_exercise import notebook as toy

from grader.audit import corpus
from grader.notebook.format import is_code, source_of
from grader.notebook.solution_regions import strip_markers
from grader.records import Notebook

OWN = ("first", "before", "after")  # places that are cells of the student's own
PLAIN_WRONG = "def double(x):\n    return 9 * x"
WRONG_REGIONS = {"VAE.reparameterize": "return mu"}
TOO_SMALL = ("decoder_of_two_units", "conditional_decoder_of_two_units")  # of the corpus


def built(attack: Attack, words: Mapping[str, str]) -> Notebook:
    """The notebook with the attack in it."""
    code = {place: _filled(source, words) for place, source in attack.code.items()}
    notebook = _toy(attack.base, code) if attack.exercise == "toy" else _vae(attack.base, code)
    return notebook if attack.train else _asked_after(notebook)


def base(exercise: str, name: str) -> Notebook:
    """The same notebook without the attack."""
    return _toy(name, {}) if exercise == "toy" else _vae(name, {})


def _filled(source: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        source = source.replace(word, value)
    return source


def _toy(name: str, code: Mapping[str, str]) -> Notebook:
    notebook = toy.template() if name == "template" else strip_markers(toy.reference())
    regions = {place: source for place, source in code.items() if place not in OWN}
    if name == "half":
        regions = {"double": PLAIN_WRONG, **regions}
    cells = notebook["cells"]
    for place, source in regions.items():
        cell = next(cell for cell in cells if cell["id"] == place.replace("_", "-"))
        cell["source"] = source
    return _with_own(notebook, code, 2)


def _vae(name: str, code: Mapping[str, str]) -> Notebook:
    regions = {place: source for place, source in code.items() if place not in OWN}
    if name == "half":
        regions = {**WRONG_REGIONS, **regions}
    notebook = copy.deepcopy(corpus.changed(regions) if name != "weak" else _weak(regions))
    task = next(i for i, cell in enumerate(notebook["cells"]) if is_code(cell) and "class Encoder" in source_of(cell))
    return _with_own(notebook, code, task)


def _weak(regions: Mapping[str, str]) -> Notebook:
    """Correct code with small networks, trained for two epochs."""
    small = {place: code for name in TOO_SMALL for place, code in corpus.entry(name).regions.items()}
    return corpus.narrow(corpus.changed({**small, **regions}, [["EPOCHS = 7", "EPOCHS = 2"]]))


def _with_own(notebook: Notebook, code: Mapping[str, str], solution: int) -> Notebook:
    cells: list[dict[str, Any]] = list(notebook["cells"])

    def own(place: str) -> list[dict[str, Any]]:
        return [toy.code_cell(code[place], f"attack-{place}")] if place in code else []

    return {**notebook, "cells": [*own("first"), *cells[:solution], *own("before"), *cells[solution:], *own("after")]}


def _asked_after(notebook: Notebook) -> Notebook:
    """The notebook with its last cell of the attack's above the first training, where components are asked for."""
    *cells, last = notebook["cells"]
    if last["id"] != "attack-after":
        return notebook
    training = next(i for i, cell in enumerate(cells) if cell["metadata"].get("grader", {}).get("role") == "train")
    return {**notebook, "cells": [*cells[:training], last, *cells[training:]]}
