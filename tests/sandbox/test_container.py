"""The container backend's command line, with an engine that records its arguments; no real engine is needed."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
from small_box import run_script
from small_exercise import running

from grader.errors import BoxError
from grader.records import Status
from grader.sandbox.backend import Command, Contents
from grader.sandbox.container import IMAGE_VARIABLE, Container
from grader.sandbox.isolation import backend_named
from grader.sandbox.seccomp import container_engine_profile

CONTENTS = {"/box/engine": Path("/somewhere/engine")}
# Knows one image; runs what a container would run, as it is; removes on request, unless it is told to be stubborn.
FAKE = """#!PYTHON -S
import os, sys
from pathlib import Path
asked, said = sys.argv[1:], Path(__file__).with_name("said")
with said.open("a") as stream:
    stream.write(repr(asked) + "\\n")
if asked[:2] == ["image", "inspect"] and asked[-1] not in ("debian:stable-slim", "course:2"):
    sys.exit("Cannot connect to the daemon\\nError: no such image")
if asked[0] == "ps" and Path(__file__).with_name("stubborn").exists():
    print("0123456789ab")
if asked[0] == "run":
    mounts = dict(a.split(",")[1:3] for a in asked if a.startswith("type=bind"))
    engine = next(s for s, d in mounts.items() if d == "destination=/box/engine").removeprefix("source=")
    os.execv(sys.executable, [sys.executable, engine + "/runner.py"])
"""


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, with no engine in it yet."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(IMAGE_VARIABLE, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(FAKE.replace("PYTHON", sys.executable))
        (folder / name).chmod(0o755)


def built(folder: Path, engine: str, *, gpu: bool = False, contents: Contents = CONTENTS) -> Command:
    install(folder, engine)
    limits = running.rubric(memory_mb=700, processes=60, disk_mb=20, wall_s=60).limits
    return Container().command(contents, limits, gpu=gpu)


def values(command: Command, option: str) -> list[str]:
    """What is given for an option, every time."""
    arguments = list(command.arguments)
    return [arguments[n + 1] for n, argument in enumerate(arguments) if argument == option]


def asked(folder: Path) -> list[str]:
    return (folder / "said").read_text().splitlines()


def test_a_machine_without_an_engine_is_refused(engines: Path) -> None:
    with pytest.raises(BoxError, match=r"^isolation 'container': expected podman or docker on the PATH; install one$"):
        backend_named("container")


def test_a_missing_image_is_refused(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(engines, "docker")
    monkeypatch.setenv(IMAGE_VARIABLE, "course:3")
    with pytest.raises(
        BoxError, match=r"^isolation 'container': docker has no image 'course:3'.*docker pull course:3`"
    ):
        backend_named("container")
    monkeypatch.setenv(IMAGE_VARIABLE, "course:2")
    assert "course:2" in built(engines, "docker").arguments


def test_podman_is_taken_where_both_are(engines: Path) -> None:
    install(engines, "podman", "docker")
    assert Container().engine == "podman"


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_a_container_is_as_closed_as_can_be(engine: str, engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_TOKEN", "a-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://someone:secret@proxy.invalid")
    command = built(engines, engine)
    assert list(command.arguments[:4]) == [str(engines / engine), "run", "--rm", "--interactive"]
    assert {"--read-only"} <= set(command.arguments)
    for option, value in {
        "--network": "none",
        "--ipc": "private",
        "--cgroupns": "private",
        "--cap-drop": "ALL",
        "--user": "1000:1000",
        "--pull": "never",
        "--log-driver": "none",
        "--memory": "700m",
        "--memory-swap": "700m",
        "--pids-limit": "68",
    }.items():
        assert values(command, option) == [value], option
    assert "no-new-privileges" in values(command, "--security-opt")
    assert {"core=0:0", "nofile=4096:4096", "fsize=20000000:20000000"} <= set(values(command, "--ulimit"))
    forbidden = {"--privileged", "--cap-add", "--publish", "--volume", "host"}
    assert not forbidden & set(command.arguments)
    assert "secret" not in str(command.arguments)
    assert "COURSE_TOKEN" not in command.environment
    assert "HTTPS_PROXY=" in values(command, "--env")
    assert "BOX_ENGINE=/box/engine" in values(command, "--env")
    command.end()


@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_everything_mounted_is_read_only_and_what_can_be_written_has_a_size(engine: str, engines: Path) -> None:
    command = built(engines, engine)
    mounts = values(command, "--mount")
    assert all(mount.startswith("type=bind,source=/") and mount.endswith(",readonly") for mount in mounts)
    assert "type=bind,source=/somewhere/engine,destination=/box/engine,readonly" in mounts
    sized = [folder.partition(":")[0] for folder in values(command, "--tmpfs") if ",size=20000000," in folder]
    sized += ["/dev/shm"] if values(command, "--shm-size") == ["20000000"] else []
    assert sorted(sized) == ["/box/run", "/content", "/dev/shm", "/home/student", "/tmp"]
    command.end()


@pytest.mark.parametrize(("engine", "cores"), [("docker", ["0,2"]), ("podman", [])])
def test_a_container_keeps_to_the_graders_cores(
    engine: str, cores: list[str], engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 0})
    assert values(built(engines, engine), "--cpuset-cpus") == cores  # a container of podman's inherits them
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert values(built(engines, engine), "--cpuset-cpus") == []


def test_each_engine_is_asked_for_the_gpu_in_its_own_way(engines: Path) -> None:
    docker = built(engines, "docker", gpu=True)
    assert values(docker, "--gpus") == ["all"]
    podman = built(engines, "podman", gpu=True)
    assert values(podman, "--device") == ["nvidia.com/gpu=all"]
    assert "--http-proxy=false" in podman.arguments
    assert "--read-only-tmpfs=false" in podman.arguments
    assert (values(podman, "--userns") == ["keep-id:uid=1000,gid=1000"]) == (os.getuid() != 0)


def test_the_profile_is_a_file_for_as_long_as_the_box_is(engines: Path) -> None:
    command = built(engines, "docker")
    profile = Path(values(command, "--security-opt")[1].removeprefix("seccomp="))
    assert json.loads(profile.read_text()) == container_engine_profile()
    command.end()
    assert not profile.parent.exists()


def test_a_path_that_cannot_be_mounted_is_refused(engines: Path) -> None:
    with pytest.raises(BoxError, match="a path with a comma cannot be mounted"):
        built(engines, "docker", contents={"/box/engine": Path("/a,b")})


def test_a_run_goes_through_the_engine_and_the_container_is_removed_by_name(engines: Path) -> None:
    install(engines, "docker")
    assert run_script("tell(1)", backend=Container()).status is Status.OK
    _, started, removed, looked = asked(engines)
    name = started.split("'--name', '")[1].partition("'")[0]
    assert removed == f"['rm', '--force', '--volumes', '{name}']"
    assert f"name=^{name}$" in looked


def test_a_run_is_not_used_if_its_container_cannot_be_removed(engines: Path) -> None:
    install(engines, "docker")
    (engines / "stubborn").touch()
    with pytest.raises(BoxError, match=r"^the container vae-autograder-\S+ could not be ended"):
        run_script("tell(1)", backend=Container())
