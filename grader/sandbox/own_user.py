"""The backend for a machine that allows no namespaces: a separate user, Landlock and a system-call filter.

None of the three needs a namespace. If root grades, each box is run by a user who owns nothing on the machine, so that
it has no access to the files, processes and objects of others. With Landlock, the box can open only the files that it
needs, and its own folder. The filter refuses network access, and objects other than files that processes of a machine
share, such as shared memory. `launch.stand_guard` ends the processes that the box leaves.

This is weaker than namespaces: names and arguments of the machine's processes, its host name and the names of files
are visible; `/tmp` and `/content` are not private to the box; boxes that run at the same time can exchange files in
/dev/shm; and a socket file that is open to every user can be reached.

If the grader is not root, there is no other user: the box's processes run as the grader's own account, and only
Landlock and the filter restrict them. Reports say so, and such a grade needs manual review.

The files of a box are counted while it runs and removed when it has ended. The code that does this never follows a
link, because code in the box may create one in any place that is searched.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from errno import ENAMETOOLONG
from functools import cached_property, partial
from pathlib import Path

import grader
from grader.errors import BoxError
from grader.records import AS_GRADER, Limits
from grader.sandbox import landlock
from grader.sandbox.backend import IN_BOX, RUNNER, SPARE_TASKS, Command, Confinement, Contents, Files, box_environment
from grader.sandbox.box_contents import SETTINGS, SYSTEM, private_in_sight, python_folders, python_program
from grader.sandbox.box_user import (
    closed_above,
    free_id,
    need_open,
    powers_missing,
    readable_copy,
    tree_open_to_all,
)
from grader.sandbox.gpu import BoxGpu, box_gpu, environment_in_place
from grader.sandbox.launch import files_of, processes_of, statuses
from grader.sandbox.layers import LAYERS_WITHOUT_NAMESPACES, known_layers
from grader.sandbox.resource_monitor import MAX_FILES
from grader.sandbox.seccomp import kernel_filter

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx", "/dev/pts")
LEAST_LANDLOCK = 3  # needed if boxes run as the grader's account: earlier versions cannot forbid truncating its files
# Times the box's limit: the grader's account also starts other processes meanwhile, such as other boxes.
TASKS_FACTOR = 4
ACCESS_SCRIPT = "import os, sys\nprint(*(int(os.access(p, os.R_OK) or os.access(p, os.X_OK)) for p in sys.argv[1:]))"
MEMORY = "/dev/shm"  # where the C library puts every user's semaphores and shared memory
SHARED_FOLDERS = ("/tmp", "/var/tmp", MEMORY, "/dev/mqueue", "/run/lock")
OBJECTS = {"shm": "shmid", "sem": "semid", "msg": "msqid"}  # of System V, and the column of their ids in /proc/sysvipc
REST_FACTOR = 10.0  # the pause until the files are counted again, as a multiple of the time that counting took


class OwnUser:
    """Runs the box as a separate user; `private` are folders that the box must not be able to read.

    Raises:
        BoxError: this machine or account cannot isolate a notebook, or a layer is unknown.
    """

    def __init__(
        self, without: Collection[str] = (), private: Collection[Path] = (), offered: int | None = None
    ) -> None:
        self.without = known_layers(without, LAYERS_WITHOUT_NAMESPACES)
        self._private = private
        self._landlock = (landlock.version() if offered is None else offered) if self._with("landlock") else 0
        self._another = os.geteuid() == 0 and self._with("another user")
        landlock_note = f"Landlock {self._landlock}" if self._landlock else "no Landlock"
        self.name = f"{'user' if self._another else AS_GRADER}: {landlock_note}"
        self._refuse_unsuitable_machine()

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`; everything that the box may write is in one folder, which is removed at the end."""
        user = free_id() if self._another else None
        if user is not None:
            need_open(python_folders())
            self._refuse_what_strangers_read(user)
        folder = Path(tempfile.mkdtemp(prefix="box-"))
        end = partial(remove_leftovers, user, folder)
        try:
            return self._command(user, folder, contents, limits, gpu)
        except BaseException:
            end()
            raise

    def _command(self, user: int | None, folder: Path, contents: Contents, limits: Limits, gpu: bool) -> Command:
        home, temporary, work = (folder / name for name in ("home", "tmp", "work"))
        for path in (home, temporary, work):
            path.mkdir(0o700)
        folders = dict(contents)
        if user is not None:
            if closed := closed_above(folder):
                raise BoxError(
                    f"isolation 'user': {closed[0]}: expected a folder that every user may enter, because the box has a"
                    f" user of its own; got a private one; set TMPDIR to another, or `chmod o+x {closed[0]}`"
                )
            for inside, outside in contents.items():
                if closed_above(outside) or not tree_open_to_all(outside):
                    folders[inside] = readable_copy(outside, folder, user)
            for path in (home, temporary, work):
                os.chown(path, user, user)
            os.chown(folder, 0, user)
            folder.chmod(0o750)
        environment = box_environment(folders, str(home), str(temporary), str(work))
        card = box_gpu(limits) if gpu else None
        environment |= environment_in_place(card)
        if not self._with("environment"):
            environment = {**os.environ, **environment}
        tasks = limits.processes + SPARE_TASKS
        if user is None:  # then the kernel counts all tasks of the account
            tasks = tasks_of(os.getuid()) + TASKS_FACTOR * limits.processes
        confinement = Confinement(
            id=user,
            folder=str(folder),
            shared=SHARED_FOLDERS,
            tasks=tasks if self._with("rlimits") else None,
            ruleset=landlock.ruleset(self._landlock).hex() if self._landlock else None,
            rules=list(self._rules(folders, (home, temporary, work), card)) if self._landlock else [],
            filter=self._filter,
        )
        return Command(
            [python_program(), f"{folders[IN_BOX]}/{RUNNER}"],
            environment,
            confinement=confinement,
            count_files=FileCounter(user, (home, temporary, work)),
            end=partial(remove_leftovers, user, folder),
        )

    def _rules(
        self, contents: Mapping[str, Path], writable: Collection[Path], card: BoxGpu | None
    ) -> Iterator[tuple[str, int]]:
        """Yields the paths that the box may access, each with its rights as far as this kernel's Landlock has them."""
        readable = [*SYSTEM, *SETTINGS, *map(str, python_folders()), *map(str, contents.values()), "/proc"]
        hidden = private_in_sight(self._private)
        rights = dict.fromkeys(DEVICES, landlock.DEVICE)
        for path in readable:
            rights |= _readable_except(Path(path), hidden)
        rights |= {MEMORY: landlock.SHARED} | dict.fromkeys(map(str, writable), landlock.OWN_FOLDER) | gpu_rights(card)
        for path, allowed in rights.items():
            if Path(path).exists():
                bits = allowed if Path(path).is_dir() else allowed & landlock.OF_FILE
                yield path, landlock.supported(bits, self._landlock)

    @cached_property
    def _filter(self) -> str | None:
        steps = kernel_filter(platform.machine(), shared=True, own_files=not self._another)
        return steps.hex() if steps is not None and self._with("seccomp") else None

    def _with(self, layer: str) -> bool:
        return layer not in self.without

    def _refuse_unsuitable_machine(self) -> None:
        """Checks that this machine and account can isolate a notebook without namespaces.

        Raises:
            BoxError: they cannot.
        """
        if platform.system() != "Linux":
            raise BoxError("isolation 'user': expected Linux, for its Landlock and its filter of kernel calls")
        if self._with("seccomp") and self._filter is None:
            raise BoxError(
                f"isolation 'user': the numbers of the kernel calls of {platform.machine()} are not known, so that the"
                " network could not be refused; grade on x86_64 or aarch64"
            )
        if self._another and (missing := powers_missing()):
            raise BoxError(
                f"isolation 'user': root may not make a box of another user here, for it lacks {', '.join(missing)};"
                " start the container with these, or run the grader as an ordinary account"
            )
        if self._another:
            free_id()
        if not self._another and self._with("landlock") and self._landlock < LEAST_LANDLOCK:
            raise BoxError(
                f"isolation 'user': the grader is not root, so Landlock alone would keep your files: expected Linux"
                f" {landlock.SINCE[LEAST_LANDLOCK]} or later with Landlock switched on,"
                f" got version {self._landlock} of it; grade as root, or on a newer kernel"
            )

    def _refuse_what_strangers_read(self, user: int) -> None:
        """Checks that another user can run Python and, if there is no Landlock, can read nothing that is private.

        Raises:
            BoxError: one of the two is not the case; the message says what to do.
        """
        private = [] if self._landlock else sorted(_without_python({Path(grader.__file__).parent, *self._private}))
        command = [python_program(), "-I", "-S", "-c", ACCESS_SCRIPT, *map(str, private)]
        try:
            answer = subprocess.run(
                command, user=user, group=user, extra_groups=(), cwd="/", env={}, capture_output=True, text=True
            )
        except OSError:
            answer = subprocess.CompletedProcess(command, 1)
        if answer.returncode:
            closed = [above for folder in (Path(command[0]), *python_folders()) for above in closed_above(folder)]
            raise BoxError(
                f"isolation 'user': {command[0]}: expected a Python that every user may run, because the box has a user"
                f" of its own; got one in a private folder; move it, or try `chmod o+x {(closed or command)[0]}`"
            )
        readable = [str(path) for path, may_read in zip(private, answer.stdout.split(), strict=True) if may_read == "1"]
        if readable:
            raise BoxError(
                f"isolation 'user': {readable[0]}: expected that no other user may read it, because this kernel has no"
                f" Landlock to keep the notebook from it; try `chmod go-rwx {' '.join(readable)}`"
            )


