"""What stands outside while the boxes try: listeners, a secret in the environment, files that must not be seen."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from grader.box.cgroups import ROOT
from grader.doctor.cells import MARK

SECRET_NAME = "VAE_GRADER_DOCTOR"


@dataclass
class Host:
    """What the cells are told, what each hidden path is, and the listeners that were reached."""

    told: dict[str, object]
    hidden: Mapping[str, str]
    heard: list[str] = field(default_factory=list)


@contextlib.contextmanager
def host(hidden: Mapping[str, str]) -> Iterator[Host]:
    """The listeners listen on this machine's loopback only, and the secret is in the environment, until the end."""
    secret = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doctor-")))
        (folder / "gradebook.csv").write_text("a file of yours\n")
        abstract = f"doctor-{secrets.token_hex(8)}"
        plugs = {
            "tcp": socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "abstract": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
            "socket_file": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        }
        plugs["tcp"].bind(("127.0.0.1", 0))
        plugs["udp"].bind(("127.0.0.1", 0))
        plugs["abstract"].bind("\0" + abstract)
        plugs["socket_file"].bind(str(folder / "socket"))
        told: dict[str, object] = {
            "tcp": plugs["tcp"].getsockname()[1],
            "udp": plugs["udp"].getsockname()[1],
            "abstract": abstract,
            "socket_file": str(folder / "socket"),
            "secret": secret,
        }
        hidden = {str(folder / "gradebook.csv"): "other submissions", **hidden}
        found = Host(told | {"hidden": list(hidden)}, hidden)
        for name, plug in plugs.items():
            stack.callback(plug.close)
            if name != "udp":
                plug.listen()
            plug.settimeout(0.2)
            threading.Thread(target=_listen, args=(plug, name, found.heard), daemon=True).start()
        os.environ[SECRET_NAME] = secret
        stack.callback(os.environ.pop, SECRET_NAME, None)
        yield found


def _listen(plug: socket.socket, name: str, heard: list[str]) -> None:
    while plug.fileno() >= 0:
        try:
            if name == "udp":
                plug.recv(100)
            else:
                plug.accept()[0].close()
        except TimeoutError:
            continue
        except OSError:  # closed
            return
        heard.append(name)


def processes_left() -> list[str]:
    """The processes that tried to outlive their box and did."""
    return [f"process {p.pid}" for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]


def groups_left() -> list[str]:
    """The control groups that this process's boxes have left."""
    mine = f"vae-autograder-{os.getpid()}-"
    return [str(path) for path in ROOT.glob(f"**/{mine}*")]
