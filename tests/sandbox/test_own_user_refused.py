"""A machine that cannot isolate a notebook without namespaces is refused in one line that says what to do."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from python_for_all import AS_ROOT
from small_box import run_script
from small_exercise import running

from grader.errors import BoxError
from grader.records import Status
from grader.sandbox import own_user
from grader.sandbox.backend import IN_BOX
from grader.sandbox.in_box.frames import Address
from grader.sandbox.own_user import OwnUser
from grader.sandbox.supervisor import Supervisor

pytestmark = pytest.mark.usefixtures("own_user")
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can give a box a user of its own")


@needs_root
def test_private_files_of_the_grader_are_copied_for_the_box(tmp_path: Path) -> None:
    (tmp_path / "runner.py").write_text("import os\nos.write(1, b'nonsense ' + os.environ['BOX_ENGINE'].encode())")
    for path in (tmp_path, tmp_path / "runner.py"):
        path.chmod(0o700)
    run = Supervisor(OwnUser(), {IN_BOX: tmp_path}, running.rubric().limits, gpu=False)
    copy = run._command.environment["BOX_ENGINE"]
    assert Path(copy, "runner.py").stat().st_uid == 0
    assert stat.S_IMODE(Path(copy, "runner.py").stat().st_mode) == 0o640
    assert "of the wrong form" in run.supervise(running.plan(), lambda *_: None, lambda _: None).event
    assert not Path(copy).exists()


@needs_root
def test_without_landlock_a_course_that_other_users_can_read_is_refused(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        course = Path(name)
        course.chmod(0o755)
        (course / "rubric.yaml").write_text("points")
        line = rf"^isolation 'user': .*: expected that no other user may read it, .* try `chmod go-rwx .*{name}"
        with pytest.raises(BoxError, match=line) as error:
            run_script("tell(1)", backend=OwnUser(("landlock",), private=[course]))
        assert "\n" not in str(error.value)
        course.chmod(0o700)
        with pytest.raises(BoxError) as error:
            run_script("tell(1)", backend=OwnUser(("landlock",), private=[course]))
        assert name not in str(error.value)  # except for the checkout's


@needs_root
def test_without_landlock_a_course_that_is_closed_to_strangers_is_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name, "grader").mkdir(0o700)
        monkeypatch.setattr("grader.sandbox.own_user.grader.__file__", f"{name}/grader/__init__.py")
        script = f"tell(tried(lambda: os.listdir({name + '/grader'!r}))[0])"
        run = run_script(script, backend=OwnUser(("landlock",), private=[Path(name, "grader")]))
        assert run.inbox.answers[Address("small.box/value")] == b'"refused"'
        assert run.status is Status.OK


@needs_root
def test_a_python_that_only_root_can_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name, "python").symlink_to("/usr/bin/env")
        monkeypatch.setattr("grader.sandbox.own_user.python_program", lambda: f"{name}/python")
        with pytest.raises(BoxError, match=rf"expected a Python that every user may run.*chmod o\+x {name}`"):
            run_script("tell(1)", backend=OwnUser())


@needs_root
def test_a_temporary_folder_that_only_root_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(BoxError, match="set TMPDIR to another, or `chmod"):
        run_script("tell(1)", backend=OwnUser())
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_cannot_isolate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(BoxError, match=r"^isolation 'user': the numbers of the kernel calls of riscv64 are not known"):
        OwnUser()
    monkeypatch.undo()
    monkeypatch.setattr(own_user, "powers_missing", lambda: ["CAP_SETUID"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(
        BoxError, match=r"lacks CAP_SETUID; start the container with these, or run the grader as an ord"
    ):
        OwnUser()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(
        BoxError, match=r"Landlock alone would keep your files: expected Linux 6\.2 or later.*got version 2"
    ):
        OwnUser(offered=2)


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(BoxError, match=r"^layer 'network': expected one of another user, landlock, "):
        OwnUser(("network",))
