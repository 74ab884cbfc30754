"""Work in a thread of its own while a notebook runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

BEHIND = 5  # the niceness of what is not waited for yet


class Preloading:
    """Works that a thread does one after the other, none begun while they are told to pause.

    For what will be needed later and would be in the way now: on two cores it saves 4 of the 22 s that a grade takes
    beside training (docs/measurements.md). The thread gives way to everything else on this machine. A fault in a work
    is dropped: whoever needs what it makes does it once more, meets the fault again, and says so. When the block is
    left, what has been begun goes on to its end, so that no thread waits for ever.
    """

    def __init__(self, *works: Callable[[], object]) -> None:
        self._may, self._begun, self._works = threading.Event(), False, works

    def go(self) -> None:
        """The next work may begin."""
        self._may.set()
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._work, daemon=True).start()

    def pause(self) -> None:
        """No further work begins until `go`."""
        self._may.clear()

    def __enter__(self) -> Preloading:
        return self

    def __exit__(self, *_: object) -> None:
        self._may.set()

    def _work(self) -> None:
        if sys.platform == "linux":  # elsewhere it would be the whole process that steps back
            with suppress(OSError):  # it stands further back already
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
        for work in self._works:
            self._may.wait()
            with suppress(Exception):
                work()
