"""The examination: boxes are built and try what they must not be able to do, which shows what each promise is worth."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import grader
from grader.doctor import cells, promises
from grader.doctor import gpu as on_gpu
from grader.doctor.boxes import LIMITS, run_box
from grader.doctor.cells import groups_left, host, processes_left
from grader.doctor.promises import Promise, PromiseState
from grader.errors import BoxError, GraderError
from grader.records import AS_GRADER, Status
from grader.rubric import load_rubric
from grader.sandbox import landlock
from grader.sandbox.backend import Backend
from grader.sandbox.gpu import present
from grader.sandbox.isolation import backend_named
from grader.sandbox.kernel_limits import OPEN_FILES
from grader.sandbox.layers import missing_here

TOO_MUCH_BYTES = 3 * LIMITS.disk_mb * 1_000_000
MOST_PROCESSES = 60
WALL_S = 8.0
MEMORY_MB = 300
Say = Callable[[str], None]

_START = (
    "on Ubuntu 24.04 and later: allow user namespaces with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; "
    "in a container: start it with user namespaces allowed; elsewhere: `sysctl user.max_user_namespaces` must not be 0"
)


def examine(rubric_path: Path, isolation: str, say: Say) -> list[Promise]:
    """The promises, in the order of the screen.

    Raises:
        BoxError: for an isolation that is none, or that this machine lacks.
    """
    if platform.system() != "Linux":
        return [
            Promise("a box starts", PromiseState.BROKEN, "this is not Linux", "grade on Linux, or in a virtual machine")
        ]
    backend = backend_named(isolation, (rubric_path.absolute().parent, Path("runs").absolute()))
    if isolation == "none":  # trying would only harm: nothing stands in the way
        open_door = "student code runs as you, and reads and changes whatever you can"
        return [Promise("isolation", PromiseState.BROKEN, open_door, promises.ISOLATE)]
    gpu, namespaces = present(), isolation != "user"
    start = _START if namespaces else "do what it names, or choose --isolation bubblewrap or container"
    with host(hidden_paths(rubric_path)) as outside:
        inputs = outside.inputs | {"too_much_bytes": TOO_MUCH_BYTES, "too_many": 3 * MOST_PROCESSES}
        say("a box that looks around")
        try:
            box = run_box(backend, cells.first_box(inputs, gpu=gpu), gpu=gpu)
        except BoxError as error:
            return [Promise("a box starts", PromiseState.BROKEN, str(error), start)]
        if box.result.status is Status.BOX_ERROR:
            last = (box.result.log_tail.strip().splitlines() or [box.result.event])[-1]
            return [Promise("a box starts", PromiseState.BROKEN, f"{box.result.event}: {last[:200]}", start)]
        results = [
            Promise("a box starts", PromiseState.HOLDS, f"{isolation}, in {box.result.wall_s:.0f} s with all it tried")
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
    say("what grading needs besides a box")
    return [*results, *_prepared(rubric_path, say)]


def _resource_limits(backend: Backend, inputs: Mapping[str, object], say: Say) -> list[Promise]:
    """Whether memory, processes and time are limited, each tried in a box of its own."""
    sources = cells.exhausting_boxes(inputs)
    say("a box that hoards memory")
    memory_box = run_box(backend, sources["memory"], replace(LIMITS, memory_mb=MEMORY_MB, cell_s=120))
    say("a box that starts processes")
    forks = replace(LIMITS, processes=MOST_PROCESSES)
    process_box = run_box(backend, sources["processes"], forks)
    say("a box that never ends")
    endless_box = run_box(backend, sources["wall"], replace(LIMITS, wall_s=WALL_S))
    return [
        promises.memory(memory_box, missing_here().get("cgroups", "")),
        *promises.processes(process_box, MOST_PROCESSES),
        promises.wall_time(endless_box),
    ]


def hidden_paths(rubric_path: Path) -> dict[str, str]:
    """What a box must not see, with the words for it; only what exists proves anything."""
    paths = {  # not whole packages: the code for boxes, which lies in them, may be read
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
    """A file of the rubric's exercise; the rubric itself, which is hidden in any case, where it cannot be read."""
    try:
        return load_rubric(rubric_path)[1].in_box.parent / "__init__.py"
    except GraderError:
        return rubric_path.absolute()


def _prepared(rubric_path: Path, say: Say) -> list[Promise]:
    """Whether the rubric binds, what its exercise needs is there and whole, and so is what it promises to students."""
    try:
        rubric, exercise = load_rubric(rubric_path)
        exercise.prepare(say)
    except GraderError as error:
        return [
            Promise(
                "rubric and data", PromiseState.BROKEN, str(error), "mend what it names; `make setup` fetches MNIST"
            )
        ]
    whole = f"{rubric.title}: {len(rubric.items)} items; its data are whole"
    return [Promise("rubric and data", PromiseState.HOLDS, whole), promises.packages(rubric.packages)]
