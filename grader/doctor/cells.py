"""The cells that the doctor runs in a box, and the listeners and files that wait outside.

Each cell tries something that a box must prevent, and prints one JSON object. `INPUTS` is replaced by what the cells
need to know: the host's listeners, a secret in the environment, and paths that must not be visible.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from grader.doctor import gpu as on_gpu
from grader.sandbox.control_groups import ROOT

MARK = "vae-autograder-doctor"  # the name of the process that tries to outlive its box

_SETTING = """
import json, os, sys, time
inputs = json.loads(INPUTS)
def attempt(act):
    try:
        act()
        return "worked"
    except Exception as error:
        return type(error).__name__
"""
_NETWORK = """
import socket
def send(family, kind, address, text=b"here"):
    with socket.socket(family, kind) as plug:
        plug.settimeout(3)
        plug.connect(address)
        plug.sendall(text)
def interfaces():
    try:
        return [name for _, name in socket.if_nameindex()]
    except OSError:  # interfaces cannot even be listed
        return []
inet, unix, stream, packets = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
started = time.monotonic()
print(json.dumps({
    "tcp": attempt(lambda: send(inet, stream, ("127.0.0.1", inputs["tcp"]))),
    "udp": attempt(lambda: send(inet, packets, ("127.0.0.1", inputs["udp"]))),
    "dns": attempt(lambda: socket.getaddrinfo("doctor.invalid", 443)),
    "abstract": attempt(lambda: send(unix, stream, "\\0" + inputs["abstract"])),
    "socket_file": attempt(lambda: send(unix, stream, inputs["socket_file"])),
    "interfaces": interfaces(),
    "seconds": time.monotonic() - started,
}))
"""
_SIGHT = """
import importlib
def opens(path):
    try:
        open(path).close()
        return True
    except OSError:
        return False
def reads(path):  # of a folder, what lies in it: an empty one may cover an installed package
    below = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return opens(path) or any(map(opens, below))
def sees(path):
    try:
        return os.path.exists(path) and not (os.path.isdir(path) and not os.listdir(path))
    except OSError:
        return True
def imports():
    try:
        return getattr(importlib.import_module("grader"), "__file__", None) is not None
    except Exception:
        return False
print(json.dumps({
    "grader": imports(),
    "seen": [path for path in inputs["hidden"] if sees(path)],
    "read": [path for path in inputs["hidden"] if reads(path)],
    "environment": inputs["secret"] in str(dict(os.environ)) + open(f"/proc/{os.getppid()}/environ").read(),
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
}))
"""
_POWERS = """
import ctypes, itertools
def writable(path):
    name = os.path.join(path, "doctor-was-here")
    try:
        with open(name, "w"):
            pass
    except OSError:
        return False
    os.unlink(name)
    return True
folders = ["/", "/usr/lib", "/etc", "/dev", "/box/engine", "/proc/sys/kernel", sys.prefix]
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
libc = ctypes.CDLL(None)
place = os.path.join(os.environ["HOME"], "mounted")
os.mkdir(place)
NEW_USER = 0x10000000
def opens(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
def settings():
    yield from ("/proc/sysrq-trigger", "/proc/kcore", "/proc/mtrr")
    tops = ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/sys/kernel", "/sys/module", "/sys/power")
    for top in tops:
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names)
looked_at = list(itertools.islice(settings(), 20_000))
cores = os.sched_getaffinity(0)
attempt(lambda: os.sched_setaffinity(0, {min(cores)}))
kept_cores = os.sched_getaffinity(0) == cores
print(json.dumps({
    "writable": [path for path in folders if os.path.isdir(path) and writable(path)],
    "capabilities": any(int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb")),
    "bounds": int(status["CapBnd"], 16) != 0,  # only root can lower them
    "no_new_privileges": status["NoNewPrivs"].strip() == "1",
    "root": 0 in os.getresuid(),
    "owner": os.stat("/proc/sys/kernel").st_uid == os.getuid(),
    "settings": [path for path in looked_at if opens(path)][:3],
    "looked_at": len(looked_at),
    "kept_cores": kept_cores,
    "seccomp": status.get("Seccomp", "0").strip() == "2",
    "user_namespace": libc.unshare(NEW_USER) == 0,
    "mount": libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, None) == 0,
    "descriptors": sum(os.path.exists(f"/proc/self/fd/{n}") and not os.readlink(f"/proc/self/fd/{n}").startswith(
        ("socket:", "pipe:", "anon_inode:", "/dev/null", "/tmp/", "/home/student/"))
        for n in os.listdir("/proc/self/fd")),
}))
"""
_DISK = """
def fill(folder):
    wrote, name = 0, os.path.join(folder, "filling")
    try:
        with open(name, "wb") as stream:
            while wrote < inputs["too_much_bytes"]:
                wrote += stream.write(bytes(1_000_000))
    except OSError:
        pass
    if os.path.exists(name):
        os.unlink(name)
    return wrote
