"""The protocol of an isolation backend, which turns a box's contents into a command line.

Adding a backend is one file that provides `Backend` and one line in `isolation.BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from grader.records import Limits

ENGINE_FOLDER = Path(__file__).parent / "in_box"
ENGINE = "/box/engine"  # where the box sees that folder
RUNNER = "runner.py"  # there, the program that every box begins with
PROBE = "/box/probe"  # where it sees the exercise's in_box
WORK = "/box/run"  # where the runner puts questions down: apart, so that a notebook that fills its folders leaves room
SPARE_TASKS = 8  # the box's own, in addition to the notebook's limits


# What a box contains in addition to the operating system and the Python environment, all of it read-only:
# path in the box -> folder outside.
Contents = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class BoxUser:
    """The user of a box that root starts: `launch.make_user_namespaces` makes its namespaces."""

    id: int  # of the machine's
    inside: int
    descriptors: tuple[int, int]  # where the box's outermost process finds its two user namespaces
    last: bool  # no further user namespace can be made inside


@dataclass(frozen=True, slots=True)
class Confinement:
    """Restrictions for a box without namespaces, applied by `launch.stand_guard` and `launch.give_up`."""

    id: int | None  # of a user who owns nothing else; None: the box's user is the grader's own
    folder: str  # the box's own: removed by the guard where the supervisor is gone
    shared: Sequence[str]  # folders of the machine that all users write in, in which it may have left something
    tasks: int | None  # the most that the user may have
    ruleset: str | None  # Landlock's, in hexadecimal
    rules: Sequence[tuple[str, int]]  # and the rights that it leaves below each path
    filter: str | None  # of kernel calls, in hexadecimal


@dataclass(frozen=True, slots=True)
class Files:
    """The space that a box's files take: MB in its fullest folder on a disk, MB in memory, and their number."""

    disk_mb: float
    memory_mb: float
    count: int


@dataclass(frozen=True, slots=True)
class Command:
    """How a box's outermost process is started, and how anything that it leaves is removed."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Mapping[int, bytes] = field(default_factory=dict)  # number -> what that process reads from it
    user: BoxUser | None = None  # None: the box's user is the one that runs the grader
    confinement: Confinement | None = None  # None: namespaces keep the box, or nothing does
    # What its files take, asked with the ids of its processes; None where the folders themselves have a size.
    files: Callable[[Collection[int]], Files] | None = None
    memory_folders: Sequence[str] = ()  # in the box: files there lie in memory that no process's own shows
    # Called once when that process is dead; raises BoxError where something stays.
    end: Callable[[], None] = lambda: None


class Backend(Protocol):
    """Builds the command that runs the in-box runner with its frames on standard input and output."""

    name: str  # as reports call it: the option's word, and how it was kept where that is not always the same
    without: frozenset[str]  # layers that are left out, for tests and the doctor alone
    limits_itself: bool  # memory, tasks and files are limited by what the command starts, not by the supervisor

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """How the box's outermost process is started."""


def box_environment(folders: Mapping[str, object], home: str, temporary: str, work: str = WORK) -> dict[str, str]:
    """Returns a clean environment, which has only the variables that are named here.

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
