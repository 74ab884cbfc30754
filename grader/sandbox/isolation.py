"""The isolation backends by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

from grader.errors import BoxError
from grader.sandbox.backend import Backend
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.container import Container
from grader.sandbox.own_user import OwnUser
from grader.sandbox.unconfined import Unconfined

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
