"""Boxes of one kind, each used once; some are started before it is known what they will run.

A box that waits imports what a solution imports anyway. Nothing of a submission is in it until it is taken and told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType

from grader.box.backend import Backend, Contents
from grader.box.keeper import Keeper
from grader.records import Limits


class Supply:
    """Gives boxes; as a context, it ends those that nobody has taken."""

    def __init__(self, backend: Backend, contents: Contents, limits: Limits, imports: Collection[str] = ()) -> None:
        self.isolation = backend.name
        self._backend, self._contents, self._limits = backend, contents, limits
        self._imports: Sequence[str] = tuple(imports)
        self._gpu = Path("/dev/nvidiactl").exists()
        self._waiting: list[Keeper] = []

    def ready(self, count: int) -> None:
        """So many boxes at least have been started, import, and wait.

        Raises:
            BoxError: where no box could be built on this machine.
        """
        while len(self._waiting) < count:
            keeper = self._new()
            self._waiting.append(keeper)
            keeper.warm(self._imports, self._limits)

    def take(self) -> Keeper:
        """The box that has waited longest, or a new one.

        Raises:
            BoxError: where no box could be built on this machine.
        """
        return self._waiting.pop(0) if self._waiting else self._new()

    def end(self) -> None:
        """No box waits any more.

        Raises:
            BoxError: where something of one could not be ended.
        """
        while self._waiting:
            self._waiting.pop().end()

    def _new(self) -> Keeper:
        return Keeper(self._backend, self._contents, self._limits, gpu=self._gpu)

    def __enter__(self) -> Supply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
