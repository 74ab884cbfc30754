"""A box that root starts has an unprivileged user outside, too, and cannot change the machine's settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from small_box import answer_of, run_script
from small_exercise import running

from grader.errors import BoxError
from grader.sandbox import box_contents, bubblewrap
from grader.sandbox.backend import IN_BOX
from grader.sandbox.box_user import (
    COUNT,
    FIRST,
    NEEDED_POWERS,
    ReadableCopies,
    free_id,
    need_open,
    owns_the_kernel,
    powers_missing,
)
from grader.sandbox.bubblewrap import MASKED_FOLDERS, Bubblewrap
from grader.sandbox.supervisor import Supervisor

needs_root = pytest.mark.skipif(not owns_the_kernel(), reason="only a box that root starts has a user of its own")

SETTINGS = [
    *("kernel/core_pattern", "kernel/modprobe", "kernel/panic", "kernel/randomize_va_space", "kernel/sysrq"),
    *("fs/lease-break-time", "fs/suid_dumpable", "vm/panic_on_oom", "vm/drop_caches", "kernel/shmmni"),
]
# Each opens a setting for writing in its own way, and writes nothing.
WAYS = {
    "by its name": "os.close(os.open(f'/proc/sys/{name}', os.O_WRONLY))",
    "to read, too": "os.close(os.open(f'/proc/sys/{name}', os.O_RDWR | os.O_APPEND))",
    "past a process": "os.close(os.open(f'/proc/self/../sys/{name}', os.O_WRONLY))",
    "by its own root": "os.close(os.open(f'/proc/self/root/proc/sys/{name}', os.O_WRONLY))",
    "by the first process's root": "os.close(os.open(f'/proc/1/root/proc/sys/{name}', os.O_WRONLY))",
    "from a folder": "os.close(os.open(name, os.O_WRONLY, dir_fd=os.open('/proc/sys', os.O_RDONLY)))",
    "again by its descriptor": (
        "os.close(os.open(f'/proc/self/fd/{os.open(f\"/proc/sys/{name}\", os.O_RDONLY)}', os.O_WRONLY))"
    ),
}
OPENED = """
through = []
for name in SETTINGS:
    if os.path.exists(f"/proc/sys/{name}"):
        try:
            WAY
            through.append(name)
        except OSError:
            pass
