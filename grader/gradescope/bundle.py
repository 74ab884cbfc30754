"""Writes the zip for Gradescope: two scripts, the grader, and the course's rubric and notebooks.

The platform unpacks it at `/autograder/source`, runs `setup.sh` once as root while it builds the image, and
`run_autograder` for each submission; see https://gradescope-autograders.readthedocs.io/en/latest/specs/.
"""

from __future__ import annotations

import importlib.util
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from grader.errors import GraderError, one_line
from grader.exercise import Say
from grader.gradescope import ISOLATIONS
from grader.notebook.format import load_notebook
from grader.records import Rubric
from grader.rubric import load_rubric
from grader.store.course import course_folder
from grader.store.files import write_atomically
from grader.store.json_files import dump_json

FILES = Path(__file__).parent / "files"
PACKAGE = Path(__file__).parents[1]
SETTINGS = "gradescope.json"
COURSE = "course"  # in an installed package; the bundle takes these files from the rubric's folder instead
LOCKS = ("requirements.lock", "requirements-cpu.lock", "requirements-student.lock")
WITH_BUILDS = ("torch", "torchvision")  # their CPU builds are not pinned by a lock
PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)==[^\\\n]+")  # without its hashes
SUFFIXES = {".py", ".j2", ".css", ".js", ".safetensors", ".json", ".md"}
VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")  # the platform's words
DEADLINE_S = 35 * 60  # less than the platform's longest time-out
FIXED = (2020, 1, 1, 0, 0, 0)  # date of all files, so that equal content gives equal bytes
MAX_MB = 95  # of the zip; the platform accepts 100 MB


@dataclass(frozen=True)
class Settings:
    """Settings of the bundle, which the grader reads on the platform."""

    rubric: str  # path within the bundle
    isolation: str
    deadline_s: float
    template: str  # the expected file name of a notebook
    visibility: str = VISIBILITIES[0]  # of points and reasons, for students
    components_only: bool = False  # for tests of the installation: no training and no score


@dataclass(frozen=True)
class Bundle:
    """A written bundle."""

    path: Path
    size: int  # bytes
    files: tuple[str, ...]


def write_bundle(
    rubric_path: Path,
    out: Path,
    *,
    isolation: str = "bubblewrap",
    visibility: str = VISIBILITIES[0],
    pip_options: str = "",
    say: Say = lambda _: None,
) -> Bundle:
    """Writes the zip to `out`, with the same bytes for the same grader, course and options.

    `isolation` says how student code is isolated on the platform: "user" is for containers without namespaces, "none"
    is an instructor's explicit choice of no isolation. `visibility` says when students see points and reasons.
    `pip_options` are passed to pip during set-up, for instance to install the pinned versions from elsewhere.

    Raises:
        GraderError: for an invalid rubric, notebook or option.
    """
    for what, chosen, known in (("isolation", isolation, ISOLATIONS), ("visibility", visibility, VISIBILITIES)):
        if chosen not in known:
            raise GraderError(f"{what} {chosen[:40]!r}: expected one of {', '.join(known)}")
    rubric, _ = load_rubric(rubric_path)
    course = _course(rubric_path, rubric)
    root = Path(os.path.commonpath([path.resolve().parent for path in course]))
    inside = {f"course/{path.resolve().relative_to(root).as_posix()}": path.read_bytes() for path in course}
    settings = Settings(
        rubric=f"course/{rubric_path.resolve().relative_to(root).as_posix()}",
        isolation=isolation,
        deadline_s=DEADLINE_S,
        template=Path(rubric.template).name,
        visibility=visibility,
    )
    inside[SETTINGS] = dump_json(asdict(settings))
    inside |= _requirements(rubric.packages)
    inside["pip_options.txt"] = (one_line(pip_options, 500) + "\n").encode()
    inside |= {path.name: path.read_bytes() for path in FILES.iterdir() if path.is_file()}
    inside |= dict(_package(PACKAGE, "grader"))
    inside |= dict(_exercise(rubric.exercise))
    say(f"packing {len(inside)} files")
    out.parent.mkdir(parents=True, exist_ok=True)
    data = _zipped(inside)
    if len(data) > MAX_MB * 1_000_000:
        raise GraderError(f"{out}: expected at most {MAX_MB} MB, which can be uploaded, got {len(data) / 1e6:.0f} MB")
    write_atomically(out, data)
    return Bundle(out, len(data), tuple(sorted(inside)))


def _course(path: Path, rubric: Rubric) -> list[Path]:
    """The rubric, the rubric that it extends, and its notebooks, which are validated."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    other = content.get("extends") if isinstance(content, dict) else None
    names = [name for name in (rubric.template, *rubric.earlier_templates, rubric.reference) if name]
    files = [path, *([path.parent / str(other)] if other else []), *(path.parent / name for name in names)]
    for notebook in files:
        if notebook.suffix == ".ipynb":
            load_notebook(notebook)
    return files


def _requirements(packages: Sequence[str]) -> dict[str, bytes]:
    """The locks, all pins without hashes, and the packages for set-up, with others that the rubric lists."""
    locks = {name: course_folder() / name for name in LOCKS}
    for name, path in locks.items():
        if not path.exists():
            raise GraderError(f"{name}: missing from the installed grader; install it again, or use a checkout")
    inside = {name: path.read_bytes() for name, path in locks.items()}
    pinned = {name: _pins(inside[name].decode()) for name in LOCKS}
    every = {**pinned[LOCKS[0]], **pinned[LOCKS[2]]}
    installed = {**pinned[LOCKS[1]], **pinned[LOCKS[2]], **{name: every[name] for name in WITH_BUILDS}}
    lines = [line for pins in installed.values() for line in pins]
    lines += [name for name in packages if name.lower() not in every]
    inside["pins.txt"] = ("\n".join(line for pins in every.values() for line in pins) + "\n").encode()
    inside["requirements.txt"] = ("\n".join(lines) + "\n").encode()
    return inside


def _pins(lock: str) -> dict[str, list[str]]:
    """The packages of a lock with their pins: one, or one per range of Python versions."""
    pins: dict[str, list[str]] = {}
    for match in PIN.finditer(lock):
        pins.setdefault(match[1].lower(), []).append(match[0].strip())
    return pins


def _exercise(package: str) -> Iterator[tuple[str, bytes]]:
    """The files of the exercise's package, unless it is part of the grader."""
    if package.startswith("grader."):
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise GraderError(f"exercise {package!r}: package not found; install it")
    yield from _package(Path(spec.origin).parent, package.replace(".", "/"))


def _package(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if "__pycache__" in inside.parts or (name, inside.parts[0]) == ("grader", COURSE) or not path.is_file():
            continue
        if path.suffix in SUFFIXES or path.parent.name in {"weights", "files", "in_box"}:
            yield f"{name}/{inside.as_posix()}", path.read_bytes()


def _zipped(files: dict[str, bytes]) -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, FIXED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            runs = name in {"setup.sh", "run_autograder"}
            entry.external_attr = (0o100755 if runs else 0o100644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()
