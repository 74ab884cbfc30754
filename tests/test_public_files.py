"""The files of a public project agree with the code: licence, citation, image, forms, workflow and hooks."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

import grader
from docs.site.conf import GROUPS
from grader.sandbox.box_contents import SYSTEM

ROOT = Path(__file__).parents[1]
CONTAINERFILE = ROOT / "Containerfile"
IGNORED = (ROOT / ".containerignore", ROOT / "Containerfile.dockerignore")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
LICENCE = "BSD-3-Clause"
PARTS_OF_A_FORM = {"markdown", "input", "textarea", "dropdown", "checkboxes"}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def instructions() -> Iterator[tuple[str, list[str]]]:
    """The Containerfile's instructions and their words, without comments and with continued lines joined."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, json.loads(rest) if rest.startswith("[") else rest.split()


def given(name: str) -> list[list[str]]:
    """The words of each instruction of that name, in order."""
    return [words for other, words in instructions() if other == name]


def copied() -> list[str]:
    """The paths of the checkout that the image copies."""
    return [source for *sources, _ in given("COPY") for source in sources]


def test_the_citation_names_this_version_and_its_authors() -> None:
    cited = read("CITATION.cff")
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert {"message", "title"} <= cited.keys()
    assert str(cited["version"]) == grader.__version__
    assert [author["name"] for author in cited["authors"]] == ["The VAE autograder's authors"]


def test_the_licence_has_the_same_name_everywhere() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("BSD 3-Clause License\n\nCopyright (c) 2026, the VAE autograder's authors\n")
    assert len(re.findall(r"^\d\. ", text, re.MULTILINE)) == 3
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    image = dict(word.split("=", 1) for words in given("LABEL") for word in words)
    named = {read("CITATION.cff")["license"], image["org.opencontainers.image.licenses"].strip('"')}
    assert named | {project.get("license", LICENCE)} == {LICENCE}


def test_the_package_is_marked_as_typed() -> None:
    assert (ROOT / "grader" / "py.typed").read_bytes() == b""


@pytest.mark.parametrize("source", copied())
def test_files_that_the_image_copies_exist_and_are_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    for path in IGNORED:
        assert f"!{source}" in path.read_text().splitlines(), path.name


def test_both_engines_ignore_the_same_files() -> None:
    podman, docker = ([line for line in path.read_text().splitlines() if line[0] != "#"] for path in IGNORED)
    assert podman == docker
    assert podman[0] == "*"
    assert {line[1:] for line in podman if line[0] == "!"} == set(copied())


def test_the_image_starts_the_command_line_as_a_user_that_is_not_root() -> None:
    [[python, option, module]] = given("ENTRYPOINT")
    assert (option, module) == ("-m", "grader")
    assert importlib.util.find_spec(f"{module}.__main__") is not None
    assert given("USER")[-1] == ["grader"]
    last_stage = [name for name, _ in instructions()][::-1]
    assert last_stage.index("USER") < last_stage.index("FROM")
    commands = " ".join(word for words in given("RUN") for word in words)
    assert f"-m venv {PurePosixPath(python).parents[1]}" in commands


def test_modules_that_the_image_runs_while_it_is_built_exist() -> None:
    modules = [words[at + 1] for words in given("RUN") for at, word in enumerate(words) if word == "-m"]
    assert "grader.exercises.vae_mnist.data" in modules
    for module in modules:
        assert importlib.util.find_spec(module) is not None


def test_the_grader_is_where_no_box_can_see_it() -> None:
    """A box sees the system's folders and the environment; the grader and the rubric are in neither."""
    [[folder]] = given("WORKDIR")
    [[python, *_]] = given("ENTRYPOINT")
    seen = [*map(PurePosixPath, SYSTEM), PurePosixPath(python).parents[1]]
    assert not any(PurePosixPath(folder).is_relative_to(each) for each in seen)
    assert ["grader", "./grader"] in given("COPY")
    assert any("rubric.yaml" in words and words[-1] == "./" for words in given("COPY"))
    assert not any(word in {".", "./grader"} for words in given("RUN") if "pip" in words for word in words)


def test_the_image_has_a_python_that_the_grader_supports() -> None:
    base = given("FROM")[0][0]
    match = re.search(r"python:3\.(\d+)-", base)
    assert match, base
    requirement = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert int(match[1]) >= int(requirement.removeprefix(">=3."))


def test_the_development_container_is_a_stage_of_the_same_file() -> None:
    settings = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    build = settings["build"]
    assert (ROOT / ".devcontainer" / build["dockerfile"]).resolve() == CONTAINERFILE
    assert build["target"] in {words[-1] for words in given("FROM") if "AS" in words}
    assert settings["remoteUser"] == given("USER")[0][0]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_what_is_needed_to_repeat_a_grade_and_warns_about_names(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= form.keys()
    parts = {part["id"]: part for part in form["body"] if part["type"] != "markdown"}
    assert {part["type"] for part in form["body"]} <= PARTS_OF_A_FORM
    assert {"check", "seed", "checksums", "command"} <= parts.keys()
    assert "Post no student's name" in form["body"][0]["attributes"]["value"]
    assert parts["private"]["attributes"]["options"][0]["required"]


def test_the_workflow_runs_a_newcomers_commands_with_few_permissions() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert {step["run"].split()[0] for step in steps if "run" in step} == {"sudo", "make", ".ci/run"}
    assert all(re.search(r"@(v\d+|[0-9a-f]{40})", step["uses"]) for step in steps if "uses" in step)
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert "permissions" not in {key for job in workflow["jobs"].values() for key in job}


def test_hooks_download_nothing_and_run_commands_of_lint() -> None:
    [repository] = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    entries = [hook["entry"].split() for hook in repository["hooks"]]
    assert all(entry[0].startswith(".venv/bin/") for entry in entries)
    lint = re.sub(r"\$\((RUN|VENV)\)(/bin/)?( -m )?", "", (ROOT / "Makefile").read_text())
    for entry in entries[:-1]:
        assert " ".join(entry).removeprefix(".venv/bin/") in lint


def test_the_site_shows_every_page_once() -> None:
    pages = [path for folder in (".", "docs", "docs/guide") for path in (ROOT / folder).glob("*.md")]
    shown = [page for group in GROUPS.values() for page in group]
    named = {path.relative_to(ROOT).with_suffix("").as_posix() for path in pages}
    assert sorted(shown) == sorted(named - {"README"}), "name it in GROUPS of docs/site/conf.py"
