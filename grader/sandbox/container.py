"""The backend for a machine whose users may start containers but may not create namespaces: podman or docker.

If both are installed, podman is used, because it needs no daemon and no root. The image provides only an empty root
with the usual folder layout (`/bin` a link to `/usr/bin`): system, interpreter and packages are this machine's own,
mounted read-only as in bubblewrap. `VAE_GRADER_IMAGE` names another image; no image is ever pulled during grading.

Limitations: with docker, everything mounted has to be readable by all users, because the box's user 1000 is not the
grader's. Rootless podman limits memory and tasks only with control groups of version 2. A container that outlives a
killed grader ends soon after its wall time.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path

from grader.errors import BoxError
from grader.records import Limits
from grader.sandbox.backend import IN_BOX, RUNNER, SPARE_TASKS, Command, Contents, box_environment
from grader.sandbox.box_contents import (
    HOME,
    PASSWD,
    SETTINGS,
    SYSTEM,
    WRITABLE,
    private_in_sight,
    python_folders,
    python_program,
)
from grader.sandbox.gpu import BoxGpu, box_gpu
from grader.sandbox.in_box.patience import PATIENCE
from grader.sandbox.resource_limits import rlimits
from grader.sandbox.seccomp import container_engine_profile

CONTAINER_ENGINES = ("podman", "docker")
IMAGE_VARIABLE, IMAGE = "VAE_GRADER_IMAGE", "debian:stable-slim"
ANSWER_S = 60  # a busy daemon may take long to answer
GRACE_S = 60  # after the wall time, when the supervisor ends the box
PROXIES = [f"{kind}_proxy" for kind in ("http", "https", "ftp", "all", "no")]
# What the engine's client needs from the caller's environment; the box gets none of it.
CLIENT = (
    *("PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "CONTAINER_HOST"),
)


class Container:
    """Runs the box in a container.

    Raises:
        BoxError: no engine is installed, it does not answer, or it does not have the image.
    """

    name = "container"
    without = frozenset({"cgroups", "rlimits", "monitor"})  # the engine limits memory, tasks and files

    def __init__(self, private: Collection[Path] = ()) -> None:
        self._private = private
        engines = [path for engine in CONTAINER_ENGINES if (path := shutil.which(engine))]
        if not engines:
            raise BoxError(f"isolation 'container': expected {' or '.join(CONTAINER_ENGINES)} on the PATH; install one")
        self.program = engines[0]
        self.engine = Path(self.program).name
        self.image = os.environ.get(IMAGE_VARIABLE) or IMAGE
        inspection = _engine_says(self.program, "image", "inspect", "--format", "{{.Id}}", self.image)
        if inspection.returncode:
            lines = inspection.stderr.strip().splitlines() or ["no message"]
            raise BoxError(
                f"isolation 'container': {self.engine} has no image {self.image!r} to run"
                f" ({lines[-1][:200]}); run `{self.engine} pull {self.image}`,"
                f" or set {IMAGE_VARIABLE} to an image that it has"
            )

    def command(self, contents: Contents, limits: Limits, *, gpu: bool) -> Command:
        """See `Backend`."""
        name = f"vae-autograder-{os.getpid()}-{secrets.token_hex(6)}"
        card = box_gpu(limits) if gpu else BoxGpu()
        mounts = self._mounts({**contents, **card.libraries})
        folder = Path(tempfile.mkdtemp(prefix="box-"))
        profile = folder / "seccomp.json"
        profile.write_text(json.dumps(container_engine_profile()))
        podman = self.engine == "podman"
        arguments = [self.program, "run", "--rm", "--interactive", "--name", name, "--pull", "never"]
        arguments += ["--network", "none", "--ipc", "private", "--cgroupns", "private", "--hostname", "box"]
        arguments += ["--read-only", "--cap-drop", "ALL", "--user", "1000:1000"]
        arguments += ["--security-opt", "no-new-privileges", "--security-opt", f"seccomp={profile}"]
        arguments += ["--log-driver", "none"]  # otherwise the engine would store every frame on disk
        if podman:
            arguments += ["--read-only-tmpfs=false", "--http-proxy=false"]
            if os.getuid() != 0:
                arguments += ["--userns", "keep-id:uid=1000,gid=1000"]
        arguments += self._limits(limits)
        arguments += mounts
        for path in private_in_sight(self._private):
            arguments += ["--tmpfs", f"{path}:ro,nosuid,nodev,size=4k,mode=755"]
        arguments += self._gpu(card) if gpu else []
        environment = {**box_environment({path: path for path in contents}, HOME, "/tmp"), **card.environment}
        environment |= {name: "" for proxy in PROXIES for name in (proxy, proxy.upper())}
        for key, value in environment.items():
            arguments += ["--env", f"{key}={value}"]
        end_s = math.ceil(PATIENCE * limits.wall_s) + GRACE_S
        arguments += ["--workdir", HOME, "--entrypoint", "/usr/bin/timeout", self.image]
        arguments += ["--foreground", "--signal=KILL", str(end_s), python_program(), f"{IN_BOX}/{RUNNER}"]
        client = {key: os.environ[key] for key in CLIENT if key in os.environ}
        return Command(arguments, client, end=partial(_end, self.program, name, folder))

    def _gpu(self, card: BoxGpu) -> list[str]:
        """Podman identifies a GPU by its number, docker by its UUID; if neither is known, all GPUs are requested."""
        if self.engine == "podman":
            return ["--device", f"nvidia.com/gpu={card.number or 'all'}"]
        return ["--gpus", f"device={card.uuid}" if card.uuid else "all"]

    def _limits(self, limits: Limits) -> list[str]:
        memory = f"{limits.memory_mb}m"
        arguments = ["--memory", memory, "--memory-swap", memory]
        arguments += ["--pids-limit", str(limits.processes + SPARE_TASKS)]
        cores = sorted(os.sched_getaffinity(0))
        if self.engine == "docker" and len(cores) < (os.cpu_count() or 1):  # podman's containers inherit the cores
            arguments += ["--cpuset-cpus", ",".join(map(str, cores))]
        for limit, value in rlimits(limits).items():
            arguments += ["--ulimit", f"{limit.lower()}={value}:{value}"]
        for path in WRITABLE:
            size = limits.disk_mb * 1_000_000
            if path == "/dev/shm" and self.engine == "docker":  # docker mounts its own there
                arguments += ["--shm-size", str(size)]
            else:
                arguments += ["--tmpfs", f"{path}:rw,exec,nosuid,nodev,size={size},mode=1777"]
        return arguments

    def _mounts(self, contents: Contents) -> list[str]:
        system = [Path(path) for path in SYSTEM if Path(path).is_dir() and not Path(path).is_symlink()]
        settings = [Path(path) for path in SETTINGS if Path(path).exists() and not Path(path).is_symlink()]
        paths = [*system, *settings, *python_folders()]
        mounts = {str(path): path for path in paths} | {"/etc/passwd": PASSWD} | dict(contents)
        arguments = []
        for inside, outside in mounts.items():
            if "," in f"{inside}{outside}":
                raise BoxError(f"isolation 'container': {outside}: a path with a comma cannot be mounted; move it")
            arguments += ["--mount", f"type=bind,source={outside},destination={inside},readonly"]
        return arguments


def _engine_says(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the engine and returns its result; no answer counts as a failure."""
    command = [program, *arguments]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _end(program: str, name: str, folder: Path) -> None:
    """Removes the container, whether it ran or not, and checks that it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    _engine_says(program, "rm", "--force", "--volumes", name)
    listing = _engine_says(program, "ps", "--all", "--quiet", "--filter", f"name=^{name}$")
    if listing.returncode or listing.stdout.strip():
        raise BoxError(f"the container {name} could not be ended, so this run is not used; end it by hand")
