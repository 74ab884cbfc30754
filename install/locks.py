"""`make lock`: resolves the packages of pyproject.toml for every Python and processor, and writes the lock files.

All packages are resolved once and then divided among the locks, so that no two locks pin a package differently. Where
possible, existing pins are kept; `make lock UPGRADE=1` takes the newest versions. Each pin has the hashes of its files.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALL = ROOT / "build" / "lock" / "all.txt"
EVERYONE = ("grade", "student", "develop", "docs", "slurm")
DEVELOPING = ("grade", "student", "develop", "slurm")
CUDA = re.compile(r"(?:torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)")  # not needed by PyTorch's CPU build
# The marker of the platforms that `environments` in pyproject.toml names; it is true of every pin and is removed.
PLATFORM = re.compile(
    r" (?:;|and) (?:python_full_version < '3\.15' and )?implementation_name == 'cpython' and "
    r"\(\(platform_machine == 'aarch64'[^()]*\) or \([^()]*\)\)"
)
Blocks = Mapping[str, str]  # package -> its lines


@dataclass(frozen=True)
class Lock:
    """A lock file: the extras that it pins, without the packages of other locks that are installed before it."""

    file: str
    words: str  # its first line
    extras: Sequence[str] = ()
    without: Sequence[str] = ()  # lock files that are installed before it
    cuda: bool = True


LOCKS = (
    Lock("requirements.lock", "What grading needs; PyTorch with CUDA.", ("grade",)),
    Lock(
        "requirements-cpu.lock",
        "The same without PyTorch, whose CPU build has a separate index.",
        ("grade",),
        cuda=False,
    ),
    Lock(
        "requirements-regrade.lock", "What re-grading stored runs needs: regrade, plans, pages, gradebooks. No PyTorch."
    ),
    Lock(
        "requirements-student.lock",
        "Further packages for notebooks, listed under `packages` in rubric.yaml; install after requirements.lock.",
        ("grade", "student"),
        ("requirements.lock",),
    ),
    Lock(
        "requirements-develop.lock",
        "Further packages for developers: tests, linters, lock files; install after the others.",
        DEVELOPING,
        ("requirements.lock", "requirements-student.lock"),
    ),
    Lock(
        "requirements-docs.lock",
        "Further packages for `make site`; install after requirements.lock and requirements-student.lock.",
        ("grade", "student", "docs"),
        ("requirements.lock", "requirements-student.lock"),
    ),
)


def compiled(extras: Sequence[str], output: Path, constraints: Collection[Path], *, upgrade: bool) -> str:
    """The text of a lock for these extras, resolved by uv, with hashes.

    Raises:
        subprocess.CalledProcessError: no versions fit; uv's message is on standard error.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", str(ROOT / "pyproject.toml"), "--quiet", "--universal"]
    command += [
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        "--output-file",
        str(output),
    ]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += [word for path in constraints for word in ("--constraint", str(path))]
    output.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, *(["--upgrade"] if upgrade else [])], check=True, cwd=ROOT)
    return output.read_text(encoding="utf-8")


def blocks(text: str) -> dict[str, str]:
    """Package -> its lines in a lock file, with hashes: one pin, or one per range of Python versions."""
    pins: dict[str, str] = {}
    for block in re.split(r"\n(?=[a-zA-Z0-9])", "\n" + re.sub(r"(?m)^#.*\n", "", text)):
        if name := block.strip().partition("==")[0]:
            pins[name] = pins.get(name, "") + PLATFORM.sub("", block.strip("\n")) + "\n"
    return pins


def lock_text(lock: Lock, pins: Blocks, installed: Collection[str]) -> str:
    """The lock's content, without the packages that are `installed` before it."""
    chosen = (text for name, text in pins.items() if name not in installed and (lock.cuda or not CUDA.fullmatch(name)))
    return f"# {lock.words} Made by `make lock`.\n{''.join(chosen)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes every lock file."""
    parser = argparse.ArgumentParser(prog="python -m install.locks", description=main.__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    options = parser.parse_args(arguments)
    if not ALL.exists() and not options.upgrade:  # the resolution starts from the existing pins
        ALL.parent.mkdir(parents=True, exist_ok=True)
        ALL.write_text("".join((ROOT / lock.file).read_text() for lock in LOCKS if (ROOT / lock.file).exists()))
    try:
        compiled(EVERYONE, ALL, (), upgrade=options.upgrade)
        written: dict[str, dict[str, str]] = {}
        for lock in LOCKS:
            pins = blocks(compiled(lock.extras, ALL.with_name(lock.file), [ALL], upgrade=False))
            before = {name for other in lock.without for name in written[other]}
            written[lock.file] = pins
            (ROOT / lock.file).write_text(lock_text(lock, pins, before), encoding="utf-8")
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