def gpu_rights(card: BoxGpu | None) -> dict[str, int]:
    """Returns rights on the GPU's devices, the driver's libraries, and CUDA's files about them; empty without a GPU."""
    if card is None:
        return {}
    readable = (
        "/sys",
        "/usr/local/nvidia",
        "/usr/local/cuda",
        "/run/nvidia-persistenced",
        *map(str, card.libraries.values()),
    )
    return dict.fromkeys(map(str, card.devices), landlock.DEVICE) | dict.fromkeys(readable, landlock.SEE)


def tasks_of(user: int) -> int:
    """Returns the number of tasks that the user has on this machine."""
    return sum(int(fields["Threads"][0]) for _, fields in statuses() if str(user) in fields["Uid"])


def _readable_except(path: Path, hidden: Collection[Path]) -> dict[str, int]:
    """Returns rights with which everything below the path can be read except the hidden folders.

    A folder that contains a hidden one can be listed, because Python lists folders to find its packages; its other
    contents are allowed one by one. A link to such a folder, such as `lib64` in an environment, gets no rights.
    """
    real = path.resolve()
    if not any(folder.is_relative_to(real) for folder in hidden):
        return {str(path): landlock.SEE}
    if path.is_symlink() or real in hidden:
        return {}
    rights = {str(path): landlock.READ_DIR}
    for child in path.iterdir():
        rights |= _readable_except(child, hidden)
    return rights


