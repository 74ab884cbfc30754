"""Work that is done beside other work: what would be waited for later is had by then."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1
BEHIND = 5  # the niceness of what is not waited for yet


def ahead(*works: Callable[[], object], behind: bool = False) -> None:
    """The works are begun in a thread, for whoever will need what they make.

    A fault in one is dropped: whoever needs what it makes does it once more, meets the fault again, and says so.
    What is done `behind` gives way to everything else on this machine.
    """

    def quietly() -> None:
        if behind and sys.platform == "linux":  # elsewhere it would be the whole process that steps back
            with suppress(OSError):  # it stands further back already
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BEHIND)
        for work in works:
            with suppress(Exception):
                work()

    threading.Thread(target=quietly, daemon=True).start()


def end_with_parent() -> None:
    """From now on the kernel kills this process as soon as the one that started it ends; on Linux alone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Beside:
    """Works that a thread does one after the other, none begun while they are told to pause.

    For what will be needed later and would be in the way now; a fault in one is dropped, as with `ahead`. When the
    block is left, what has been begun goes on to its end, so that no thread waits for ever.
    """

    def __init__(self, *works: Callable[[], object]) -> None:
        self._may, self._begun = threading.Event(), False
        self._works = [work for real in works for work in (self._may.wait, real)]

    def go(self) -> None:
        """The next work may begin."""
        self._may.set()
        if not self._begun:
            self._begun = True
            ahead(*self._works, behind=True)

    def pause(self) -> None:
        """No further work begins until `go`."""
        self._may.clear()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._may.set()
