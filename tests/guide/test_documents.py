"""The documents have no dead link and only valid YAML snippets, and all pages of the guide have the same structure."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from docs.making.reading import GUIDE, INDEX, ROOT, WORDS, Block, blocks, guide_pages, headings, links, title
from grader.batch.late import read_policy
from grader.batch.slurm import read_config
from grader.errors import GraderError
from grader.grading.overrides import read_overrides
from grader.rubric import load_rubric

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in guide_pages() if page != INDEX]
WRITTEN_BY_USERS = {"overrides.yaml", "late.yaml", "slurm.yaml"}
LARGEST_PICTURE = 120_000  # bytes
LONGEST_PAGE = 700  # words
YAML = [block for page in DOCUMENTS for block in blocks(page) if block.language == "yaml"]


def identity(value: object) -> str:
    if isinstance(value, Block):
        return f"{value.page.stem}:{value.line}"
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("page", DOCUMENTS, ids=identity)
def test_no_link_is_dead(page: Path) -> None:
    for link in links(page):
        where = f"{identity(page)}:{link.line}: {link.target}"
        if link.external:
            parts = urlsplit(link.target)
            assert parts.scheme in {"http", "https", "mailto"}, where
            assert parts.netloc or parts.scheme == "mailto", where
            assert not set(link.target) & set(" <>\"'"), where
            continue
        assert link.path.exists(), where
        assert link.path.is_relative_to(ROOT), where
        if link.anchor:
            assert link.anchor in {anchor for _, _, anchor in headings(link.path)}, where


@pytest.mark.parametrize("page", [page for page in DOCUMENTS if page.name != "CHANGELOG.md"], ids=identity)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|j2|yaml))`", text))
    there = {path.relative_to(ROOT) for path in ROOT.glob("*.*")}
    for folder in ("grader", "tests", "corpus", "docs", "benchmarks", "examples"):
        there |= {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.*")}
    endings = {"/".join(path.parts[-length:]) for path in there for length in range(1, len(path.parts) + 1)}
    assert {name for name in named - endings - WRITTEN_BY_USERS if "two_numbers" not in name} == set()


def test_anchors_of_headings_are_those_of_code_hosts(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text("# A & b's `c_d` (e)\n\n## Twice\n\n## Twice\n")
    assert [anchor for _, _, anchor in headings(page)] == ["a--bs-c_d-e", "twice", "twice-1"]


def test_the_index_lists_every_page_of_the_guide() -> None:
    assert set(guide_pages()) == set(GUIDE.glob("*.md"))
    assert any(link.path == INDEX for link in links(ROOT / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_a_page_begins_with_the_command_and_ends_with_what_can_go_wrong(page: Path) -> None:
    first = page.read_text(encoding="utf-8").splitlines()[:3]
    assert first[0] == f"# {title(page)}"
    assert first[2].startswith("```console")
    assert [text for level, text, _ in headings(page) if level > 1][-1] == "What can go wrong"
    assert len(page.read_text(encoding="utf-8").split()) <= LONGEST_PAGE


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=identity)
def test_a_block_is_marked_only_with_known_words(page: Path) -> None:
    for block in blocks(page):
        assert block.language in {"console", "diff", "yaml"}, block
        assert " " not in block.path, f"{block.path}: expected a path and {', '.join(sorted(WORDS))}"
        assert bool(block.path) == (block.language != "console"), block


def test_pictures_are_small_and_all_are_used() -> None:
    linked_pictures = {link.path for page in PAGES for link in links(page) if link.path.parent.name == "pictures"}
    assert linked_pictures == set((GUIDE / "pictures").iterdir())
    for picture in linked_pictures:
        assert picture.stat().st_size < LARGEST_PICTURE, picture


@pytest.mark.parametrize("block", YAML, ids=identity)
def test_a_snippet_is_yaml(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", [block for block in YAML if block.path], ids=identity)
def test_a_snippet_that_is_a_file_is_valid(block: Block, tmp_path: Path) -> None:
    """A snippet that is marked with `fails` is refused."""
    shutil.copy(ROOT / "rubric.yaml", tmp_path)
    path = tmp_path / block.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")
    if "fails" in block.words:
        with pytest.raises(GraderError):
            read(path)
    else:
        read(path)


def read(path: Path) -> object:
    """The file's content, read by the function for files of that name."""
    if path.name == "overrides.yaml":
        rubric, _ = load_rubric(ROOT / "rubric.yaml")
        return read_overrides(path, rubric, {name: name for name in yaml.safe_load(path.read_text())})
    if path.name == "late.yaml":
        return read_policy(path, {name: name for name in yaml.safe_load(path.read_text()).get("students", {})})
    return read_config(path) if path.name == "slurm.yaml" else load_rubric(path)
