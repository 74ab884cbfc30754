"""The protocol of an isolation backend, which turns a box's contents into a command line.

A backend is a class with this protocol in a file of its own, an entry in `isolation.BACKENDS`, and one in `ISOLATIONS`
of `cli/options.py`; CONTRIBUTING.md says what else it may need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from grader.records import Limits

IN_BOX_FOLDER = Path(__file__).parent / "in_box"
IN_BOX = "/box/engine"  # where the box sees that folder
RUNNER = "runner.py"  # in that folder: the program that every box runs first
PROBE = "/box/probe"  # where the box sees the exercise's folder `in_box`
WORK = "/box/run"  # the runner's folder for questions: separate, because a notebook may fill its own folders
SPARE_TASKS = 8  # tasks that the box itself needs, in addition to the notebook's limit


# What a box contains in addition to the operating system and the Python environment, all of it read-only:
# path in the box -> folder outside.
Contents = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class BoxUser:
    """The user of a box that root starts; `launch.make_user_namespaces` creates its namespaces."""

    id: int  # on the machine
    inside: int  # the id in the box
    descriptors: tuple[int, int]  # where the box's outermost process finds its two user namespaces
    forbids_nested_namespaces: bool  # whether code in the box can make no further user namespace


@dataclass(frozen=True, slots=True)
class Confinement:
    """Restrictions for a box without namespaces, applied by `launch.stand_guard` and `launch.drop_privileges`."""

    id: int | None  # of a user who owns nothing else; None: the box runs as the grader's own account
    folder: str  # of this box only; the guard removes it if the supervisor is gone
    shared: Sequence[str]  # folders of the machine that all users can write to, where the box may have left files
    tasks: int | None  # the largest number of tasks that the user may have
    ruleset: str | None  # Landlock's, in hexadecimal
    rules: Sequence[tuple[str, int]]  # paths, and the rights that the ruleset leaves below each
    filter: str | None  # of system calls, in hexadecimal


@dataclass(frozen=True, slots=True)
class Files:
    """The size and number of a box's files: MB in its fullest folder on a disk, MB in memory, and a count."""

    disk_mb: float
    memory_mb: float
    count: int


@dataclass(frozen=True, slots=True)
class Command:
    """How a box's outermost process is started, and how anything that it leaves is removed."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Mapping[int, bytes] = field(default_factory=dict)  # number -> the bytes that the process reads from it
    user: BoxUser | None = None  # None: the box's user is the one that runs the grader
    confinement: Confinement | None = None  # None: namespaces isolate the box, or nothing does
    # Measures the box's files, given the ids of its processes; None if the folders themselves have a maximum size.
    count_files: Callable[[Collection[int]], Files] | None = None
    memory_folders: Sequence[str] = ()  # in the box: files there are in memory, but count as no process's memory
    # Called once when that process is dead; raises BoxError if something could not be removed.
    end: Callable[[], None] = lambda: None


class Backend(Protocol):
    """Builds the command that runs the in-box runner with its frames on standard input and output."""

    name: str  # in reports: the option's word, with details if the isolation differs between machines
    # Layers that the supervisor leaves out: those that a container engine enforces, and those that tests and the doctor
    # leave out to show their effect.
    without: frozenset[str]

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """How the box's outermost process is started."""


def box_environment(folders: Mapping[str, object], home: str, temporary: str, work: str = WORK) -> dict[str, str]:
    """Returns a clean environment, which has only the variables that are named here.

    `folders` maps each path of the contents, such as `/box/engine`, to the place where this box sees that folder.
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
        # Waiting threads sleep after a short time. If other work uses the cores, threads that spin for long make a
        # training take several times as long (`python -m benchmarks.waiting`).
        "GOMP_SPINCOUNT": "10000",
        # `torch.compile` returns its argument: a loop's steps are recorded with hooks, which compiled models skip.
        "TORCHDYNAMO_DISABLE": "1",
        **{f"BOX_{Path(path).name.upper()}": str(where) for path, where in folders.items()},
    }
