"""Started by the supervisor instead of the box itself: joins control groups, lowers its limits and becomes the box.

A separate program, because the alternative (code between fork and exec in a process with threads) is unsafe. Its only
argument is JSON: {"supervisor": our parent's process id, "cgroups": [files to write our process id to],
"limits": {"NOFILE": 4096, ...}, "descriptors": {"9": hexadecimal of what is to be read there}, "command": [...],
"user": null, or {"id": of the machine's, "inside": 1000, "descriptors": [10, 11], "last": whether the box may make no
further user namespace}, "confinement": null, or what keeps a box without namespaces, see
`grader.sandbox.backend.Confinement`}.

With {"end": an id of a user} instead, every process of that user is dead when it ends.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 22, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL, SECCOMP_MODE_FILTER = 4, 2
CAP_VERSION, LAST_CAP = 0x2008_0522, 63
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT, BENEATH = 444, 445, 446, 1
O_PATH = 0o10000000  # of Linux on every machine
NEW_USER = 0x1000_0000
END_S = 30.0  # for killed processes to be gone
AS_THEY_ARE = "0 0 4294967295"


def main() -> None:
    """Replaces this process; returns only by an exception."""
    request = json.loads(sys.argv[1])
    if "end" in request:
        sys.exit(0 if end_all(request["end"]) else 1)
    if sys.platform == "linux":
        stay_together(request["supervisor"])
    confinement = request["confinement"]
    if confinement is not None:
        stand_guard(request["supervisor"], confinement["id"], confinement.pop("folder"), confinement.pop("shared"))
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
        make_user_namespaces(**request["user"])
    if confinement is not None:
        give_up(**confinement)
    command = request["command"]
    os.execv(command[0], command)


def stay_together(supervisor: int) -> None:
    """This process dies with its supervisor from now on, not only once the box is built; its orphans stay below it."""
    end_with_parent()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != supervisor:  # it died before we asked
        os._exit(1)


def make_user_namespaces(id: int, inside: int, descriptors: list[int], last: bool) -> None:
    """On the two descriptors are user namespaces in which root builds a box that another user runs in.

    The first has all of the machine's users: in it, root binds what lies below folders that only root may enter. The
    second lies in the first and knows the one user alone, as `inside`. Whoever turns into that user there has no way
    back, for root is not among those that it has.
    """
    os.setgroups([])
    first, second = descriptors
    builder = process_in_namespace(lambda: make_second(id, inside, last))
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
    other = process_in_namespace(lambda: None)
    map_users(other, f"{inside} {id} 1")
    if ctypes.CDLL(None).setns(os.open(f"/proc/{other}/ns/user", os.O_RDONLY), NEW_USER):
        raise OSError("the second user namespace cannot be entered")
    end(other)
    stand_still()


def process_in_namespace(act: Callable[[], None]) -> int:
    """Our process that waits in a new user namespace, and continues with `act`."""
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
    prctl(PR_SET_DUMPABLE, 1)
    end_with_parent()
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


def stand_guard(supervisor: int, user: int | None, folder: str, shared: list[str]) -> None:
    """Goes on in a child, which becomes the box; this process stays outside, and ends with it or with the supervisor.

    No namespace would end what the child leaves, so this does: all processes of the box's user, or, where that is the
    grader's own, all descendants of this one. If the supervisor is gone, it also removes the box's folder and what
    is that user's in the folders that all users share.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        die_with_parent(os.getppid())
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):  # the box's own alone, or nobody would see that it has closed them
        os.dup2(nothing, number)
    status = 1 << 8  # of a process that ended with 1: so does this, where it is ended before it sees the child's end
    try:
        end_with_parent(signal.SIGTERM)
        ended = 0
        while ended != child and os.getppid() == supervisor:
            ended, status = os.wait()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_all(user)
        if os.getppid() != supervisor:
            leftovers = [path for place in shared for path in files_of(user, place)]
            os.execv("/bin/rm", ["rm", "-rf", "--", folder, *leftovers])
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)


def end_all(user: int | None) -> bool:
    """Every process of the user is dead; without one, every process below this. False where one is not."""
    deadline = time.monotonic() + END_S
    while list(processes_of(user)) if user is not None else below(os.getpid()):
        if user is not None and (child := os.fork()) == 0:
            become(user)
            os.kill(-1, signal.SIGKILL)  # all at once, so that none can make another meanwhile
            os._exit(0)
        elif user is not None:
            os.waitpid(child, 0)
        for process in stopped_below(deadline) if user is None else ():
            with contextlib.suppress(OSError):  # it is gone
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(OSError):  # there is nobody to bury
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def stopped_below(deadline: float) -> set[int]:
    """The living processes below this one, all of which stand still: one that runs makes others while it is killed."""
    stopped: set[int] = set()
    while (moving := set(below(os.getpid())) - stopped) and time.monotonic() < deadline:
        for process in moving:
            with contextlib.suppress(OSError):  # it is gone
                os.kill(process, signal.SIGSTOP)
        stopped |= moving
    return stopped


