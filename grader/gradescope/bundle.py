"""Writes the zip that Gradescope takes: its two scripts, the grader, the course's rubric and notebooks.

The platform unpacks it at `/autograder/source`, runs `setup.sh` once as root while it builds the image, and
`run_autograder` for each submission; see https://gradescope-autograders.readthedocs.io/en/latest/specs/.
"""

from __future__ import annotations

import importlib.util
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from grader.errors import GraderError, one_line
from grader.notebook.format import load_notebook
from grader.rubric import load_rubric
from grader.store.files import write_atomically
from grader.store.json_files import dump_json

FILES = Path(__file__).parent / "files"
PACKAGE = Path(__file__).parents[1]
SETTINGS = "gradescope.json"
LOCKS = ("requirements.lock", "requirements-student.lock")
OURS_ALONE = re.compile(
    r"^(pytest|pytest-\w+|coverage|execnet|hypothesis|mypy|mypy_extensions|ruff|ast_serialize|vulture)=="
)
SUFFIXES = {".py", ".j2", ".css", ".js", ".safetensors", ".json", ".md"}
ISOLATIONS = ("bubblewrap", "user", "none")
DEADLINE_S = 35 * 60  # below the longest time-out that the platform's settings offer
FIXED = (2020, 1, 1, 0, 0, 0)  # the same bytes for the same content
MAX_MB = 95  # what is uploaded; the platform names 100 MB for files


@dataclass(frozen=True)
class Settings:
    """What the bundle says to the grader on the platform."""

    rubric: str  # its path below the bundle
    isolation: str
    deadline_s: float
    template: str  # the file name that a notebook is expected to have


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
    pip_options: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """`out` is the zip to upload; the same bytes for the same grader, course and choices.

    `isolation` is what keeps student code from the grader on the platform: "user" is for containers that allow no
    namespaces, "none" an instructor's explicit choice to do without. `pip_options` go to pip at set-up, for instance
    where the CPU build of PyTorch is to be had.

    Raises:
        GraderError: for a wrong rubric, notebook or choice, in one line.
    """
    if isolation not in ISOLATIONS:
        raise GraderError(f"isolation {isolation[:40]!r}: expected one of {', '.join(ISOLATIONS)}")
    rubric, _ = load_rubric(rubric_path)
    course = [rubric_path, *_extended(rubric_path)]
    course += [
        rubric_path.parent / name for name in (rubric.template, *rubric.earlier_templates, rubric.reference) if name
    ]
    for notebook in course:
        if notebook.suffix == ".ipynb":
            load_notebook(notebook)
    root = Path(os.path.commonpath([path.resolve().parent for path in course]))
    inside = {f"course/{path.resolve().relative_to(root).as_posix()}": path.read_bytes() for path in course}
    settings = Settings(
        rubric=f"course/{rubric_path.resolve().relative_to(root).as_posix()}",
        isolation=isolation,
        deadline_s=DEADLINE_S,
        template=Path(rubric.template).name,
    )
    inside[SETTINGS] = dump_json(asdict(settings))
    inside["requirements.txt"] = _requirements(rubric.packages)
    inside["pip_options.txt"] = (one_line(pip_options, 500) + "\n").encode()
    inside |= {path.name: path.read_bytes() for path in FILES.iterdir() if path.is_file()}
    inside |= dict(_package(PACKAGE, "grader"))
    inside |= dict(_exercise(rubric.exercise))
    say(f"packing {len(inside)} files")
    out.parent.mkdir(parents=True, exist_ok=True)
    data = _zipped(inside)
    if len(data) > MAX_MB * 1_000_000:
        raise GraderError(f"{out}: {len(data) / 1e6:.0f} MB, more than the {MAX_MB} MB that can be uploaded")
    write_atomically(out, data)
    return Bundle(out, len(data), tuple(sorted(inside)))


def _extended(rubric: Path) -> list[Path]:
    """The rubric that this one takes its other keys from."""
    content = yaml.safe_load(rubric.read_text(encoding="utf-8"))
    other = content.get("extends") if isinstance(content, dict) else None
    return [rubric.parent / str(other)] if other else []


def _requirements(packages: Sequence[str]) -> bytes:
    """The pinned packages, without those that only tests need, and what else the rubric promises to students."""
    lines: list[str] = []
    for name in LOCKS:
        lock = PACKAGE.parent / name
        if not lock.exists():
            raise GraderError(f"{name}: not beside the package; make the bundle from a checkout")
        lines += [line for line in lock.read_text(encoding="utf-8").splitlines() if not OURS_ALONE.match(line)]
    pinned = {line.partition("==")[0].lower() for line in lines}
    return ("\n".join([*lines, *(name for name in packages if name.lower() not in pinned)]) + "\n").encode()


def _exercise(package: str) -> Iterator[tuple[str, bytes]]:
    """The exercise's package, where it is not the grader's own."""
    if package.startswith("grader."):
        return
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise GraderError(f"exercise {package!r}: its files cannot be found")
    yield from _package(Path(found.origin).parent, package.replace(".", "/"))


def _package(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if "__pycache__" in inside.parts or not path.is_file():
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
