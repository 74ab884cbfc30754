"""The installed wheel in an empty folder without a clone: every verb works, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from python_for_all import AS_ROOT, PLACES, STRANGER, VERSION

from grader.sandbox.box_user import closed_above, open_to_all

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[2]
PACKAGES = Path(sys.prefix).resolve() / "lib" / VERSION / "site-packages"
PRACTISED = ("reference", "kl_without_log", "deep_and_narrow")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, an empty working folder, and the user."""

    program: Path
    folder: Path
    user: tuple[str, ...]

    def run(self, *arguments: object, code: int = 0) -> str:
        """The output of the command, after its exit code was checked."""
        home = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "VAE_GRADER_CACHE": str(self.folder / "cache")}
        kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "REQUESTS_"))}
        line = [*self.user, str(self.program), *map(str, arguments)]
        done = subprocess.run(line, cwd=self.folder, env=kept | home, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{arguments}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout if code in (0, 1) else done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def python() -> str:
    """A Python that every user can run, and that works with these packages."""
    if not closed_above(Path(sys.base_prefix).resolve() / "bin"):
        return sys.executable
    return next((str(Path(place, VERSION)) for place in PLACES if Path(place, VERSION).exists()), sys.executable)


@pytest.fixture(scope="module", params=["root", "plain"])
def installed(request: pytest.FixtureRequest, wheel: Path) -> Iterator[Installed]:
    """An environment with the wheel, which uses this environment's packages through a `.pth` file."""
    if (request.param == "root") != AS_ROOT and request.param == "root":
        pytest.skip("not root: the same is tested as the ordinary user who runs this")
    with TemporaryDirectory(prefix="installed-", dir="/tmp") as name:
        top = Path(name)
        top.chmod(0o755)
        environment, folder = top / "environment", top / "empty"
        subprocess.run([python(), "-m", "venv", "--without-pip", str(environment)], check=True)
        inside = environment / "lib" / VERSION / "site-packages"
        shutil.unpack_archive(wheel, inside, "zip")
        (inside / "packages.pth").write_text(f"{PACKAGES}\n")
        program = environment / "bin" / "vae-grader"
        program.write_text(f"#!{environment}/bin/python\nfrom grader.cli import program\nprogram()\n")
        program.chmod(0o755)
        folder.mkdir()
        (folder / "cache").symlink_to(os.environ.get("VAE_GRADER_CACHE", Path.home() / ".cache" / "vae-autograder"))
        user: tuple[str, ...] = ()
        if AS_ROOT and request.param == "plain":
            if closed_above(PACKAGES) or not open_to_all(PACKAGES):
                pytest.skip("only their owner can read these packages")
            if closed_above(Path(python()).resolve()):
                pytest.skip("no Python of this version that an ordinary user can run")
            user = tuple(STRANGER)
            (folder / "cache").unlink()
            shutil.copytree(cache(), folder / "cache")
            for path in (folder, *folder.rglob("*")):
                os.chown(path, 12345, 12345)
        yield Installed(program, folder, user)


def cache() -> Path:
    return Path(os.environ.get("VAE_GRADER_CACHE", Path.home() / ".cache" / "vae-autograder"))


def test_the_reference_is_graded_from_an_empty_folder(installed: Installed) -> None:
    installed.run("init", "course")
    reference = Path("course", "reference", "vae_mnist.ipynb")
    report = json.loads(installed.run("check", reference, "--json"))
    assert (report["points"], report["max_points"]) == (76, 76)
    grade = json.loads(installed.run("grade", reference, "--rubric", "course/rubric.yaml", "--json"))
    assert (grade["points"], grade["max_points"], grade["needs_person"]) == (100, 100, False)


def test_a_class_gets_its_gradebook_and_is_re_graded(installed: Installed) -> None:
    installed.run("practice", "submissions", *PRACTISED)
    installed.run("grade-class", "submissions", "--components-only", "--quiet", "--out", "graded", code=0)
    lines = (installed.folder / "graded" / "gradebook.csv").read_text().splitlines()
    assert len(lines) == 1 + len(PRACTISED)
    installed.run("regrade", "graded", "--dry-run")


def test_the_bundle_for_gradescope_and_a_new_exercise_are_written(installed: Installed) -> None:
    assert "MB" in installed.run("gradescope", "--out", "autograder.zip")
    installed.run("new-exercise", "two_more")
    course = Path("two_more")
    report = json.loads(
        installed.run("grade", course / "reference.ipynb", "--rubric", course / "rubric.yaml", "--json")
    )
    assert report["points"] == report["max_points"] == 9


def test_the_doctor_finds_the_installed_grader_hidden(installed: Installed) -> None:
    answer = json.loads(installed.run("doctor", "--json"))
    broken = [promise for promise in answer["promises"] if promise["state"] == "broken"]
    assert broken == []


def test_re_grading_needs_neither_pytorch_nor_jupyter(installed: Installed, wheel: Path, tmp_path: Path) -> None:
    if installed.user:
        pytest.skip("one environment for re-grading is enough")
    installed.run("practice", "one", "kl_without_log")
    installed.run("check", Path("one", "kl_without_log.ipynb"), "--out", "checked", code=0)
    environment = tmp_path / "regrade"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    lock = ["--require-hashes", "-r", str(ROOT / "requirements-regrade.lock")]
    for line in ([*pip, *lock], [*pip, "--no-deps", str(wheel)]):
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    regrading = Installed(environment / "bin" / "vae-grader", installed.folder, ())
    assert "vae.loss" in regrading.run("regrade", "checked")
    assert "vae-autograder[grade]" in regrading.run("grade", Path("one", "kl_without_log.ipynb"), code=2)
    assert "kl_without_log" in regrading.run("grade-class", "one", "--plan")
