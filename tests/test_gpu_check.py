"""`make gpu-check`: its requirements, the steps it omits when time is short, and its table."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from benchmarks import gpu_check, gpu_measure, gpu_wheels
from benchmarks.gpu_measure import Budget, Check, CommandResult, Step
from benchmarks.gpu_wheels import CARRIED, MNIST_FILES, REPLACED, THEIRS, THERE, Refused, name_of
from benchmarks.phases import COMPONENTS, SECOND, TRAINED, TRAINING, phases

ROOT = Path(__file__).parents[1]
MINOR = sys.version_info.minor
NOT_GRADING = {"nbconvert"}  # only for notebooks that call it


def needed_by(requirement: Requirement, packages: set[tuple[str, str]]) -> None:
    """Adds the package and everything that it requires to `packages`; for PyTorch, the package alone."""
    name = name_of(requirement.name)
    for extra in {"", *requirement.extras} - {extra for known, extra in packages if known == name}:
        packages.add((name, extra))
        for text in [] if name in {"torch", REPLACED} else importlib.metadata.requires(name) or []:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                needed_by(one, packages)


def test_every_import_of_a_grade_is_on_the_machine_or_carried() -> None:
    packages: set[tuple[str, str]] = set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in (*project["dependencies"], *project["optional-dependencies"]["grade"]):
        if name not in NOT_GRADING:
            needed_by(Requirement(name), packages)
    assert {name for name, _ in packages} == {*CARRIED, *THERE, *THEIRS, REPLACED}
    assert set(CARRIED) <= set(gpu_wheels.pinned())


def folder_of_wheels(folder: Path, *without: str, tag: str = "py3-none-any") -> Path:
    (folder / "mnist").mkdir(parents=True)
    for name in CARRIED:
        if name not in without:
            spelt, version = name.replace("-", "_"), gpu_wheels.pinned()[name]
            with zipfile.ZipFile(folder / f"{spelt}-{version}-{tag}.whl", "w") as archive:
                archive.writestr(f"{spelt}/__init__.py", "")
    for name in MNIST_FILES:
        (folder / "mnist" / name).touch()
    return folder


def test_missing_packages_are_listed_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    folder = folder_of_wheels(tmp_path / "wheels", "attrs", "rich")
    (folder / "mnist" / MNIST_FILES[0]).unlink()
    lacking = gpu_wheels.missing(folder, 12, {"rich"})
    line = gpu_wheels.missing_line(folder, lacking, "3.12")
    things = f"attrs=={gpu_wheels.pinned()['attrs']}, MNIST"
    command = f"make gpu-wheels WHEELS={folder} PYTHON_VERSION=3.12"
    assert line == f"gpu-check: {folder}: 2 things are missing: {things}; on a machine with a network: {command}"


@pytest.mark.parametrize(
    ("tag", "suits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp312-cp312-manylinux_2_28_x86_64", True),
        ("cp310-abi3-manylinux_2_28_x86_64", True),
        ("cp311-cp311-manylinux_2_28_x86_64", False),
        ("cp313-abi3-manylinux_2_28_x86_64", False),
        ("py2-none-any", False),
    ],
)
def test_a_wheel_for_another_python_is_ignored(tmp_path: Path, tag: str, suits: bool) -> None:
    wheels = gpu_wheels.wheels_in(folder_of_wheels(tmp_path / "wheels", tag=tag), 12)
    assert set(wheels) == (set(CARRIED) if suits else set())


def test_a_wheel_of_another_version_is_ignored(tmp_path: Path) -> None:
    folder = folder_of_wheels(tmp_path / "wheels", "rich")
    (folder / "rich-0.0.1-py3-none-any.whl").touch()
    assert gpu_wheels.missing(folder, 12, ()) == [f"rich=={gpu_wheels.pinned()['rich']}"]


def test_a_wheel_is_unpacked_where_an_installer_puts_it(tmp_path: Path) -> None:
    wheel, site, prefix = tmp_path / "one-1-py3-none-any.whl", tmp_path / "site", tmp_path / "prefix"
    with zipfile.ZipFile(wheel, "w") as archive:
        program = zipfile.ZipInfo("one/program")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, "")
        for name in (
            "one/__init__.py",
            "one-1.data/data/share/one",
            "one-1.data/purelib/two.py",
            "one-1.data/headers/h",
        ):
            archive.writestr(name, "")
    gpu_wheels.unpack(wheel, site, prefix)
    files = sorted(
        path.relative_to(tmp_path).as_posix() for path in (*site.rglob("*"), *prefix.rglob("*")) if path.is_file()
    )
    assert files == ["prefix/share/one", "site/one/__init__.py", "site/one/program", "site/two.py"]
    assert (site / "one" / "program").stat().st_mode & 0o111


@pytest.mark.parametrize("name", ["../../outside", "/outside", "one-1.data/data/../../../outside"])
def test_a_wheel_that_writes_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = tmp_path / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, "")
    with pytest.raises(Refused, match="leads elsewhere"):
        gpu_wheels.unpack(wheel, tmp_path / "site" / "deep", tmp_path / "prefix" / "deep")


def test_a_damaged_wheel_is_reported(tmp_path: Path) -> None:
    (tmp_path / "one-1-py3-none-any.whl").write_bytes(b"no archive")
    with pytest.raises(Refused, match="download it again"):
        gpu_wheels.unpack(tmp_path / "one-1-py3-none-any.whl", tmp_path, tmp_path)


def test_a_python_without_pytorch_is_reported_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_wheels, "installed_here", lambda: {"numpy"})
    assert gpu_check.main(["--wheels", str(tmp_path / "absent"), "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "found no torch, scipy, scikit-learn, safetensors, onnxruntime" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--python-version", "3.9"], "expected 3.11 or later"),
        (["--python-version", "3.12; x"], "expected 3.11 or later"),
        (["--has", "numpyy"], "numpyy: no such package is needed"),
    ],
)
def test_an_impossible_download_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert gpu_wheels.main([str(tmp_path), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_installed_packages_are_not_carried_and_a_too_large_download_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of_wheels(tmp_path / "wheels")
    assert gpu_wheels.download(folder, "3.12", {"matplotlib"}) < 1
    assert not list(folder.glob("matplotlib-3*"))
    monkeypatch.setattr(gpu_wheels, "MOST_MIB", 0.0)
    with pytest.raises(Refused, match="expected 0 at most; largest: "):
        gpu_wheels.download(folder, "3.12", {"matplotlib"})


def check(tmp_path: Path, seconds: float) -> tuple[Check, Callable[[float], None]]:
    """A check with a simulated clock, and a function that advances the clock."""
    at = [0.0]
    budget = Budget(seconds, now=lambda: at[0])

    def move(by: float) -> None:
        at[0] += by

    return Check(budget, tmp_path / "out", tmp_path / "work", {"GPU": "none"}, gpu=False), move


def test_a_step_without_enough_time_is_left_out_and_reported_and_later_steps_run(tmp_path: Path) -> None:
    clocked_check, move = check(tmp_path, 100)
    limits = []

    def take(name: str, needs_s: float) -> None:
        def act(limit_s: float) -> Step:
            limits.append(limit_s)
            move(50)
            return Step(name, "done", message="well")

        clocked_check.step(name, needs_s, act)

    take("one", 60)
    take("two", 60)
    take("three", 20)
    assert [(step.name, step.state) for step in clocked_check.steps] == [
        ("one", "done"),
        ("two", "left out"),
        ("three", "done"),
    ]
    assert clocked_check.steps[1].message == "needs about 60 s, 25 s are left"
    assert limits == [75, 25]
    results = json.loads((tmp_path / "out" / "gpu-check.json").read_text())
    assert [step["state"] for step in results["steps"]] == ["done", "left out", "done"]
    assert "| two | left out | 0 | needs about 60 s, 25 s are left |" in (tmp_path / "out" / "gpu-check.md").read_text()


def test_a_command_and_its_child_processes_are_ended_at_the_time_limit(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    result = gpu_measure.watched(
        [sys.executable, "-c", f"print('begun', flush=True); {child}"], 2.0, {}, tmp_path / "log"
    )
    assert result.code is None
    assert result.seconds < 20
    assert "begun" in [text for _, text in result.lines]
    assert "begun" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("device", "gpu", "holds"),
    [("cpu", False, True), ("cpu", True, False), ("cuda (H100)", True, True), ("", True, False)],
)
def test_a_reference_that_does_not_use_the_gpu_fails_the_check(
    tmp_path: Path, device: str, gpu: bool, holds: bool
) -> None:
    clocked_check, _ = check(tmp_path, 100)
    clocked_check.gpu = gpu
    if device:
        clocked_check.step("the reference", 1, lambda _: Step("the reference", "done", values={"device": device}))
    assert clocked_check.holds() is holds
    clocked_check.step("another", 1, lambda _: Step("another", "failed"))
    assert not clocked_check.holds()


def report(folder: Path, points: float, device: str = "cpu") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"items": [{"id": "vae.loss", "points": points}], "device": device, "remarks": [{"message": "Well."}]}
    (folder / "report.json").write_text(json.dumps(content))
    return folder / "report.json"


def test_a_grade_reports_points_device_and_time_by_phase(tmp_path: Path) -> None:
    lines = [(5.0, "cell 3 of 9: Training the VAE"), (25.0, "grading the answers"), (29.0, "writing the report")]
    result = CommandResult(0, 30.0, lines, gpu_mib=900.0)
    step = gpu_measure.from_grade("one", result, report(tmp_path, 5.0, "cuda (H100)"))
    assert step.state == "done"
    assert step.message == "5 points, on cuda (H100), training cells 20 s, 900 MiB of GPU memory at most"
    assert step.values["remarks"] == ["Well."]
    failed = gpu_measure.from_grade("one", CommandResult(2, 1.0, [(0.5, "not graded: why")]), tmp_path / "absent")
    assert (failed.state, failed.message) == ("failed", "not graded: why")
    assert gpu_measure.from_grade("one", CommandResult(None, 1.0, []), tmp_path / "absent").state == "ended"


def test_the_phases_are_read_from_the_lines_of_this_version_and_of_older_ones() -> None:
    now = [
        (5.0, "cell 3 of 9: Training the VAE"),
        (15.0, "testing the trained VAE"),
        (16.0, "testing the components of CVAE"),
        (18.0, "testing the sampling code of CVAE"),
        (19.0, "testing the trained CVAE"),
        (20.0, "testing the trained models in a fresh sandbox"),
        (22.0, "drawing the map of codes"),
        (25.0, "grading the answers"),
    ]
    before = [
        *[(5.0, "cell 3 of 9: Training the VAE"), (15.0, "testing vae (quality)"), (16.0, "testing cvae (components)")],
        *[(18.0, "testing cvae (sampling)"), (19.0, "testing cvae (quality)"), (20.0, "testing in a fresh sandbox")],
        *[(21.0, "cell 1 of 9: Setup"), (22.0, "testing vae (plane)"), (25.0, "grading the answers")],
    ]
    expected = {TRAINING: 10.0, COMPONENTS: 2.0, TRAINED: 3.0, SECOND: 5.0}
    for lines in (now, before):
        spent = phases(lines, 30.0)
        assert {phase: spent[phase] for phase in expected} == expected


def test_a_class_reports_submissions_per_hour_and_whether_all_got_the_same_points(tmp_path: Path) -> None:
    for number, points in enumerate((5.0, 5.0, 4.0, 5.0)):
        report(tmp_path / "submissions" / f"student{number}", points)
    step = gpu_measure.from_class("4 boxes at once", CommandResult(0, 60.0, [], gpu_mib=4000.0), tmp_path, 4)
    assert step.message == "240 submissions an hour, points 4, 5, 1000 MiB of GPU memory a box"
    assert gpu_measure.from_class("", CommandResult(0, 60.0, []), tmp_path, 5).message.startswith("4 of 5 graded")
    assert gpu_measure.from_class("", CommandResult(None, 60.0, []), tmp_path, 5).state == "ended"


@pytest.mark.parametrize(
    ("boxes", "free_gb", "gpu_mib", "why"),
    [(4, 100, 80_000, ""), (8, 20, 80_000, "8 boxes need 24 GB"), (8, 100, 7_000, "8 boxes need 8000 MiB of GPU")],
)
def test_more_boxes_than_fit_are_left_out(boxes: int, free_gb: float, gpu_mib: float, why: str) -> None:
    one = Step("one", "done", values={"GPU MiB": 1000.0})
    assert gpu_measure.most_boxes(boxes, one, free_gb, gpu_mib).startswith(why)
    assert bool(gpu_measure.most_boxes(boxes, one, free_gb, gpu_mib)) is bool(why)


def test_points_that_differ_are_named() -> None:
    assert gpu_measure.compared({"a": 1.0}, {"a": 1.0}) == "each item has the same points as on the CPU"
    assert gpu_measure.compared({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 1.5}) == "other points on the CPU: b 2.0 and 1.5"


def test_the_doctors_json_is_found_between_other_lines() -> None:
    result = CommandResult(
        0, 1.0, [(0.1, "trying"), (0.2, '{"fit": true,'), (0.3, ' "conclusion": "well"}'), (0.4, "warning: {")]
    )
    assert result.printed() == {"fit": True, "conclusion": "well"}
    assert CommandResult(0, 1.0, [(0.1, "no { object")]).printed() == {}


def test_the_stand_in_reads_mnist_as_torchvision_does(tmp_path: Path) -> None:
    from benchmarks.stand_in_torchvision.datasets import MNIST

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for which in ("train", "t10k"):
        header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (2, 28, 28))
        (raw / f"{which}-images-idx3-ubyte").write_bytes(header + bytes(range(196)) * 8)
        (raw / f"{which}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x02\x03\x07")
    data = MNIST(str(tmp_path), train=False, download=True)
    assert (tuple(data.data.shape), data.targets.tolist(), len(data)) == ((2, 28, 28), [3, 7], 2)
    assert int(data.data[0, 0, 5]) == 5
    with pytest.raises(RuntimeError):
        MNIST(str(tmp_path / "absent"))


@pytest.mark.long
def test_the_whole_check_runs_from_a_folder_of_wheels(tmp_path: Path) -> None:
    wheels, out = tmp_path / "wheels", tmp_path / "out"
    assert gpu_wheels.main([str(wheels), "--python-version", f"3.{MINOR}"]) == 0
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--wheels", str(wheels), "--out", str(out)]
    done = subprocess.run([*command, "--budget-s", "180"], cwd=ROOT, capture_output=True, text=True)
    results = json.loads((out / "gpu-check.json").read_text())
    states = {step["name"]: step["state"] for step in results["steps"]}
    assert states["the doctor"] == "done", done.stdout + done.stderr
    assert states["8 boxes at once"] == "left out"
