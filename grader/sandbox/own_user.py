"""The backend for a machine that allows no namespaces: a user of its own, Landlock and a filter of kernel calls.

None of the three needs a namespace. Where root grades, each box is run by a user whom nothing on the machine belongs
to, so that files, processes and objects of others are closed to it as to any stranger. Landlock leaves it the files
that a box needs, and its own folder. The filter refuses the network, and what processes of one machine share beside
files. `launch.stand_guard` ends what the box leaves.

What namespaces give and this does not: names and arguments of the machine's processes, its host name and the names of
files can be seen; `/tmp` and `/content` are not the box's; boxes that run at the same time can hand each other files
in /dev/shm; and a socket that lies in a file open to every user can be reached.

Where the grader is not root, there is no other user: the box's processes are the grader's own, and Landlock alone
stands between. Reports say so, and such a grade waits for a person.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path

import grader
from grader.errors import BoxError
from grader.records import AS_GRADER, Limits
from grader.sandbox import landlock
from grader.sandbox.another_user import closed_above, free_id, need_open, open_to_all, powers_missing
from grader.sandbox.backend import ENGINE, RUNNER, SPARE_TASKS, Alone, Command, Contents, box_environment
from grader.sandbox.bubblewrap import SETTINGS, SYSTEM, python_folders, python_program
from grader.sandbox.gpu import OneGpu, environment_in_place, one_gpu
from grader.sandbox.launch import statuses
from grader.sandbox.layers import LAYERS_ALONE, checked
from grader.sandbox.seccomp import kernel_filter
from grader.sandbox.traces import MEMORY, OPEN_TO_ALL, Folders, remove

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/ptmx", "/dev/pts")
ENOUGH = 3  # Landlock's version without which the grader's own account is not enough: files could be emptied
BESIDE = 4  # times what a box may have: room for what else the grader's account starts meanwhile, other boxes among it
TRY = "import os, sys\nprint(*(int(os.access(p, os.R_OK) or os.access(p, os.X_OK)) for p in sys.argv[1:]))"


class OwnUser:
    """Runs the box as a user of its own; `private` are folders that it must not be able to read.

    Raises:
        BoxError: where this machine or account cannot keep a notebook in, or a layer is unknown.
    """

    limits_itself = False

    def __init__(
        self, without: Collection[str] = (), private: Collection[Path] = (), offered: int | None = None
    ) -> None:
        self.without = checked(without, LAYERS_ALONE)
        self._private = private
        self._landlock = (landlock.version() if offered is None else offered) if self._with("landlock") else 0
        self._another = os.geteuid() == 0 and self._with("another user")
        kept = f"Landlock {self._landlock}" if self._landlock else "no Landlock"
        self.name = f"{'user' if self._another else AS_GRADER}: {kept}"
        self._refuse()

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`; all that the box may write lies in one folder, which is removed in the end."""
        user = free_id() if self._another else None
        if user is not None:
            need_open(python_folders())
            self._refuse_what_strangers_read(user)
        folder = Path(tempfile.mkdtemp(prefix="box-"))
        end = partial(remove, user, folder)
        try:
            return self._command(user, folder, contents, limits, gpu)
        except BaseException:
            end()
            raise

    def _command(self, user: int | None, folder: Path, contents: Contents, limits: Limits, gpu: bool) -> Command:
        home, temporary, work = (folder / name for name in ("home", "tmp", "work"))
        for own in (home, temporary, work):
            own.mkdir(0o700)
        found = dict(contents)
        if user is not None:
            if closed := closed_above(folder):
                raise BoxError(
                    f"isolation 'user': {closed[0]}: expected a folder that every user may enter, because the box has a"
                    f" user of its own; got a private one; set TMPDIR to another, or `chmod o+x {closed[0]}`"
                )
            found = {inside: _within_reach(outside, folder, user) for inside, outside in contents.items()}
            for own in (home, temporary, work):
                os.chown(own, user, user)
            os.chown(folder, 0, user)
            folder.chmod(0o750)
        environment = box_environment(found, str(home), str(temporary), str(work))
        card = one_gpu(limits) if gpu else None
        environment |= environment_in_place(card)
        if not self._with("environment"):
            environment = {**os.environ, **environment}
        tasks = limits.processes + SPARE_TASKS
        if user is None:  # then the kernel counts all that the account has
            tasks = tasks_of(os.getuid()) + BESIDE * limits.processes
        alone = Alone(
            id=user,
            folder=str(folder),
            shared=OPEN_TO_ALL,
            tasks=tasks if self._with("rlimits") else None,
            ruleset=landlock.ruleset(self._landlock).hex() if self._landlock else None,
            rules=list(self._rules(found, (home, temporary, work), card)) if self._landlock else [],
            filter=self._filter,
        )
        return Command(
            [python_program(), f"{found[ENGINE]}/{RUNNER}"],
            environment,
            alone=alone,
            files=Folders(user, (home, temporary, work)),
            end=partial(remove, user, folder),
        )

    def _rules(
        self, contents: Mapping[str, Path], own: Collection[Path], card: OneGpu | None
    ) -> Iterator[tuple[str, int]]:
        """The paths that the box may reach, with what it may do there, in the words of this kernel's Landlock."""
        seen = [*SYSTEM, *SETTINGS, *map(str, python_folders()), *map(str, contents.values()), "/proc"]
        rights = dict.fromkeys(seen, landlock.SEE) | dict.fromkeys(DEVICES, landlock.DEVICE)
        rights |= {MEMORY: landlock.SHARED} | dict.fromkeys(map(str, own), landlock.OWN) | gpu_rights(card)
        for path, wanted in rights.items():
            if Path(path).exists():
                bits = wanted if Path(path).is_dir() else wanted & landlock.OF_FILE
                yield path, landlock.known(bits, self._landlock)

    @cached_property
    def _filter(self) -> str | None:
        steps = kernel_filter(platform.machine(), shared=True, own_files=not self._another)
        return steps.hex() if steps is not None and self._with("seccomp") else None

    def _with(self, layer: str) -> bool:
        return layer not in self.without

    def _refuse(self) -> None:
        """This machine and account can keep a notebook in, without namespaces.

        Raises:
            BoxError: where they cannot.
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
        if not self._another and self._with("landlock") and self._landlock < ENOUGH:
            raise BoxError(
                f"isolation 'user': the grader is not root, so Landlock alone would keep your files: expected Linux"
                f" {landlock.SINCE[ENOUGH]} or later with Landlock switched on, got version {self._landlock} of it;"
                " grade as root, or on a newer kernel"
            )

    def _refuse_what_strangers_read(self, user: int) -> None:
        """A stranger can run Python and, where there is no Landlock, read nothing that is private.

        Raises:
            BoxError: where that is not so: what to do, in one line.
        """
        private = [] if self._landlock else sorted(_without_python({Path(grader.__file__).parent, *self._private}))
        command = [python_program(), "-I", "-S", "-c", TRY, *map(str, private)]
        try:
            asked = subprocess.run(
                command, user=user, group=user, extra_groups=(), cwd="/", env={}, capture_output=True, text=True
            )
        except OSError:
            asked = subprocess.CompletedProcess(command, 1)
        if asked.returncode:
            closed = [above for folder in (Path(command[0]), *python_folders()) for above in closed_above(folder)]
            raise BoxError(
                f"isolation 'user': {command[0]}: expected a Python that every user may run, because the box has a user"
                f" of its own; got one in a private folder; move it, or try `chmod o+x {(closed or command)[0]}`"
            )
        readable = [str(path) for path, found in zip(private, asked.stdout.split(), strict=True) if found == "1"]
        if readable:
            raise BoxError(
                f"isolation 'user': {readable[0]}: expected that no other user may read it, because this kernel has no"
                f" Landlock to keep the notebook from it; try `chmod go-rwx {' '.join(readable)}`"
            )


def gpu_rights(card: OneGpu | None) -> dict[str, int]:
    """The GPU's devices, the driver's libraries, and what CUDA reads about them; nothing without one."""
    if card is None:
        return {}
    read = (
        "/sys",
        "/usr/local/nvidia",
        "/usr/local/cuda",
        "/run/nvidia-persistenced",
        *map(str, card.libraries.values()),
    )
    return dict.fromkeys(map(str, card.devices), landlock.DEVICE) | dict.fromkeys(read, landlock.SEE)


def tasks_of(user: int) -> int:
    """How many tasks the user has on this machine."""
    return sum(int(fields["Threads"][0]) for _, fields in statuses() if str(user) in fields["Uid"])


def _without_python(folders: Collection[Path]) -> Iterator[Path]:
    """The folders; of one that Python lies in, what is beside Python."""
    needed = python_folders()
    for folder in map(Path.resolve, folders):
        if not any(python.is_relative_to(folder) for python in needed):
            yield folder
        elif folder not in needed:
            yield from _without_python([*folder.iterdir()])


def _within_reach(path: Path, folder: Path, user: int) -> Path:
    """The path, where every user can get at it and all below; else a copy in the folder, for that user alone."""
    everything = (path, *path.rglob("*"))
    if not closed_above(path) and all(open_to_all(each) for each in everything):
        return path
    place = Path(tempfile.mkdtemp(dir=folder, prefix="contents-"))
    copy = place / path.name
    for each in everything:
        other = copy / each.relative_to(path)
        if each.is_dir():
            other.mkdir()
        else:
            other.write_bytes(each.read_bytes())
    for each in (place, copy, *copy.rglob("*")):
        os.chown(each, 0, user)
        each.chmod(0o750 if each.is_dir() else 0o640)
    return copy
