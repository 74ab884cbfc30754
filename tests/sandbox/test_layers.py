"""Each layer alone stops its actions; without it they succeed, or another layer stops them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_box import answer_of, run_script

from grader.errors import BoxError
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.control_groups import can_make_groups
from grader.sandbox.isolation import backend_named
from grader.sandbox.layers import LAYERS, missing_here

ROOT = os.getuid() == 0
ALSO = ("another user",) if ROOT else ()  # stops what the grader's own user could do


@dataclass(frozen=True)
class Action:
    """Something that a layer stops; `also` are the layers that stop it too, the next one first."""

    script: str
    also: tuple[str, ...] = ()
    given: tuple[str, ...] = ()  # layers without which this one can be seen


def calls(function: str, *arguments: str) -> str:
    """A script that tells whether a function of the C library did what it was asked to."""
    call = f"libc.{function}({', '.join(arguments)})"
    return f"done = {call} >= 0\ntell(['through', 0] if done else ['refused', ctypes.get_errno()])"


FORKS = """
for n in range(90):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        break
time.sleep(1.2)
ended = os.waitpid(-1, os.WNOHANG)[0]
tell(["through" if n == 89 and not ended else "refused", n])
"""
HOARD = """
child = os.fork()
if child == 0:
    hoard = []
    for _ in range(35):
        hoard.append(bytearray(os.urandom(1)) * 10_000_000)
    time.sleep(2)
    os._exit(0)
_, status = os.waitpid(child, 0)
tell(["refused" if status else "through", status])
"""
OPEN_FILES = """
def secrets():
    for number in range(3, 100):
        try:
            if os.pread(number, 100, 0) == b"SECRET":
                return number
        except OSError:
            continue
    raise OSError(2, "none")
tell(tried(secrets))
"""
FILL = """
def fill():
    for n in range(3):
        with open(f"/tmp/{n}", "wb") as stream:
            stream.write(bytes(15_000_000))
tell(tried(fill))
"""
READ_OWN = """
import ctypes
word, copy = ctypes.create_string_buffer(b"word"), ctypes.create_string_buffer(4)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
here = Vector(ctypes.addressof(copy), 4)
there = Vector(ctypes.addressof(word), 4)
done = libc.process_vm_readv(os.getpid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 4
tell(["through", 0] if done else ["refused", ctypes.get_errno()])
"""
WRITABLE = "tell(tried(lambda: os.close(os.open('/proc/sys/kernel/{}', os.O_WRONLY))))"
SEEN = "tell(['through' if {} else 'refused', 0])"

ACTIONS = {
    "network": Action("tell(tried(lambda: socket.create_connection(('127.0.0.1', PORT), 5).close()))"),
    "processes": Action("tell(tried(lambda: os.kill(SUPERVISOR, 0)))", also=ALSO),
    "ipc": Action(calls("shmget", "SHARED", "0", "0")),
    "hostname": Action(SEEN.format("socket.gethostname() == HOSTNAME")),
    "cgroup names": Action(SEEN.format("'vae-autograder' in open('/proc/self/cgroup').read()")),
    "files": Action("tell(tried(lambda: open(FILE).close()))"),
    "read only": Action("tell(tried(lambda: open('/made', 'w').close()))", also=ALSO),
    "disk": Action(FILL),
    "capabilities": Action(calls("chroot", "b'/'"), also=("seccomp",)),
    "user namespaces": Action(calls("unshare", "0x10000000"), also=("seccomp",)),
    "another user": Action(WRITABLE.format("core_pattern"), also=("kernel settings",)),
    "kernel settings": Action(WRITABLE.format("shmmni"), also=ALSO),
    "seccomp": Action(READ_OWN),
    "environment": Action(SEEN.format("'SECRET' in os.environ.values()")),
    "descriptors": Action(OPEN_FILES),
    "cgroups": Action(HOARD, also=("monitor",)),
    "rlimits": Action("tell(tried(lambda: os.truncate(os.open('/tmp/large', os.O_CREAT | os.O_WRONLY), 10**9)))"),
    "monitor": Action(FORKS, given=("cgroups", "rlimits")),
}


def outcome(script: str, places: dict[str, str], *without: str) -> str:
    """Whether the script's action went through; a run that was ended for it counts as refused."""
    for name, value in places.items():
        script = script.replace(name, value)
    answer = answer_of(script, without, memory_mb=250)
    return answer[0] if answer else "refused"


def stops(layer: str, action: Action, outcome: Callable[..., str]) -> None:
    """The layer stops the action, alone, and where something else would, that is left out and tried, too.

    outcome(script, *layers that are left out): "through" or "refused".
    """
    script, given, also = action.script, action.given, action.also
    assert outcome(script, *given, *also) == "refused", "the layer alone does not stop it"
    assert outcome(script, *given, *also, layer) == "through", "something else stops it too"
    if also:
        assert outcome(script, *given, layer) == "refused", f"{also[0]} does not stop it"
    if given or also:
        assert outcome(script) == "refused"


def test_every_layer_is_tried() -> None:
    assert list(ACTIONS) == list(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_without_its_layer_an_action_succeeds_or_another_layer_stops_it(layer: str, places: dict[str, str]) -> None:
    if layer in missing_here() or (layer == "cgroup names" and not can_make_groups()):
        pytest.skip(f"this machine cannot give the layer: {layer}")
    if layer == "another user" and not ROOT:
        pytest.skip("only a box that root starts has a user of its own")
    stops(layer, ACTIONS[layer], lambda script, *without: outcome(script, places, *without))


def test_no_daemon_outlives_a_box_without_a_process_namespace() -> None:
    daemon = "import subprocess\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    daemon += "        os.execv('/bin/sleep', ['MARK', '77'])\n    os._exit(0)\nos.wait()\ntime.sleep(1)\ntell(1)"
    for n, without in enumerate([(), ("processes",), ("processes", "cgroups")]):
        mark = f"daemon-of-the-layers-test-{n}"
        assert run_script(daemon.replace("MARK", mark), without).status == "ok"
        names = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not [name for name in names if mark.encode() in name], without


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(BoxError, match=r"^layer 'moat': expected one of network, processes, "):
        Bubblewrap(without=("moat",))


def test_grading_uses_every_layer() -> None:
    assert backend_named("bubblewrap").without == frozenset()
