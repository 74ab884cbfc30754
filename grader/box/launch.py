"""Started by the keeper instead of the box itself: joins the control groups, lowers its own limits and becomes the box.

A separate program, because the alternative (code between fork and exec in a process with threads) is unsafe. Its only
argument is JSON: {"cgroups": [files to write our process id to], "limits": {"NOFILE": 4096, ...}, "command": [...]}.
"""

import json
import os
import resource
import sys


def main() -> None:
    """Replaces this process; returns only by an exception."""
    request = json.loads(sys.argv[1])
    for procs in request["cgroups"]:
        with open(procs, "w") as stream:  # noqa: PTH123  # this program imports as little as it can
            stream.write(str(os.getpid()))
    for name, value in request["limits"].items():
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
    command = request["command"]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
