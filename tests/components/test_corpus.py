"""The corpus is loaded strictly: an entry that does not fit the reference is an error, not a silent copy of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from grader.audit import corpus
from grader.errors import GraderError
from grader.notebook.format import is_code, source_of

DOES_NOT_PARSE = {"encoder_does_not_parse"}
FAULTS = {
    "regions: {Decodr.forward: 'return z'}": "unknown region 'Decodr.forward'",
    "regions: {VAE.reparameterize: 'return mu'}\n  loses: [vae.luck]": "unknown items",
    "replace: [[LATENT_SIZE, LATENT_DIM]]": "no code cell of the reference contains 'LATENT_SIZE'",
    "loses: [vae.loss]": "expected `loses` for a wrong solution",
    "regoins: {}": "unknown field 'regoins'; did you mean 'regions'?",
    "loses: vae.loss": "loses: expected list, got 'vae.loss'",
    "checks: [a: b: c]": "line 3: not YAML",
}


@pytest.mark.parametrize("entry", FAULTS)
def test_an_entry_that_does_not_fit_is_refused(entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "honest").mkdir()
    (tmp_path / "honest" / "some.yaml").write_text(f"bad:\n  story: a slip\n  {entry}\n")
    monkeypatch.setattr(corpus, "CORPUS", tmp_path)
    corpus.solutions.cache_clear()
    try:
        with pytest.raises(GraderError, match=re.escape(FAULTS[entry])):
            corpus.solutions()
    finally:
        corpus.solutions.cache_clear()


@pytest.mark.parametrize("kind", corpus.KINDS)
def test_every_notebook_can_be_built(kind: str) -> None:
    for name in corpus.names(kind):
        notebook = corpus.build(name)
        sources = [source_of(cell) for cell in filter(is_code, notebook["cells"])]
        assert not any("SOLUTION" in source for source in sources)
        unparsable = [source for source in sources if not _parses(source)]
        assert bool(unparsable) == (name in DOES_NOT_PARSE), (name, unparsable)


def test_every_component_item_is_lost_by_several_solutions() -> None:
    items = [kind for solution in corpus.solutions().values() for kind in solution.loses]
    for kind in ("encoder_decoder", "reparameterization", "training", "generation"):
        assert items.count(f"vae.{kind}") >= 5
        assert items.count(f"cvae.{kind}") >= 5
    assert items.count("vae.loss") >= 10


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
