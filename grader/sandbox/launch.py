"""The program that the supervisor starts: it joins control groups, sets resource limits, and becomes the box.

A separate program, because the alternative (code between fork and exec in a process with threads) is unsafe. Its only
argument is JSON: {"supervisor": our parent's process id, "cgroups": [files to write our process id to],
"limits": {"NOFILE": 4096, ...}, "descriptors": {"9": the bytes to be read there, in hexadecimal}, "command": [...],
"user": null, or the fields of `grader.sandbox.backend.BoxUser`, "confinement": null, or the fields of
`grader.sandbox.backend.Confinement`, which restrict a box without namespaces}.

With {"end": user id} instead, it kills every process of that user.
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
O_PATH = 0o10000000  # of Linux, on x86_64 and aarch64
NEW_USER = 0x1000_0000
END_S = 30.0  # until killed processes must be gone
ALL_IDS_UNCHANGED = "0 0 4294967295"  # a line of uid_map and gid_map


def main() -> None:
    """Replaces this process by the box's outermost process; returns only by an exception."""
    request = json.loads(sys.argv[1])
    if "end" in request:
        sys.exit(0 if end_all(request["end"]) else 1)
    if sys.platform == "linux":
        die_with_parent(request["supervisor"])  # even while the box is being built
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # it also becomes the parent of descendants whose own parent has ended
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
        readable, writable = os.pipe()  # the content is far smaller than the pipe's buffer
        os.write(writable, bytes.fromhex(content))
        os.close(writable)
        os.dup2(readable, int(number), inheritable=True)
    if request["user"] is not None:
        make_user_namespaces(**request["user"])
    if confinement is not None:
        drop_privileges(**confinement)
    command = request["command"]
    os.execv(command[0], command)


def make_user_namespaces(id: int, inside: int, descriptors: list[int], forbids_nested_namespaces: bool) -> None:
    """Opens, on the two descriptors, the user namespaces in which root builds a box for another user.

    The first maps all users of the machine: in it, root can bind files below folders that only root may enter. The
    second is nested in the first and maps only the box's user, as `inside`. A process that becomes this user there
    cannot become root again, because root is not mapped.
    """
    os.setgroups([])
    first, second = descriptors
    builder = process_in_namespace(lambda: make_second(id, inside, forbids_nested_namespaces))
    keep_namespace(builder, first)
    map_users(builder, ALL_IDS_UNCHANGED)
    os.kill(builder, signal.SIGCONT)
    wait_for(builder)
    keep_namespace(builder, second)
    kill_and_wait(builder)


def make_second(id: int, inside: int, forbids_nested_namespaces: bool) -> None:
    """Moves this process from the first namespace into the second, and stops it there."""
    if forbids_nested_namespaces:
        write("/proc/sys/user/max_user_namespaces", "1")
    other = process_in_namespace(lambda: None)
    map_users(other, f"{inside} {id} 1")
    if ctypes.CDLL(None).setns(os.open(f"/proc/{other}/ns/user", os.O_RDONLY), NEW_USER):
        raise OSError("the second user namespace cannot be entered")
    kill_and_wait(other)
    stop_until_continued()


def process_in_namespace(act: Callable[[], None]) -> int:
    """Starts a process that stops in a new user namespace, and later continues with `act`; returns its id."""
    child = os.fork()
    if child:
        wait_for(child)
        return child
    try:
        if ctypes.CDLL(None).unshare(NEW_USER):
            raise OSError("a user namespace was refused")
        stop_until_continued()
        act()
    except OSError as error:
        os.write(2, f"launch: {error}\n".encode())
    finally:
        os._exit(1)


def stop_until_continued() -> None:
    """Stops this process until its parent, which may inspect it meanwhile, continues it; it dies with its parent."""
    prctl(PR_SET_DUMPABLE, 1)
    signal_on_parent_death()
    os.kill(os.getpid(), signal.SIGSTOP)


def wait_for(child: int) -> None:
    """Waits until the process has stopped.

    Raises:
        SystemExit: the process has ended instead, after printing the reason.
    """
    if not os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
        raise SystemExit("launch: root cannot make a user namespace for the box, and runs no notebook as root")


def kill_and_wait(child: int) -> None:
    """Kills the child process, and waits until it is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def keep_namespace(process: int, descriptor: int) -> None:
    """Opens the user namespace of the process on this descriptor."""
    os.dup2(os.open(f"/proc/{process}/ns/user", os.O_RDONLY), descriptor, inheritable=True)


def map_users(process: int, ids: str) -> None:
    """Maps these users, and groups of the same numbers, into the namespace of the process."""
    for kind in ("uid_map", "gid_map"):
        write(f"/proc/{process}/{kind}", ids)


def stand_guard(supervisor: int, user: int | None, folder: str, shared: list[str]) -> None:
    """Returns in a child process, which becomes the box; this process stays outside as its guard, and ends after it.

    Without a namespace, nothing else would end the processes that the child leaves. The guard kills all processes of
    the box's user, or, if that is the grader's own account, all descendants of the guard. If the supervisor is gone,
    the guard ends the box, and also removes the box's folder and that user's files in the folders that users share.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        die_with_parent(os.getppid())
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):  # otherwise the supervisor could not notice that the box has closed its pipes
        os.dup2(nothing, number)
    status = 1 << 8  # as if the child had ended with 1, if this process is ended before the child
    try:
        signal_on_parent_death(signal.SIGTERM)
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
    """Kills every process of the user, or with None all descendants of this process; returns whether all are dead."""
    deadline = time.monotonic() + END_S
    while list(processes_of(user)) if user is not None else below(os.getpid()):
        if user is not None and (child := os.fork()) == 0:
            become(user)
            os.kill(-1, signal.SIGKILL)  # all at once, so that none can start another meanwhile
            os._exit(0)
        elif user is not None:
            os.waitpid(child, 0)
        for process in stopped_below(deadline) if user is None else ():
            with contextlib.suppress(OSError):  # it is gone
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(OSError):  # there are no children to wait for
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def stopped_below(deadline: float) -> set[int]:
    """Stops all living descendants and returns their ids; a running process could start others meanwhile."""
    stopped: set[int] = set()
    while (moving := set(below(os.getpid())) - stopped) and time.monotonic() < deadline:
        for process in moving:
            with contextlib.suppress(OSError):  # it is gone
                os.kill(process, signal.SIGSTOP)
        stopped |= moving
    return stopped


