"""Started by the keeper instead of the box itself: joins the control groups, lowers its own limits and becomes the box.

A separate program, because the alternative (code between fork and exec in a process with threads) is unsafe. Its only
argument is JSON: {"keeper": our parent's process id, "cgroups": [files to write our process id to],
"limits": {"NOFILE": 4096, ...}, "descriptors": {"9": hexadecimal of what is to be read there}, "command": [...]}.
"""

import ctypes
import json
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Replaces this process; returns only by an exception."""
    request = json.loads(sys.argv[1])
    if sys.platform == "linux":
        stay_together(request["keeper"])
    for procs in request["cgroups"]:
        with open(procs, "w") as stream:  # noqa: PTH123  # this program imports as little as it can
            stream.write(str(os.getpid()))
    for name, value in request["limits"].items():
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
    for number, content in request["descriptors"].items():
        readable, writable = os.pipe()  # what is written here is far smaller than a pipe
        os.write(writable, bytes.fromhex(content))
        os.close(writable)
        os.dup2(readable, int(number), inheritable=True)
    command = request["command"]
    os.execv(command[0], command)


def stay_together(keeper: int) -> None:
    """This process dies with its keeper, from now on and not only once the box is built; its orphans stay below it."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != keeper:  # it died before we asked
        os._exit(1)


if __name__ == "__main__":
    main()
