"""The layers of the wall, by name: what each one stops, and which of them this machine cannot give.

A backend and its supervisor can be built without some of them, so that tests and the doctor can show what each one is
worth. Nothing that grades does: neither the command line nor `backend_named` can name a layer.
"""

from __future__ import annotations

import platform
from collections.abc import Collection

from grader.errors import BoxError
from grader.sandbox.kernel_limits import can_be_made
from grader.sandbox.seccomp import kernel_filter

LAYERS: dict[str, str] = {
    "network": "no interface but a loopback of the box's own",
    "processes": "no process of the machine is in sight, and none of the box's outlives it",
    "ipc": "no shared memory, semaphore or queue of the machine's",
    "hostname": "the machine's name is not told",
    "cgroup names": "where the box stands among the machine's control groups is not told",
    "files": "of the machine's files only the system's libraries, Python and what the exercise needs are in sight",
    "read only": "nothing can be made beside the few small folders that are there for it",
    "disk": "each of these folders has a size",
    "capabilities": "the box's user has no powers, not even over the box",
    "user namespaces": "no further namespace, in which it would have some",
    "another user": "where root grades: the box's user is nobody outside, too, and owns nothing of the machine's",
    # With a GPU, files of the box's own processes there can be written, for CUDA's driver names its threads.
    "kernel settings": "nothing in /proc can be written, and what it has for the machine's owner is not there",
    "seccomp": "calls that no notebook needs are refused before the kernel's own code for them runs",
    "environment": "no variable of the caller's",
    "descriptors": "no file that the caller has open",
    "cgroups": "memory and number of tasks, counted and limited by the kernel for the box as a whole",
    "rlimits": "size of a file, open files, tasks, CPU time, core dumps",
    "watch": "memory, files in memory and processes, counted by the supervisor ten times a second",
}

# Those of a box without namespaces, `grader.sandbox.own_user`.
LAYERS_WITHOUT_NAMESPACES: dict[str, str] = {
    "another user": "where root grades: no file, process or object of the machine belongs to the box's user",
    "landlock": "of the machine's files only the system's libraries, Python and what the exercise needs can be opened",
    "seccomp": "calls that no notebook needs are refused, among them all sockets but those of one machine",
    **{name: LAYERS[name] for name in ("environment", "descriptors", "cgroups", "rlimits", "watch")},
}


def checked(without: Collection[str], layers: Collection[str] = LAYERS) -> frozenset[str]:
    """The layers to be left out.

    Raises:
        BoxError: for a name that is none.
    """
    if unknown := sorted(set(without) - set(layers)):
        raise BoxError(f"layer {unknown[0]!r}: expected one of {', '.join(layers)}")
    return frozenset(without)


def missing_here() -> dict[str, str]:
    """The layers that this machine or account cannot give, and what is weaker without them; empty where all is well."""
    missing = {}
    if kernel_filter(platform.machine()) is None:
        missing["seccomp"] = (
            f"the numbers of the kernel calls of {platform.machine()} are not known: none is refused by number, "
            "and capabilities and namespaces alone stand in the way"
        )
    if not can_be_made():
        missing["cgroups"] = (
            "this account may make no control groups: memory and processes are watched ten times a second instead, "
            "so that a box may be above its limit for a moment, and memory is limited only as far as it can be seen"
        )
    return missing
