"""The backend for a laptop without Linux: no isolation at all, only ever used when asked for by name.

Every report of such a run says so. The student's code can read and change whatever the person who grades can.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from grader.records import Limits
from grader.sandbox.backend import ENGINE, RUNNER, Command, Contents, box_environment
from grader.sandbox.gpu import environment_in_place, one_gpu


class Unconfined:
    """Runs the runner as an ordinary process."""

    name = "none"
    without: frozenset[str] = frozenset()
    limits_itself = False

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`; the student's home is in a temporary folder, which is removed in the end."""
        root = Path(tempfile.mkdtemp(prefix="box-"))
        home = root / "home"
        home.mkdir()
        environment = {
            **box_environment(contents, str(home), str(root), str(root / ".box")),
            **environment_in_place(one_gpu(limits) if gpu else None),
        }
        environment["PATH"] = os.environ.get("PATH", environment["PATH"])
        arguments = [sys.executable, f"{contents[ENGINE]}/{RUNNER}"]
        return Command(arguments, environment, end=partial(shutil.rmtree, root, ignore_errors=True))
