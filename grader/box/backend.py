"""What an isolation backend is: something that turns a box's contents into a command line.

Adding a backend is one file that provides `Backend` and one line in `backend_named`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from grader.errors import BoxError
from grader.records import Limits

ENGINE = "/box/engine"  # where the box sees grader/in_box
RUNNER = "runner.py"  # there, the program that every box begins with
PROBE = "/box/probe"  # where it sees the exercise's in_box
WORK = "/box/work"  # where the runner puts questions down: apart, so that a notebook that fills its folders leaves room
MNIST = "/box/mnist"  # where it sees MNIST's raw files, and nothing else of the cache
SPARE_TASKS = 8  # the box's own, beside what the notebook may have


# What a box holds besides the operating system and the Python environment, all of it read-only:
# path in the box -> folder outside.
Contents = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class AnotherUser:
    """Whose a box is that root starts: `launch.prepare_another` makes its namespaces."""

    id: int  # of the machine's
    inside: int
    descriptors: tuple[int, int]  # where the box's outermost process finds its two user namespaces
    last: bool  # no further user namespace can be made inside


@dataclass(frozen=True, slots=True)
class Command:
    """How a box's outermost process is started, and how what it leaves is removed."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Mapping[int, bytes] = field(default_factory=dict)  # number -> what that process reads from it
    user: AnotherUser | None = None  # None: the box is run by whoever runs the grader
    memory_folders: Sequence[str] = ()  # in the box: files there lie in memory that no process's own shows
    # Called once when that process is dead; raises BoxError where something stays.
    end: Callable[[], None] = lambda: None


class Backend(Protocol):
    """Builds the command that runs the in-box runner with its frames on standard input and output."""

    name: str
    without: frozenset[str]  # layers that are left out, for tests and the doctor alone
    limits_itself: bool  # memory, tasks and files are limited by what the command starts, not by the keeper

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """How the box's outermost process is started."""


def backend_named(name: str) -> Backend:
    """The backend of that name, with every layer that it has.

    Raises:
        BoxError: for a name that is none, or a backend that this machine lacks.
    """
    from grader.box.bubblewrap import Bubblewrap
    from grader.box.container import Container
    from grader.box.unconfined import Unconfined

    backends: dict[str, Callable[[], Backend]] = {
        "bubblewrap": Bubblewrap,
        "container": Container,
        "none": Unconfined,
    }
    if name not in backends:
        raise BoxError(f"isolation {name!r}: expected one of {', '.join(backends)}")
    return backends[name]()


def box_environment(folders: Mapping[str, object], home: str, temporary: str, work: str = WORK) -> dict[str, str]:
    """A clean environment: nothing of the caller's but what is named here.

    `folders` say where the box sees each folder of its contents: path -> where.
    """
    return {
        "BOX_WORK": work,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "USER": "student",
        "LOGNAME": "student",
        "LANG": "C.UTF-8",
        "TMPDIR": temporary,
        "IPYTHONDIR": f"{temporary}/.ipython",
        "JUPYTER_RUNTIME_DIR": f"{temporary}/.jupyter",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        # There is no network: a download has to fail at once, not after a minute of retries.
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "disabled",
        "TQDM_MININTERVAL": "1",
        # Threads that wait for each other soon sleep. Where other work takes the cores, threads that spin for long cost
        # a training several times its time (`python -m benchmarks.waiting`).
        "GOMP_SPINCOUNT": "10000",
        **{f"BOX_{Path(path).name.upper()}": str(where) for path, where in folders.items()},
    }
