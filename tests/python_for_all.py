"""A Python that every user can run, for boxes with a separate user.

The Python that runs the tests may be below a folder that only root can read. Then a system Python of the same version
is used instead, with the same packages. If other users cannot read the packages, the tests are skipped with the reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest

from grader.sandbox.box_contents import python_folders, python_program
from grader.sandbox.box_user import closed_above, open_to_all

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PLACES = ("/usr/bin", "/usr/local/bin")
AS_ROOT = os.getuid() == 0
STRANGER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]


@dataclass(frozen=True)
class Python:
    """The program, and the folders that it needs."""

    program: str
    folders: tuple[Path, ...]

    @property
    def taken(self) -> str:
        """A line of Python that makes the grader start its boxes with this Python."""
        return (
            "from pathlib import Path; from grader.sandbox import own_user; "
            f"own_user.python_program = lambda: {self.program!r}; "
            f"own_user.python_folders = lambda: [Path(folder) for folder in {list(map(str, self.folders))!r}]"
        )


def python_for_all() -> Iterator[Python]:
    """Yields such a Python; for use as a fixture."""
    own = (Path(python_program()), *python_folders())
    if not any(map(closed_above, own)):
        yield Python(str(own[0]), own[1:])
        return
    packages = Path(sys.prefix).resolve()
    interpreters = [Path(place, VERSION) for place in PLACES if Path(place, VERSION).exists()]
    if not interpreters or closed_above(packages) or not open_to_all(packages):
        pytest.skip("this interpreter can be run by its owner only, and there is no other with the same packages")
    with TemporaryDirectory(prefix="python-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        (folder / "lib" / VERSION).mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(interpreters[0])
        (folder / "pyvenv.cfg").write_text(f"home = {interpreters[0].parent}\n")
        inside = packages / "lib" / VERSION / "site-packages"
        (folder / "lib" / VERSION / "site-packages").symlink_to(inside)
        program = str(folder / "bin" / "python")
        asked = subprocess.run([program, "-c", "import numpy, zmq"], capture_output=True, check=False)
        if asked.returncode:
            pytest.skip("the system's Python cannot use these packages")
        yield Python(program, (folder, packages))


@contextmanager
def boxes_for_all() -> Iterator[None]:
    """If root runs the tests, boxes with a separate user can be started; otherwise they run as the grader's user."""
    with ExitStack() as stack:
        if AS_ROOT:
            python = stack.enter_context(contextmanager(python_for_all)())
            place = "grader.sandbox.own_user.python_"
            stack.enter_context(mock.patch(f"{place}program", return_value=python.program))
            stack.enter_context(mock.patch(f"{place}folders", return_value=list(python.folders)))
        yield
