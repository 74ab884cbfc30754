"""A copy of the project in which the commands of the guide run in sequence, as a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.making.reading import ROOT, Block, blocks, guide_pages

LEFT_OUT = {".git", ".venv", "runs", "build"}  # created in the project's folder
CACHES = shutil.ignore_patterns("__pycache__", ".*_cache", ".hypothesis", ".coverage*")
OURS = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "SUBMISSION", "SUBMISSIONS", "CLASS", "NAME", "PYTHONPATH", "EXECUTOR")
# The everyday copy runs these without training, so that later pages find a graded class.
QUICKLY = {
    "make grade-class SUBMISSIONS=build/practice": 'OPTIONS="--components-only --out runs/practice --upload-partial"'
}
# Text that differs between runs, machines or terminal widths.
VARYING = re.compile(r"\[ *\d+ s\]|\d+ (?:s|min)\b|\s+|[─━│┃]+")


class Unlike(AssertionError):
    """The project does not do what the page shows."""


class ScratchProject:
    """Runs the guide's pages in order; with `long`, also the commands that train."""

    def __init__(self, folder: Path, *, long: bool) -> None:
        self.folder, self.long = folder / "project", long
        self._left = guide_pages()
        copy_project(self.folder)

    def read_up_to(self, page: Path) -> None:
        """Runs that page after every earlier page that has not run yet, since pages build on each other.

        Raises:
            Unlike: with the page, the line, the commands and their output.
        """
        while page in self._left:
            for block in blocks(self._left.pop(0)):
                self.carry_out(block)

    def carry_out(self, block: Block) -> None:
        """Writes or changes the block's file, or runs its commands and compares their output with the block."""
        if block.language == "yaml" and block.path:
            path = self.folder / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "diff":
            change(self.folder / block.path, block.text)
        elif block.commands and "elsewhere" not in block.words:
            if self.long or "long" not in block.words:
                self._type(block)
            else:
                self._type_quickly(block)

    def _type_quickly(self, block: Block) -> None:
        """Runs the block's commands that later pages build on in a faster form, whatever they print."""
        for command in block.commands:
            if command in QUICKLY:
                completed = run(["bash", "-c", f"{command} {QUICKLY[command]}"], self.folder)
                if "runs/practice/class.html" not in completed.stdout:
                    raise Unlike(completed.stdout)

    def _type(self, block: Block) -> None:
        script = "\n".join(block.commands)
        completed = run(["bash", "-c", f"set -e\n{script}"], self.folder)
        where = f"{block.page.name}:{block.line}: {script}\nexit code {completed.returncode}:\n{completed.stdout}"
        if (completed.returncode != 0) != ("fails" in block.words):
            raise Unlike(where)
        if (missing := first_missing(block.output, completed.stdout)) is not None:
            raise Unlike(f"not printed: {missing}\n{where}")


def copy_project(folder: Path) -> None:
    """Copies the project into the folder, with its environment."""

    def ignored(where: str, names: list[str]) -> set[str]:
        return CACHES(where, names) | (LEFT_OUT if Path(where) == ROOT else set())

    shutil.copytree(ROOT, folder, ignore=ignored)
    (folder / ".venv").symlink_to(Path(sys.prefix).resolve())
    for lock in folder.glob("requirements*.lock"):
        os.utime(lock, (0, 0))  # older than the environment, so that it is not installed again


def run(line: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The finished command; its standard output and errors together."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | {"COLUMNS": "80"}
    return subprocess.run(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=3000
    )


def change(path: Path, diff: str) -> None:
    """Replaces the lines with `-` by those with `+`; lines that begin with a space locate the place."""
    lines = diff.splitlines()
    old, new = ("".join(f"{line[1:]}\n" for line in lines if line[:1] != left) for left in "+-")
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise Unlike(f"{path.name}: expected these lines once, found them {text.count(old)} times:\n{old}")
    path.write_text(text.replace(old, new), encoding="utf-8")


def first_missing(expected: list[str], printed: str) -> str | None:
    """The first shown line that was not printed in order; `…` stands for any text, and times are ignored."""
    lines = iter(printed.splitlines())
    for line in expected:
        pattern = ".*".join(re.escape(_plain(piece)) for piece in line.replace("[… s]", "[0 s]").split("…"))
        if line.strip() not in {"", "…"} and not any(re.fullmatch(pattern, _plain(one)) for one in lines):
            return line
    return None


def _plain(line: str) -> str:
    return VARYING.sub(lambda match: "" if match[0].isspace() else "~", line)
