"""The backend `none`, which does not isolate at all, and is used only on request."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from grader.records import Limits
from grader.sandbox.backend import IN_BOX, RUNNER, Command, Contents, box_environment
from grader.sandbox.gpu import box_gpu, environment_in_place


class Unconfined:
    """Runs the runner as an ordinary process, for machines that support no isolation: student code can do what you can.

    Every report of such a run says so.
    """

    name = "none"
    without: frozenset[str] = frozenset()

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
        arguments = [sys.executable, f"{contents[IN_BOX]}/{RUNNER}"]
        return Command(arguments, environment, end=partial(shutil.rmtree, root, ignore_errors=True))
