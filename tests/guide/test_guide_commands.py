"""Every command of the guide runs exactly as shown, in a copy of the project, and prints what the guide shows."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_project import ScratchProject, Unlike, change, copy_project, first_missing, run

from docs.making.reading import INDEX, Block, blocks, guide_pages
from grader.cli.app import command
from grader.errors import GraderError

PAGES = [page for page in guide_pages() if page != INDEX]
BLOCKS = [block for page in guide_pages() for block in blocks(page)]
COMMANDS = [pytest.param(b, id=f"{b.page.stem}:{b.line}") for b in BLOCKS if b.commands]
ORDINARY = {"cp", "ls", "grep"}
STAMP = Path(sys.prefix, ".installed")

needs_make_setup = pytest.mark.skipif(not STAMP.exists(), reason="the environment was not made by `make setup`")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> ScratchProject:
    return ScratchProject(tmp_path_factory.mktemp("everyday"), long=False)


@pytest.fixture(scope="module")
def long_scratch(tmp_path_factory: pytest.TempPathFactory) -> ScratchProject:
    return ScratchProject(tmp_path_factory.mktemp("long"), long=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which no command has run."""
    folder = tmp_path_factory.mktemp("copy") / "project"
    copy_project(folder)
    return folder


@needs_make_setup
@pytest.mark.whole
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, scratch: ScratchProject) -> None:
    scratch.read_up_to(page)


@needs_make_setup
@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says_when_it_also_trains(page: Path, long_scratch: ScratchProject) -> None:
    long_scratch.read_up_to(page)


@needs_make_setup
@pytest.mark.parametrize("block", COMMANDS)
def test_a_command_exists_with_its_options(block: Block, copy: Path) -> None:
    for typed in block.commands:
        for words in spelled_out(typed, copy):
            if words[1:3] == ["-m", "grader"]:
                parse(words[3:])
            elif words[1:2] == ["-m"]:
                assert importlib.util.find_spec(words[2]), words[2]
            else:
                assert words[0] in ORDINARY, words


def spelled_out(typed: str, folder: Path) -> Iterator[list[str]]:
    """The words of the command; for `make`, those of each project command that the target would run."""
    words = shlex.split(re.sub(r"^\w+=\$\((.*)\)$", r"\1", typed.replace("\\\n", " ")))
    while "=" in words[0]:
        words.pop(0)  # an environment variable
    if words[0] != "make":
        yield words
        return
    completed = run(["make", "-n", *words[1:]], folder)
    assert completed.returncode == 0, completed.stdout
    recipe = [shlex.split(line) for line in completed.stdout.splitlines() if line.startswith(".venv/bin/python -m ")]
    assert recipe, f"`make {words[1]}` runs nothing of the project"
    yield from recipe


def parse(words: list[str]) -> None:
    """Parses the words with the command line, without running the command.

    Raises:
        AssertionError: for an unknown verb or option.
    """
    verb, *rest = words
    verbs = command().commands
    assert verb in verbs, verb
    try:
        verbs[verb].make_context(verb, rest)
    except GraderError:
        pass  # a file that does not exist yet: the words were parsed before
    except Exception as error:  # a usage error of whichever library typer uses
        raise AssertionError(f"{verb} {rest}: {error!r}") from None


def test_an_unknown_option_is_found() -> None:
    parse(["grade", "x.ipynb", "--components-only"])
    with pytest.raises(AssertionError, match="componets"):
        parse(["grade", "x.ipynb", "--componets-only"])
    with pytest.raises(AssertionError, match="grades"):
        parse(["grades", "x.ipynb"])


def test_shown_lines_must_come_in_order() -> None:
    printed = "[  12 s] one\n│ two  │ 3 │\nfour"
    assert first_missing(["[… s] one"], printed) is None
    assert first_missing(["[ 999 s] one", "│ two │ 3 │", "…", "four"], printed) is None
    assert first_missing(["│ t…o … 3 │"], printed) is None
    assert first_missing(["│ two │ 4 │"], printed) == "│ two │ 4 │"
    assert first_missing(["four", "[ 12 s] one"], printed) == "[ 12 s] one"


def test_a_change_requires_the_exact_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\nb: 2\n")
    change(path, " a: 1\n-b: 2\n+b: 3\n")
    assert path.read_text() == "a: 1\nb: 3\n"
    with pytest.raises(Unlike, match="found them 0 times"):
        change(path, "-b: 2\n+b: 4\n")
