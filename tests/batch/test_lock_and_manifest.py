"""The lock that keeps a folder to one grader, and the manifest of a class."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from toy_class import environment

from grader.batch.class_records import ClassSubmission, Student
from grader.batch.manifest import Manifest, read_manifest, write_manifest
from grader.errors import GraderError
from grader.records import Remark
from grader.store.files import LOCK, locked

HOLDER = "import sys, time\nfrom pathlib import Path\nfrom grader.store.files import locked\n"
HOLDER += "with locked(Path(sys.argv[1])):\n    print('mine', flush=True)\n    time.sleep(600)\n"
ADA = Student("101", "Ada", "ada@uni.example", {"Group": "A"})
MANIFEST = Manifest(
    title="Toy",
    submissions=Path("submissions"),
    rubric=Path("rubric.yaml"),
    seed="0" * 32,
    isolation="bubblewrap",
    parts=None,
    layout="one file per student",
    handed_in=(ClassSubmission("101", Path("x.ipynb"), "x.ipynb", ADA, (Remark("late", "late"),)),),
    missing=(Student("102"),),
    remarks=("one",),
)


def test_a_second_grader_learns_who_is_at_work_and_a_killed_one_leaves_nothing_locked(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True, env=environment()
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        at_work = rf"another grader is working here \(process {holder.pid} of"
        with pytest.raises(GraderError, match=at_work), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path):
        pass
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"format": 2}', '{"format": 1, "title": 3}'])
def test_a_manifest_that_is_another_file_is_refused(damage: str, tmp_path: Path) -> None:
    (tmp_path / "class.json").write_text(damage)
    with pytest.raises(GraderError, match="grade the class first") as error:
        read_manifest(tmp_path)
    assert "\n" not in str(error.value)
    assert json.dumps(str(error.value)).isascii()
