"""The layers of isolation, by name: what each one stops, and which of them this machine does not support.

A backend and its supervisor can be built without some layers, so that tests and the doctor can show the effect of each.
Grading always uses all of them: neither the command line nor `backend_named` can name a layer.
"""

from __future__ import annotations

import platform
from collections.abc import Collection

from grader.errors import BoxError
from grader.sandbox.control_groups import can_make_groups
from grader.sandbox.seccomp import kernel_filter

LAYERS: dict[str, str] = {
    "network": "only the box's own loopback interface",
    "processes": "only the box's own processes are visible, and none outlives the box",
    "ipc": "no shared memory, semaphore or queue of the machine",
    "hostname": "the machine's name is hidden",
    "cgroup names": "the box's place among the machine's control groups is hidden",
    "files": "of the machine's files only system libraries, Python and the exercise's files are visible",
    "read only": "nothing can be written except in a few small folders",
    "disk": "each of these folders has a maximum size",
    "capabilities": "the box's user has no capabilities, not even within the box",
    "user namespaces": "no further namespace, in which it would have capabilities",
    "another user": "if root grades: the box's user has no account outside either, and owns nothing of the machine",
    # With a GPU, files of the box's own processes there can be written, because CUDA's driver names its threads.
    "kernel settings": "nothing in /proc can be written, and files there for the machine's owner are hidden",
    "seccomp": "kernel calls that no notebook needs are refused before their code runs",
    "environment": "no environment variable of the caller",
    "descriptors": "no open file of the caller",
    "cgroups": "memory and number of tasks, counted and limited by the kernel for the whole box",
    "rlimits": "size of a file, open files, tasks, CPU time, core dumps",
    "monitor": "memory, files in memory and processes, counted by the supervisor ten times per second",
}

# The layers of a box without namespaces, `grader.sandbox.own_user`.
LAYERS_WITHOUT_NAMESPACES: dict[str, str] = {
    "another user": "if root grades: no file, process or object of the machine belongs to the box's user",
    "landlock": "of the machine's files only system libraries, Python and the exercise's files can be opened",
    "seccomp": "kernel calls that no notebook needs are refused, among them all sockets except AF_UNIX",
    **{name: LAYERS[name] for name in ("environment", "descriptors", "cgroups", "rlimits", "monitor")},
}


def known_layers(without: Collection[str], layers: Collection[str] = LAYERS) -> frozenset[str]:
    """Returns the layers to leave out.

    Raises:
        BoxError: one of the names is unknown.
    """
    if unknown := sorted(set(without) - set(layers)):
        raise BoxError(f"layer {unknown[0]!r}: expected one of {', '.join(layers)}")
    return frozenset(without)


def missing_here() -> dict[str, str]:
    """Returns the layers that this machine or account does not support, and what is weaker without them."""
    missing = {}
    if kernel_filter(platform.machine()) is None:
        missing["seccomp"] = (
            f"the kernel call numbers of {platform.machine()} are not known, so no call is refused by number; "
            "only capabilities and namespaces protect the machine"
        )
    if not can_make_groups():
        missing["cgroups"] = (
            "this account may not create control groups, so memory and processes are checked ten times per second: "
            "a sandbox may exceed its limit for a moment, and only visible memory is limited"
        )
    return missing