def _without_python(folders: Collection[Path]) -> Iterator[Path]:
    """Yields the folders; for a folder that contains Python, everything in it except Python."""
    needed = python_folders()
    for folder in map(Path.resolve, folders):
        if not any(python.is_relative_to(folder) for python in needed):
            yield folder
        elif folder not in needed:
            yield from _without_python([*folder.iterdir()])


class FileCounter:
    """Counts the files of a box: in its own folders, in shared memory, and deleted ones that are still open."""

    def __init__(self, user: int | None, folders: Sequence[Path]) -> None:
        self._user, self._folders = user, folders
        self._files = Files(0.0, 0.0, 0)
        self._next = 0.0

    def __call__(self, processes: Collection[int]) -> Files:
        """Returns the size and number of the files, counted now or a moment ago, because counting takes time."""
        if (started := time.monotonic()) >= self._next:
            self._files = self._count(processes)
            self._next = time.monotonic() + REST_FACTOR * (time.monotonic() - started)
        return self._files

    def _count(self, processes: Collection[int]) -> Files:
        count, fullest, disk = 0, 0.0, set[int]()
        for folder in self._folders:
            size = 0
            disk.add(folder.stat().st_dev)
            for status in _file_statuses_below(str(folder)):
                count, size = count + 1, size + status.st_blocks * 512
                if count > MAX_FILES:
                    break
            fullest = max(fullest, size / 1e6)
        shared = list(_file_statuses(files_of(self._user, MEMORY)))
        memory = sum(status.st_blocks * 512 for status in shared)
        fullest, count = max(fullest, memory / 1e6), count + len(shared)
        nameless = {(status.st_dev, status.st_ino): status for status in _nameless_files(processes)}.values()
        memory += sum(status.st_blocks * 512 for status in nameless if status.st_dev not in disk)
        fullest += sum(status.st_blocks * 512 for status in nameless if status.st_dev in disk) / 1e6
        return Files(fullest, memory / 1e6, count)