folders = (os.environ["HOME"], os.environ["TMPDIR"], "/dev/shm")
print(json.dumps({"wrote": {folder: fill(folder) for folder in folders}}))
"""
_FILES = """
opened = []
try:
    while len(opened) < 100_000:
        opened.append(os.dup(0))
except OSError:
    pass
for number in opened:
    os.close(number)
print(json.dumps({"opened": len(opened)}))
"""
_PROCESSES = """
children = []
try:
    while len(children) < inputs["too_many"]:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(json.dumps({"started": len(children)}))
"""
_BOMB = "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
_DAEMON = f"""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sh", ["{MARK}", "-c", "while true; do sleep 1; done"])
    os._exit(0)
print(json.dumps({{"left": True}}))
"""
_FLOOD = "print('x' * 20_000_000)"
_BUSY = "while True: pass"
_STUBBORN = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
_MEMORY = "blocks = []\nwhile True: blocks.append(bytearray(10_000_000))"

_LOOKS = {"network": _NETWORK, "sight": _SIGHT, "powers": _POWERS, "disk": _DISK, "files": _FILES, "daemon": _DAEMON}
_ENDING = {"flood": _FLOOD, "busy": _BUSY, "stubborn": _STUBBORN}


def first_box(inputs: Mapping[str, object], *, gpu: bool) -> dict[str, str]:
    """The cells of the first box, by name; the last ones are interrupted."""
    looks = _LOOKS | ({"gpu": on_gpu.CELL} if gpu else {})
    return {name: _with(inputs, source) for name, source in looks.items()} | _ENDING


def exhausting_boxes(inputs: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """The cells of the further boxes, by box and name: each box exhausts one resource until box or cell is stopped."""
    forks = {"processes": _with(inputs, _PROCESSES), "bomb": _with(inputs, _BOMB)}
    return {"memory": {"memory": _MEMORY}, "processes": forks, "wall": {"wall": _BUSY}}


def _with(inputs: Mapping[str, object], source: str) -> str:
    return _SETTING.replace("INPUTS", repr(json.dumps(dict(inputs)))) + source


SECRET_NAME = "VAE_GRADER_DOCTOR"


@dataclass
class Host:
    """The cells' inputs, a name for each hidden path, and the listeners that were reached."""

    inputs: dict[str, object]
    hidden: Mapping[str, str]
    reached_listeners: list[str] = field(default_factory=list)


@contextlib.contextmanager
def host(hidden: Mapping[str, str]) -> Iterator[Host]:
    """Until the context ends, listeners wait on this machine's sockets, and the environment contains a secret."""
    secret = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doctor-")))
        (folder / "gradebook.csv").write_text("your file\n")
        abstract = f"doctor-{secrets.token_hex(8)}"
        sockets = {
            "tcp": socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            "udp": socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "abstract": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
            "socket_file": socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        }
        sockets["tcp"].bind(("127.0.0.1", 0))
        sockets["udp"].bind(("127.0.0.1", 0))
        sockets["abstract"].bind("\0" + abstract)
        sockets["socket_file"].bind(str(folder / "socket"))
        inputs: dict[str, object] = {
            "tcp": sockets["tcp"].getsockname()[1],
            "udp": sockets["udp"].getsockname()[1],
            "abstract": abstract,
            "socket_file": str(folder / "socket"),
            "secret": secret,
        }
        hidden = {str(folder / "gradebook.csv"): "other submissions", **hidden}
        machine = Host(inputs | {"hidden": list(hidden)}, hidden)
        for name, plug in sockets.items():
            stack.callback(plug.close)
            if name != "udp":
                plug.listen()
            plug.settimeout(0.2)
            threading.Thread(target=_listen, args=(plug, name, machine.reached_listeners), daemon=True).start()
        os.environ[SECRET_NAME] = secret
        stack.callback(os.environ.pop, SECRET_NAME, None)
        yield machine


def _listen(plug: socket.socket, name: str, reached_listeners: list[str]) -> None:
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
        reached_listeners.append(name)


def processes_left() -> list[str]:
    """The processes that outlived their box."""
    return [f"process {p.pid}" for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or [])]


def groups_left() -> list[str]:
    """The control groups that the boxes of this process left behind."""
    prefix = f"vae-autograder-{os.getpid()}-"
    return [str(path) for path in ROOT.glob(f"**/{prefix}*")]