def processes_of(user: int) -> Iterator[int]:
    """Yields the ids of the living processes that have this user among their user ids."""
    for process, fields in statuses():
        if str(user) in fields["Uid"]:
            yield process


def files_of(user: int | None, folder: str) -> Iterator[str]:
    """Yields the paths in the folder that belong to the user; none for the grader's own account."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries if user is not None else ():
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == user:
                    yield entry.path


def below(ancestor: int) -> list[int]:
    """Returns the ids of the living descendants of a process, sorted."""
    parents = {process: int(fields["PPid"][0]) for process, fields in statuses()}
    descendants, new = set[int](), {ancestor}
    while new := {process for process, parent in parents.items() if parent in new} - descendants:
        descendants |= new
    return sorted(descendants)


def statuses() -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Yields the id of each living process of the machine, and the fields of its status file by name."""
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{name}/status", errors="replace") as stream:  # noqa: PTH123
                lines = dict(line.partition(":")[::2] for line in stream)
        except OSError:
            continue
        fields = {key: value.split() for key, value in lines.items()}
        if fields.get("State", ["Z"])[0] not in ("Z", "X"):
            yield int(name), fields


def drop_privileges(
    id: int | None, tasks: int | None, ruleset: str | None, rules: list[tuple[str, int]], filter: str | None
) -> None:
    """Makes this process the box's user, without capabilities, and applies the ruleset and the filter."""
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getppid()
    landlock = open_rules(libc, ruleset, rules)
    os.umask(0o077)
    if tasks is not None:
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if id is not None:
        for power in range(LAST_CAP + 1):  # the kernel refuses those that it does not know
            prctl(PR_CAPBSET_DROP, power)
        become(id)
    checked_call(libc.capset(struct.pack("=Ii", CAP_VERSION, 0), bytes(24)), "the powers cannot be given up")
    die_with_parent(parent)  # a process that becomes another user must set it again
    checked_call(prctl(PR_SET_NO_NEW_PRIVS, 1), "new powers cannot be forbidden")
    if landlock is not None:
        checked_call(libc.syscall(LANDLOCK_RESTRICT, landlock, 0), "Landlock was refused")
        os.close(landlock)
    if filter is not None:
        steps = ctypes.create_string_buffer(bytes.fromhex(filter))
        program = struct.pack("@HP", (len(steps) - 1) // 8, ctypes.addressof(steps))
        checked_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program), "the filter was refused")


def open_rules(libc: ctypes.CDLL, ruleset: str | None, rules: list[tuple[str, int]]) -> int | None:
    """Opens a Landlock ruleset that allows only these rights below these paths; returns None without a ruleset."""
    if ruleset is None:
        return None
    attributes = bytes.fromhex(ruleset)
    landlock = checked_call(libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0), "Landlock was refused")
    for path, rights in rules:
        place = os.open(path, O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", rights, place)
        checked_call(libc.syscall(LANDLOCK_ADD, landlock, BENEATH, rule, 0), f"{path}: Landlock was refused")
        os.close(place)
    return landlock


def become(user: int) -> None:
    """Makes this process run as that user, whose only group has the same number."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def die_with_parent(parent: int) -> None:
    """Makes this process die with its parent; ends it at once if its parent is no longer `parent`."""
    signal_on_parent_death()
    if os.getppid() != parent:
        os._exit(1)


def signal_on_parent_death(by: int = signal.SIGKILL) -> None:
    """Asks the kernel to send this process the signal as soon as its parent ends; only on Linux."""
    prctl(PR_SET_PDEATHSIG, by)


def prctl(request: int, argument: int, address: bytes | int = 0) -> int:
    """Calls prctl(2); returns the kernel's answer, below 0 if it refused."""
    return int(ctypes.CDLL(None, use_errno=True).prctl(request, argument, address, 0, 0))


def checked_call(result: int, refused: str) -> int:
    """Returns the result of a call, if the call succeeded.

    Raises:
        SystemExit: the call failed; the message names it and the kernel's reason. The box does not start.
    """
    if result < 0:
        raise SystemExit(f"launch: {refused}: {os.strerror(ctypes.get_errno())}")
    return result


def write(path: str, text: str) -> None:
    """Writes the text to a file that the kernel provides."""
    with open(path, "w") as stream:  # noqa: PTH123  # this program imports as little as it can
        stream.write(text)


if __name__ == "__main__":
    main()