def processes_of(user: int) -> Iterator[int]:
    """The living processes with that user among their ids."""
    for process, fields in statuses():
        if str(user) in fields["Uid"]:
            yield process


def files_of(user: int | None, folder: str) -> Iterator[str]:
    """The paths of what lies in the folder and is the user's; nothing for the grader's own."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries if user is not None else ():
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == user:
                    yield entry.path


def below(ancestor: int) -> list[int]:
    """The living processes whose parent, or whose parent's parent and so on, is this one."""
    parents = {process: int(fields["PPid"][0]) for process, fields in statuses()}
    descendants, new = set[int](), {ancestor}
    while new := {process for process, parent in parents.items() if parent in new} - descendants:
        descendants |= new
    return sorted(descendants)


def statuses() -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Each living process of the machine, with the lines of its status file by their names."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{name}/status", errors="replace") as stream:  # noqa: PTH123
                lines = dict(line.partition(":")[::2] for line in stream)
        except OSError:
            continue
        fields = {key: value.split() for key, value in lines.items()}
        if fields.get("State", ["Z"])[0] not in ("Z", "X"):
            yield int(name), fields


def give_up(
    id: int | None, tasks: int | None, ruleset: str | None, rules: list[tuple[str, int]], filter: str | None
) -> None:
    """This process is the box's user, has no powers, and keeps to the ruleset and the filter."""
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getppid()
    landlock = open_rules(libc, ruleset, rules)
    os.umask(0o077)
    if tasks is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if id is not None:
        for power in range(LAST_CAP + 1):  # those that the kernel has not are refused
            prctl(PR_CAPBSET_DROP, power)
        become(id)
    must(libc.capset(struct.pack("=Ii", CAP_VERSION, 0), bytes(24)), "the powers cannot be given up")
    die_with_parent(parent)  # a process that becomes another user must set it again
    must(prctl(PR_SET_NO_NEW_PRIVS, 1), "new powers cannot be forbidden")
    if landlock is not None:
        must(libc.syscall(LANDLOCK_RESTRICT, landlock, 0), "Landlock was refused")
        os.close(landlock)
    if filter is not None:
        steps = ctypes.create_string_buffer(bytes.fromhex(filter))
        program = struct.pack("@HP", (len(steps) - 1) // 8, ctypes.addressof(steps))
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program), "the filter was refused")


def open_rules(libc: ctypes.CDLL, ruleset: str | None, rules: list[tuple[str, int]]) -> int | None:
    """A Landlock ruleset: what it forbids stays allowed as far as the rules say, rights below a path; None for none."""
    if ruleset is None:
        return None
    attributes = bytes.fromhex(ruleset)
    landlock = must(libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0), "Landlock was refused")
    for path, rights in rules:
        place = os.open(path, O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, place)
        must(libc.syscall(LANDLOCK_ADD, landlock, BENEATH, rule, 0), f"{path}: Landlock was refused")
        os.close(place)
    return landlock


def become(user: int) -> None:
    """This process is that user, in a group of the same number alone, and in no other."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def die_with_parent(parent: int) -> None:
    """This process dies with its parent, which was that one a moment ago."""
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def end_with_parent(by: int = signal.SIGKILL) -> None:
    """From now on the kernel sends this process the signal as soon as its parent ends; on Linux alone."""
    prctl(PR_SET_PDEATHSIG, by)


def prctl(request: int, argument: int, address: bytes | int = 0) -> int:
    """The kernel's answer to a request of this process about itself; below 0 where it was refused: see prctl(2)."""
    return int(ctypes.CDLL(None, use_errno=True).prctl(request, argument, address, 0, 0))


def must(result: int, refused: str) -> int:
    """The result of a call that has worked.

    Raises:
        SystemExit: with what was refused, and the kernel's reason; the box does not start.
    """
    if result < 0:
        raise SystemExit(f"launch: {refused}: {os.strerror(ctypes.get_errno())}")
    return result


def write(path: str, text: str) -> None:
    """The kernel has taken the text."""
    with open(path, "w") as stream:  # noqa: PTH123  # this program imports as little as it can
        stream.write(text)


if __name__ == "__main__":
    main()