def remove_leftovers(user: int | None, folder: Path) -> None:
    """Removes the folder and, if only the box has this user, every process, file and object of the user.

    Raises:
        BoxError: something could not be removed.
    """
    leftovers = []
    if user is not None:
        leftovers += _end_processes(user)
        for place in SHARED_FOLDERS:
            leftovers += [path for path in files_of(user, place) if not _remove_tree(path)]
        _remove_objects(user)
    if not _remove_tree(str(folder)):
        leftovers.append(str(folder))
    if leftovers:
        raise BoxError(f"{leftovers[0]}: of a box that is over, and could not be removed: nothing of this run is used")


def _end_processes(user: int) -> list[str]:
    """Kills the user's processes; returns the names of those that are still alive."""
    if any(processes_of(user)):
        launcher = str(Path(__file__).with_name("launch.py"))
        subprocess.run([sys.executable, "-I", "-S", launcher, json.dumps({"end": user})], check=False)
    return [f"process {process}" for process in processes_of(user)]


def _remove_tree(path: str) -> bool:
    """Removes the file or folder, however deep; returns whether it is gone."""
    subprocess.run(["/bin/rm", "-rf", "--", path], stderr=subprocess.DEVNULL, check=False)
    return not os.path.lexists(path)


def _remove_objects(user: int) -> None:
    """Removes the user's System V objects, although the filter already keeps a box from making any."""
    libc = ctypes.CDLL(None)
    for kind, column in OBJECTS.items():
        with contextlib.suppress(OSError):  # a kernel without them
            names, *lines = Path("/proc/sysvipc", kind).read_text().splitlines()
            for line in lines:
                fields = dict(zip(names.split(), line.split(), strict=False))
                if str(user) in (fields["uid"], fields["cuid"]):
                    number = int(fields[column])
                    _ = libc.semctl(number, 0, 0) if kind == "sem" else getattr(libc, f"{kind}ctl")(number, 0, None)


def _file_statuses_below(folder: str) -> Iterator[os.stat_result]:
    """Yields the status of everything below the folder, without end if something lies too deep for a path."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield status
                        if stat.S_ISDIR(status.st_mode):
                            waiting.append(entry.path)
        except OSError as error:
            while error.errno == ENAMETOOLONG:  # so that files hidden there exceed any limit
                yield status


def _file_statuses(paths: Iterable[str]) -> Iterator[os.stat_result]:
    for path in paths:
        with contextlib.suppress(OSError):
            yield os.lstat(path)


def _nameless_files(processes: Collection[int]) -> Iterator[os.stat_result]:
    """Yields the status of each file that these processes hold open and that is in no folder."""
    for process in processes:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208  # hundreds of files: faster
                with contextlib.suppress(OSError):
                    status = os.stat(f"/proc/{process}/fd/{name}")  # noqa: PTH116
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        yield status