tell(through)
"""
SHELL = """
import subprocess
done = subprocess.run(["sh", "-c", ": >> /proc/sys/kernel/core_pattern"], stderr=subprocess.DEVNULL)
tell(["through" if done.returncode == 0 else "refused"])
"""
MOUNTED = """
place = "/tmp/own"
os.mkdir(place)
there = libc.unshare(0x10020000) == 0 and libc.mount(b"proc", place.encode(), b"proc", 0, None) == 0
bound = libc.mount(b"/proc", place.encode(), None, 4096, None) == 0
tell(["through" if there or bound else "refused"])
"""
OTHERS = """
def entries(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []
paths = [f"/proc/{name}" for name in os.listdir("/proc") if not name.isdigit() and name not in ("self", "thread-self")]
paths += [f"{folder}/{name}" for folder in list(paths) for name in entries(folder)]
def opens(path):
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True
tell([path for path in paths if not os.path.isdir(path) and opens(path)])
"""


def opened(way: str) -> str:
    return OPENED.replace("SETTINGS", repr(SETTINGS)).replace("WAY", WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_no_setting_of_the_kernel_can_be_written_in_any_way(way: str) -> None:
    assert answer_of(opened(way)) == []


@needs_root
@pytest.mark.parametrize("left", ["another user", "kernel settings"])
def test_each_of_the_two_layers_is_enough(left: str) -> None:
    layers = {"another user", "kernel settings"}
    assert answer_of(opened("by its name"), layers - {left}) == []
    assert "kernel/core_pattern" in answer_of(opened("by its name"), layers)


@pytest.mark.parametrize("script", [SHELL, MOUNTED], ids=["a shell", "a further /proc"])
def test_no_setting_can_be_written_by_another_program_or_view(script: str) -> None:
    assert answer_of(script) == ["refused"]


def test_nothing_else_in_proc_can_be_written_and_the_machines_part_is_masked() -> None:
    assert answer_of(OTHERS) == []
    masked = [f"/proc/{name}" for name in MASKED_FOLDERS if Path("/proc", name).is_dir()]
    assert answer_of(f"tell([name for folder in {masked!r} for name in os.listdir(folder)])") == []
    secrets = "tell([tried(lambda: open(f'/proc/{n}').close())[0] for n in ('kallsyms', 'keys', 'interrupts')])"
    assert answer_of(secrets) == ["refused"] * 3


@needs_root
def test_every_box_has_its_own_user_without_an_account_outside() -> None:
    who = "tell([open('/proc/self/uid_map').read().split(), open('/proc/self/gid_map').read().split(), os.getgroups()])"
    first, second = answer_of(who), answer_of(who)
    for users, groups, further in (first, second):
        assert (users[0], users[2], further) == ("1000", "1", [])
        assert FIRST <= int(users[1]) < FIRST + COUNT
        assert groups == users
    assert first[0] != second[0]


@needs_root
def test_the_first_process_is_not_the_box_users() -> None:
    acts = "lambda: os.kill(1, 0), lambda: open('/proc/1/environ').close(), lambda: open('/proc/1/mem', 'r+b').close()"
    acts += ", lambda: os.setuid(65534), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0)"
    assert [outcome for outcome, _ in answer_of(f"tell([tried(act) for act in ({acts})])")] == ["refused"] * 6


@needs_root
def test_private_files_of_the_grader_are_copied_for_the_box_and_copies_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, temporary = tmp_path / "private", tmp_path / "temporary"
    for folder in (private, temporary, private / "more"):
        folder.mkdir(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for name in ("runner.py", "more/word"):
        (private / name).write_text("import os\nos.write(1, b'nonsense' + open(__file__).read().encode())")
        (private / name).chmod(0o600)
    run = Supervisor(Bubblewrap(), {IN_BOX: private}, running.rubric().limits, gpu=False)
    assert "of the wrong form" in run.supervise(running.plan(), lambda *_: None, lambda _: None).event
    assert list(temporary.iterdir()) == []
    assert [path.stat().st_mode & 0o777 for path in (private, private / "runner.py")] == [0o700, 0o600]


def test_files_that_all_users_can_read_are_not_copied(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "word").write_text("word")
    (tmp_path / "word").chmod(0o644)
    copies = ReadableCopies()
    assert copies.path(tmp_path) == tmp_path
    (tmp_path / "word").chmod(0o640)
    copy = copies.path(tmp_path)
    assert copy != tmp_path
    assert ((copy / "word").read_text(), (copy / "word").stat().st_mode & 0o777) == ("word", 0o644)
    copies.remove()
    assert not copy.exists()


def test_a_container_with_few_users_gives_a_free_id_and_one_without_any_is_refused(
    tmp_path: Path,
) -> None:
    known = tmp_path / "uid_map"
    for text, low, high in (("0 0 4294967295", FIRST, FIRST + COUNT), ("0 100000 65536", 20_000, 60_000)):
        known.write_text(f"         {text}\n")
        assert all(low <= free_id(known) < high for _ in range(20))
    known.write_text("0 1000 1\n1 100000 25001\n")
    assert 20_000 <= free_id(known) <= 25_001
    known.write_text("0 1000 1\n")
    with pytest.raises(BoxError, match="only root's user id"):
        free_id(known)


def test_the_capabilities_of_this_process_are_found() -> None:
    assert powers_missing() == ([] if owns_the_kernel() else list(NEEDED_POWERS))


def test_a_private_python_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(BoxError, match=r"expected a Python that all users can read.*chmod -R o\+rX"):
        need_open([tmp_path])


@needs_root
def test_a_python_below_a_folder_that_is_empty_in_the_box_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        below = Path(folder, "clone", "environment")
        below.mkdir(parents=True)
        Path(folder).chmod(0o755)
        (below / "library").write_text("here")
        folders = [*box_contents.python_folders(), below]
        monkeypatch.setattr(bubblewrap, "python_folders", lambda: folders)
        assert answer_of(f"tell(tried(lambda: open({str(below / 'library')!r}).read()))") == ["through", "here"]


def test_a_machine_without_setpriv_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda *_, **__: None)
    with pytest.raises(BoxError, match="needs setpriv; install the package util-linux"):
        run_script("tell(1)")


@needs_root
def test_a_machine_where_root_cannot_make_such_a_user_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "new_id", lambda: "nobody")  # no kernel takes that for a number
    run = run_script("tell(1)")
    assert (run.status, run.inbox.answers) == ("box_error", {})
    assert "runs no notebook as root" in run.log_tail


def test_only_the_owner_of_the_kernels_settings_needs_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert owns_the_kernel() == (os.getuid() == 0)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert not owns_the_kernel()
    assert Bubblewrap()._another_user() is None
