"""Work in a background thread while a notebook runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

BEHIND = 5  # niceness of work that is not waited for yet


class Preloading:
    """Tasks that a thread runs one after the other; none starts while it is paused.

    For work that will be needed later and would be in the way now: on two cores it saves 4 of the 22 s of a grade
    without training (docs/measurements.md). The thread gives way to everything else on this machine. An error in a task
    is dropped: the code that needs its result does the work again and reports the error. When the block is left, a task
    that has started runs to its end, so that no thread waits for ever.
    """

    def __init__(self, *works: Callable[[], object]) -> None:
        self._may, self._begun, self._works = threading.Event(), False, works

    def go(self) -> None:
        """Allows the next task to start."""
        self._may.set()
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._work, daemon=True).start()

    def pause(self) -> None:
        """Allows no further task to start until `go`."""
        self._may.clear()

    def __enter__(self) -> Preloading:
        return self

    def __exit__(self, *_: object) -> None:
        self._may.set()

    def _work(self) -> None:
        if sys.platform == "linux":  # on other systems this would change the whole process
            with suppress(OSError):  # its priority is lower already
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
        for work in self._works:
            self._may.wait()
            with suppress(Exception):
                work()
