"""Started by the keeper instead of the box itself: joins the control groups, lowers its own limits and becomes the box.

A separate program, because the alternative (code between fork and exec in a process with threads) is unsafe. Its only
argument is JSON: {"keeper": our parent's process id, "cgroups": [files to write our process id to],
"limits": {"NOFILE": 4096, ...}, "descriptors": {"9": hexadecimal of what is to be read there}, "command": [...],
"user": null, or {"id": of the machine's, "inside": 1000, "descriptors": [10, 11], "last": whether the box may make no
further user namespace}}.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
NEW_USER = 0x1000_0000
AS_THEY_ARE = "0 0 4294967295"


def main() -> None:
    """Replaces this process; returns only by an exception."""
    request = json.loads(sys.argv[1])
    if sys.platform == "linux":
        stay_together(request["keeper"])
    for procs in request["cgroups"]:
        write(procs, str(os.getpid()))
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
    if request["user"] is not None:
        prepare_another(**request["user"])
    command = request["command"]
    os.execv(command[0], command)


def stay_together(keeper: int) -> None:
    """This process dies with its keeper, from now on and not only once the box is built; its orphans stay below it."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != keeper:  # it died before we asked
        os._exit(1)


def prepare_another(id: int, inside: int, descriptors: list[int], last: bool) -> None:
    """On the two descriptors are user namespaces in which root builds a box that another user runs in.

    The first has all of the machine's users: in it, root binds what lies below folders that only root may enter. The
    second lies in the first and knows the one user alone, as `inside`. Whoever turns into that user there has no way
    back, for root is not among those that it has.
    """
    os.setgroups([])
    first, second = descriptors
    builder = started(lambda: make_second(id, inside, last))
    keep_namespace(builder, first)
    map_users(builder, AS_THEY_ARE)
    os.kill(builder, signal.SIGCONT)
    wait_for(builder)
    keep_namespace(builder, second)
    end(builder)


def make_second(id: int, inside: int, last: bool) -> None:
    """This process has gone from the first namespace into the second, and stands still there."""
    if last:
        write("/proc/sys/user/max_user_namespaces", "1")
    other = started(lambda: None)
    map_users(other, f"{inside} {id} 1")
    if ctypes.CDLL(None).setns(os.open(f"/proc/{other}/ns/user", os.O_RDONLY), NEW_USER):
        raise OSError("the second user namespace cannot be entered")
    end(other)
    stand_still()


def started(act: Callable[[], None]) -> int:
    """A process of ours that stands still in a new user namespace, and goes on with `act`."""
    child = os.fork()
    if child:
        wait_for(child)
        return child
    try:
        if ctypes.CDLL(None).unshare(NEW_USER):
            raise OSError("a user namespace was refused")
        stand_still()
        act()
    except OSError as error:
        os.write(2, f"launch: {error}\n".encode())
    finally:
        os._exit(1)


def stand_still() -> None:
    """This process waits until its parent, who may look at it, lets it go on; it dies with its parent."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)


def wait_for(child: int) -> None:
    """The process stands still.

    Raises:
        SystemExit: where it has ended instead, and has said why.
    """
    if not os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
        raise SystemExit("launch: root cannot make a user namespace for the box, and runs no notebook as root")


def end(child: int) -> None:
    """The process is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def keep_namespace(process: int, descriptor: int) -> None:
    """The user namespace of the process is open there."""
    os.dup2(os.open(f"/proc/{process}/ns/user", os.O_RDONLY), descriptor, inheritable=True)


def map_users(process: int, ids: str) -> None:
    """The namespace of the process has these users, and groups of the same numbers."""
    for kind in ("uid_map", "gid_map"):
        write(f"/proc/{process}/{kind}", ids)


def write(path: str, text: str) -> None:
    """The kernel has taken the text."""
    with open(path, "w") as stream:  # noqa: PTH123  # this program imports as little as it can
        stream.write(text)


if __name__ == "__main__":
    main()
