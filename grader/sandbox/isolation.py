"""The isolation backends by name. `none` does not isolate at all, and is used only on request."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from grader.errors import BoxError
from grader.records import Limits
from grader.sandbox.backend import ENGINE, RUNNER, Backend, Command, Contents, box_environment
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.container import Container
from grader.sandbox.gpu import box_gpu, environment_in_place
from grader.sandbox.own_user import OwnUser


class Unconfined:
    """Runs the runner as an ordinary process, for machines that support no isolation: student code can do what you can.

    Every report of such a run says so.
    """

    name = "none"
    without: frozenset[str] = frozenset()
    limits_itself = False

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`; the student's home is in a temporary folder, which is removed at the end."""
        root = Path(tempfile.mkdtemp(prefix="box-"))
        home = root / "home"
        home.mkdir()
        environment = {
            **box_environment(contents, str(home), str(root), str(root / ".box")),
            **environment_in_place(box_gpu(limits) if gpu else None),
        }
        environment["PATH"] = os.environ.get("PATH", environment["PATH"])
        arguments = [sys.executable, f"{contents[ENGINE]}/{RUNNER}"]
        return Command(arguments, environment, end=partial(shutil.rmtree, root, ignore_errors=True))


BACKENDS: Mapping[str, Callable[[Collection[Path]], Backend]] = {
    "bubblewrap": lambda private: Bubblewrap(private=private),
    "container": lambda private: Container(private),
    "user": lambda private: OwnUser(private=private),
    "none": lambda _: Unconfined(),
}


def backend_named(name: str, private: Collection[Path] = ()) -> Backend:
    """Returns the backend of that name, with all its layers.

    `private` are folders that no box may read, even if they are among Python's packages.

    Raises:
        BoxError: the name is unknown, or this machine does not support the backend.
    """
    if find_spec("ipykernel") is None:
        raise BoxError(
            "Jupyter and PyTorch are not installed, so notebooks cannot be run, only re-graded; "
            "install `vae-autograder[grade]`"
        )
    if name not in BACKENDS:
        raise BoxError(f"isolation {name!r}: expected one of {', '.join(BACKENDS)}")
    return BACKENDS[name](private)
