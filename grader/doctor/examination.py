"""The examination: builds boxes that attempt what a box must prevent, and checks one promise after the other."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import grader
from grader.doctor import cells, promises
from grader.doctor import gpu as on_gpu
from grader.doctor.boxes import LIMITS, run_box
from grader.doctor.cells import groups_left, host, processes_left
from grader.doctor.promises import Promise, PromiseState
from grader.errors import BoxError, GraderError
from grader.exercise import Say
from grader.records import AS_GRADER, Status
from grader.rubric import load_rubric
from grader.sandbox import landlock
from grader.sandbox.backend import Backend
from grader.sandbox.gpu import boxes_get_gpu
from grader.sandbox.isolation import backend_named
from grader.sandbox.layers import missing_here
from grader.sandbox.resource_limits import OPEN_FILES

TOO_MUCH_BYTES = 3 * LIMITS.disk_mb * 1_000_000
MOST_PROCESSES = 60
WALL_S = 8.0
MEMORY_MB = 300

_START = (
    "on Ubuntu 24.04 and later: allow user namespaces with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; "
    "in a container: start it with user namespaces allowed; elsewhere: `sysctl user.max_user_namespaces` must not be 0"
)


def examine(rubric_path: Path, isolation: str, say: Say) -> list[Promise]:
    """Examines this machine and returns the promises, in the order in which they are shown.

    Raises:
        BoxError: the isolation is unknown, or this machine does not support it.
    """
    if platform.system() != "Linux":
        return [
            Promise(
                "a box starts",
                PromiseState.BROKEN,
                "this machine does not run Linux",
                "grade on Linux, for instance in a virtual machine",
            )
        ]
    backend = backend_named(isolation, (rubric_path.absolute().parent, Path("runs").absolute()))
    if isolation == "none":  # the attempts would succeed, and could do harm
        open_door = "student code runs as you, and can read and change all your files"
        return [Promise("isolation", PromiseState.BROKEN, open_door, promises.ISOLATE)]
    gpu, namespaces = boxes_get_gpu(), isolation != "user"
    start = _START if namespaces else "do what the message says, or choose --isolation bubblewrap or container"
    with host(hidden_paths(rubric_path)) as outside:
        inputs = outside.inputs | {"too_much_bytes": TOO_MUCH_BYTES, "too_many": 3 * MOST_PROCESSES}
        say("testing network, files and powers")
        try:
            box = run_box(backend, cells.first_box(inputs, gpu=gpu), gpu=gpu)
        except BoxError as error:
            return [Promise("a box starts", PromiseState.BROKEN, str(error), start)]
        if box.result.status is Status.BOX_ERROR:
            last = (box.result.log_tail.strip().splitlines() or [box.result.event])[-1]
            return [Promise("a box starts", PromiseState.BROKEN, f"{box.result.event}: {last[:200]}", start)]
        results = [
            Promise("a box starts", PromiseState.HOLDS, f"{isolation}; all attempts took {box.result.wall_s:.0f} s")
        ]
        weaker = []
        if not namespaces:
            offered = landlock.version()
            results += promises.own_user(backend.name, offered)
            weaker = ["abstract"] if offered < max(landlock.SINCE) else []
        results += promises.network(box.cells["network"].answers, outside.reached_listeners, weaker=weaker)
        results += promises.sight(box.cells["sight"].answers, outside.hidden, namespaces=namespaces)
        lowered = not backend.name.startswith(AS_GRADER)
        results += promises.powers(box.cells["powers"].answers, lowered=lowered)
        results += promises.settings(box.cells["powers"].answers)
        results += promises.filtered(box.cells["powers"].answers, missing_here().get("seccomp", ""))
    results += promises.disk_and_files(box.cells["disk"].answers, box.cells["files"].answers, OPEN_FILES)
    results += promises.endings(box)
    results += _resource_limits(backend, inputs, say)
    results.append(promises.nothing_left(processes_left(), groups_left()))
    results.append(on_gpu.promise(on_gpu.outside(), box.cells["gpu"].answers if gpu else {}))
    say("checking rubric, data and packages")
    return [*results, *_prepared(rubric_path, say)]


def _resource_limits(backend: Backend, inputs: Mapping[str, object], say: Say) -> list[Promise]:
    """Whether memory, processes and time are limited, each tested in a separate box."""
    sources = cells.exhausting_boxes(inputs)
    say("testing the memory limit")
    memory_box = run_box(backend, sources["memory"], replace(LIMITS, memory_mb=MEMORY_MB, cell_s=120))
    say("testing the process limit")
    forks = replace(LIMITS, processes=MOST_PROCESSES)
    process_box = run_box(backend, sources["processes"], forks)
    say("testing the time limit")
    endless_box = run_box(backend, sources["wall"], replace(LIMITS, wall_s=WALL_S))
    return [
        promises.memory(memory_box, missing_here().get("cgroups", "")),
        *promises.processes(process_box, MOST_PROCESSES),
        promises.wall_time(endless_box),
    ]


def hidden_paths(rubric_path: Path) -> dict[str, str]:
    """Paths that a box must not see, each with a name; only existing ones, because others prove nothing."""
    paths = {  # of packages only single files: the code for boxes, which is in the same packages, may be read
        Path(grader.__file__).resolve(): "the grader",
        _exercise_file(rubric_path): "the exercise, with its checks",
        rubric_path.absolute(): "the rubric",
        rubric_path.absolute().parent / "reference": "the reference solution",
        Path("runs").absolute(): "graded submissions",
        Path.home() / ".bashrc": "your home",
        Path.home() / ".ssh": "your keys",
        Path("/etc/shadow"): "passwords",
    }
    return {str(path): words for path, words in paths.items() if path.exists()}


def _exercise_file(rubric_path: Path) -> Path:
    """A file of the rubric's exercise; the rubric itself if it cannot be loaded."""
    try:
        return load_rubric(rubric_path)[1].in_box.parent / "__init__.py"
    except GraderError:
        return rubric_path.absolute()


def _prepared(rubric_path: Path, say: Say) -> list[Promise]:
    """Whether rubric and data are valid, and the packages that the rubric promises to students are installed."""
    try:
        rubric, exercise = load_rubric(rubric_path)
        exercise.prepare(say)
    except GraderError as error:
        return [
            Promise(
                "rubric and data",
                PromiseState.BROKEN,
                str(error),
                "correct what the message says; `make setup` downloads MNIST",
            )
        ]
    whole = f"{rubric.title}: {len(rubric.items)} items; data complete"
    return [Promise("rubric and data", PromiseState.HOLDS, whole), promises.packages(rubric.packages)]
