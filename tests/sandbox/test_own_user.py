"""A box without namespaces: the actions that its user, Landlock and the filter stop, each alone and together."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from python_for_all import AS_ROOT, Python
from small_box import run_script
from test_layers import ACTIONS, READ_OWN, Action, stops

from grader.records import AS_GRADER, Status
from grader.sandbox import landlock, own_user
from grader.sandbox.box_user import COUNT, FIRST
from grader.sandbox.control_groups import Cgroups
from grader.sandbox.in_box.frames import Address
from grader.sandbox.isolation import backend_named
from grader.sandbox.launch import processes_of, statuses
from grader.sandbox.layers import LAYERS_WITHOUT_NAMESPACES, missing_here
from grader.sandbox.own_user import OwnUser

pytestmark = pytest.mark.usefixtures("own_user")
OFFERED = landlock.version()
SECRET = "a secret of the course's"
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can give a box a user of its own")
old_landlock = OFFERED < own_user.LEAST_LANDLOCK
needs_landlock = pytest.mark.skipif(old_landlock, reason="this kernel's Landlock is too old, or off")
needs_scopes = pytest.mark.skipif(OFFERED < 6, reason="this kernel's Landlock knows no scopes")


def answer_of(script: str, *without: str, offered: int | None = None, **limits: float) -> Any:
    """The script's answer from such a box; None where the run was ended before."""
    run = run_script(script, backend=OwnUser(without, offered=offered), **limits)
    answer = run.inbox.answers.get(Address("small.box/value"))
    assert answer is not None or run.status is Status.KILLED, f"{run.event}: {run.log_tail[-400:]}"
    return None if answer is None else json.loads(answer)


@pytest.fixture
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box without Landlock is not refused for what every user may read of the grader."""
    monkeypatch.setattr(OwnUser, "_refuse_what_strangers_read", lambda *_: None)


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder whose files every user may read and write."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder)
        path.chmod(0o777)
        (path / "gradebook.csv").write_text(SECRET)
        (path / "gradebook.csv").chmod(0o666)
        yield path


# Something that each layer stops; what else stops it is left out meanwhile.
ALONE = {
    "another user": Action("tell(tried(lambda: os.kill(SUPERVISOR, 0)))", also=("landlock",)),
    "landlock": Action("tell(tried(lambda: open(FOR_ALL).close()))"),
    "seccomp": Action(READ_OWN),
    **{name: ACTIONS[name] for name in ("environment", "descriptors", "cgroups")},
    "rlimits": Action(ACTIONS["rlimits"].script.replace("'/tmp/large'", "os.environ['TMPDIR'] + '/large'")),
    "monitor": ACTIONS["monitor"],
}


def outcome(script: str, known: dict[str, str], *without: str) -> str:
    for name, value in known.items():
        script = script.replace(name, value)
    answer = answer_of(script, *without, memory_mb=250)
    return answer[0] if answer else "refused"


def test_every_layer_is_tried() -> None:
    assert list(ALONE) == list(LAYERS_WITHOUT_NAMESPACES)


@needs_landlock
@pytest.mark.usefixtures("no_secrets")
@pytest.mark.parametrize("layer", LAYERS_WITHOUT_NAMESPACES)
def test_without_its_layer_an_action_succeeds_or_another_layer_stops_it(
    layer: str, places: dict[str, str], for_everybody: Path
) -> None:
    if layer in missing_here() or (layer == "another user" and not AS_ROOT):
        pytest.skip(f"this machine or account cannot give the layer: {layer}")
    if layer == "another user" and OFFERED < 6:
        pytest.skip("Landlock stops no signal here")
    known = {"FOR_ALL": repr(str(for_everybody / "gradebook.csv")), **places}
    stops(layer, ALONE[layer], lambda script, *without: outcome(script, known, *without))


LOOK = """
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
tell({"ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()], "status": {k: v.strip() for k, v in status.items()},
      "parent": os.getppid(), "home": os.environ["HOME"], "mask": os.umask(0o77)})
"""


@needs_root
def test_every_box_has_its_own_user_without_capabilities_or_groups() -> None:
    first, second = answer_of(LOOK), answer_of(LOOK)
    for answer in (first, second):
        assert len(set(answer["ids"])) == 1
        assert FIRST <= answer["ids"][0] < FIRST + COUNT
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(answer["status"][kind], 16) == 0
        assert (answer["status"]["NoNewPrivs"], answer["status"]["Seccomp"], answer["mask"]) == ("1", "2", 0o77)
    assert first["ids"][0] != second["ids"][0]


SOCKETS = """
def made(family, kind=socket.SOCK_STREAM):
    return tried(lambda: socket.socket(family, kind).close())
tell({"inet": made(socket.AF_INET), "inet6": made(socket.AF_INET6), "udp": made(socket.AF_INET, socket.SOCK_DGRAM),
      "raw": made(socket.AF_INET, socket.SOCK_RAW), "netlink": made(socket.AF_NETLINK, socket.SOCK_RAW),
      "packet": made(17, socket.SOCK_RAW), "vsock": made(40), "bluetooth": made(31), "unix": made(socket.AF_UNIX),
      "pair": tried(lambda: [end.close() for end in socket.socketpair()] and 1)})
"""


def test_no_socket_but_those_between_processes_of_one_machine_can_be_made() -> None:
    outcomes = answer_of(SOCKETS)
    assert {name for name, (what, _) in outcomes.items() if what == "through"} == {"unix", "pair"}


@needs_landlock
@pytest.mark.skipif(OFFERED < 4, reason="this kernel's Landlock knows no TCP")
def test_without_the_filter_landlock_still_refuses_tcp(places: dict[str, str]) -> None:
    connect = "tell(tried(lambda: socket.create_connection(('127.0.0.1', PORT), 5).close()))"
    connect = connect.replace("PORT", places["PORT"])
    assert answer_of(connect, "seccomp")[0] == "refused"
    assert answer_of(connect, "seccomp", offered=own_user.LEAST_LANDLOCK)[0] == "through"


SHARED_OBJECTS = """
def called(function, *arguments):
    return "through" if getattr(libc, function)(*arguments) >= 0 else "refused"
libc.mq_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
tell({"shm": called("shmget", 77, 4096, 0o1666), "sem": called("semget", 77, 1, 0o1666),
      "msg": called("msgget", 77, 0o1666), "mq": called("mq_open", b"/left", 0o102, 0o666, None)})
"""


def test_no_object_that_the_whole_machine_shares_can_be_made() -> None:
    assert set(answer_of(SHARED_OBJECTS).values()) == {"refused"}


@needs_root
def test_objects_made_without_the_filter_are_removed() -> None:
    outcomes = answer_of(SHARED_OBJECTS, "seccomp")
    assert "through" in (outcomes["shm"], outcomes["sem"], outcomes["msg"])
    for kind in own_user.OBJECTS:
        rows = Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
        assert [row for row in rows if row.split()[0] == "77"] == []
    assert not Path("/dev/mqueue/left").exists()


OTHERS = """
def mine(path):
    return tried(lambda: len(open(path, "rb").read(10)))[0]
found = {}
for name in ("environ", "mem", "maps", "auxv", "syscall", "stack"):
    found[name] = mine(f"/proc/SUPERVISOR/{name}")
for name in ("fd/0", "cwd", "root", "exe", "task/SUPERVISOR/fd/0"):
    found[name] = tried(lambda: os.readlink(f"/proc/SUPERVISOR/{name}"))[0]
for number in (0, 9, 15, 19):
    found[f"signal {number}"] = tried(lambda: os.kill(SUPERVISOR, number))[0] if number == 0 or ALL else "refused"
found["ptrace"] = "through" if libc.ptrace(16, SUPERVISOR, None, None) == 0 else "refused"
found["limits"] = tried(lambda: __import__("resource").prlimit(SUPERVISOR, 7, (4096, 4096)))[0]
tell({name for name, what in found.items() if what == "through"} and found)
"""


@needs_scopes
def test_no_process_of_the_grader_can_be_signalled_traced_or_read() -> None:
    script = OTHERS.replace("SUPERVISOR", str(os.getpid())).replace("ALL", str(AS_ROOT))
    through = {name for name, what in (answer_of(script) or {}).items() if what == "through"}
    assert through <= (set() if AS_ROOT else {"limits"})  # of its own account's processes, anybody may lower those


REACHES = """
def write(path):
    with open(path, "w") as stream:
        stream.write("mine")
there = os.environ["HOME"] + "/there"
acts = {"read": lambda: open(FILE).close(), "write": lambda: write(FILE), "make": lambda: write(FOLDER + "/new"),
        "list": lambda: os.listdir(FOLDER) and 0, "remove": lambda: os.remove(FILE),
        "empty": lambda: os.truncate(FILE, 0), "move": lambda: os.rename(FILE, there),
        "folder": lambda: os.mkdir(FOLDER + "/new"), "link": lambda: os.link(FILE, there),
        "run": lambda: os.execv(FOLDER + "/program", ["p"]), "tmp": lambda: write("/tmp/of-a-box"),
        "var": lambda: write("/var/tmp/of-a-box"), "/": lambda: write("/of-a-box")}
tell({name: tried(act)[0] for name, act in acts.items()})
"""


@needs_landlock
def test_files_that_every_user_may_read_and_write_are_out_of_reach(for_everybody: Path) -> None:
    (for_everybody / "program").write_text("#!/bin/sh\nexit 0\n")
    (for_everybody / "program").chmod(0o777)
    words = {"FILE": repr(str(for_everybody / "gradebook.csv")), "FOLDER": repr(str(for_everybody))}
    script = REACHES
    for name, value in words.items():
        script = script.replace(name, value)
    assert set(answer_of(script).values()) == {"refused"}
    assert (for_everybody / "gradebook.csv").read_text() == SECRET
    assert sorted(path.name for path in for_everybody.iterdir()) == ["gradebook.csv", "program"]


@needs_landlock
@pytest.mark.parametrize("offered", [1, 2, 3, 4, 5, 6])
def test_an_older_landlock_keeps_what_it_can_and_lets_honest_code_run(offered: int, for_everybody: Path) -> None:
    if offered > OFFERED or (offered < own_user.LEAST_LANDLOCK and not AS_ROOT):
        pytest.skip("this kernel does not offer it, or the account needs more of it")
    own = "os.mkdir(os.environ['HOME'] + '/a'), open(os.environ['HOME'] + '/x', 'w').close(), "
    own += "os.rename(os.environ['HOME'] + '/x', os.environ['HOME'] + '/a/x')"
    script = (
        f"tell([tried(lambda: open({str(for_everybody / 'gradebook.csv')!r}).close())[0], tried(lambda: ({own}))[0],"
    )
    script += " tried(lambda: open('/dev/null', 'w').write('x'))[0], tried(lambda: os.openpty()[0])[0]])"
    moved = "through" if offered >= 2 else "refused"  # from one folder to another
    assert answer_of(script, offered=offered) == ["refused", moved, "through", "through"]


@needs_scopes
def test_an_abstract_socket_of_the_machine_is_out_of_reach() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0of-the-own-user-test")
        server.listen()
        connect = "tell(tried(lambda: socket.socket(socket.AF_UNIX).connect('\\0of-the-own-user-test')))"
        assert answer_of(connect)[0] == "refused"
        assert answer_of(connect, offered=5)[0] == "through"


@needs_root
def test_boxes_cannot_read_or_write_each_others_folders() -> None:
    done = threading.Event()

    def first() -> None:
        script = "tell(os.environ['HOME'])\nopen(os.environ['HOME'] + '/mine', 'w').write('x')\n"
        script += "s = os.open('/dev/shm/of-a-first-box', os.O_CREAT | os.O_RDWR, 0o600)\n"
        run_script(script + "time.sleep(4)", backend=OwnUser(), wall_s=30)
        done.set()

    before = set(Path(tempfile.gettempdir()).glob("box-*"))
    thread = threading.Thread(target=first)
    thread.start()
    while not Path("/dev/shm/of-a-first-box").exists():
        time.sleep(0.05)
        assert not done.is_set()
    (folder,) = [p for p in set(Path(tempfile.gettempdir()).glob("box-*")) - before if (p / "home" / "mine").exists()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    script = f"paths = [{str(folder)!r}, {str(folder / 'home')!r}, {str(folder / 'home' / 'mine')!r}]\n"
    script += "paths.append('/dev/shm/of-a-first-box')\n"
    script += "tell([tried(lambda: os.close(os.open(path, flags)))[0] for path in paths"
    script += " for flags in (os.O_RDONLY, os.O_WRONLY)])"
    assert set(answer_of(script)) == {"refused"}
    thread.join()
    assert not folder.exists()
    assert not Path("/dev/shm/of-a-first-box").exists()


LEAVES = """
for folder in ("/tmp", "/var/tmp", "/dev/shm"):
    try:
        os.makedirs(f"{folder}/left-MARK/deep")
    except OSError:
        pass
    try:
        open(f"{folder}/left-MARK-file", "w").close()
    except OSError:
        pass
deep = os.environ["HOME"]
os.chdir(deep)
for _ in range(1900):  # deeper than Python itself removes
    os.mkdir("d")
    os.chdir("d")
libc.prctl(4, 0, 0, 0, 0)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        libc.prctl(1, 0, 0, 0, 0)
        if os.fork() == 0:
            os.execv("/bin/sleep", ["left-MARK", "77"])
        os._exit(0)
time.sleep(0.5)
"""


def left_of(mark: str) -> list[str]:
    folders = [Path(place) for place in ("/tmp", "/var/tmp", "/dev/shm")]
    files = [str(path) for folder in folders for path in folder.glob(f"left-{mark}*")]
    names = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            names.append(path.read_bytes())
    return files + [name.decode(errors="replace") for name in names if name.startswith(f"left-{mark}".encode())]


ENDS = {
    "tell(1)": Status.OK,
    "os.kill(os.getpid(), 9)": Status.KILLED,
    "while True: time.sleep(1)": Status.TIMEOUT,
}


@needs_root
@pytest.mark.whole
@pytest.mark.usefixtures("no_secrets")
@pytest.mark.parametrize("without", [(), ("landlock",), ("landlock", "cgroups")], ids=["all", "files", "neither"])
@pytest.mark.parametrize("end", ENDS, ids=["well", "killed", "slow"])
def test_no_process_or_file_of_a_box_is_left_wherever_it_was(without: tuple[str, ...], end: str) -> None:
    mark = f"{time.monotonic_ns()}"
    before = boxes()
    run = run_script(LEAVES.replace("MARK", mark) + end, backend=OwnUser(without), wall_s=4)
    assert run.status is ENDS[end], run.event
    assert left_of(mark) == []
    assert [box for box in boxes() - before if (box / "home").exists()] == []


SUPERVISOR = """
import sys
sys.path[:0] = PLACES
TAKEN
from small_box import run_script
from grader.sandbox.own_user import OwnUser
run_script(SCRIPT, backend=OwnUser())
"""


def test_a_box_whose_supervisor_is_killed_ends_with_all_that_it_made(for_all: Python) -> None:
    mark = f"{time.monotonic_ns()}"
    script = LEAVES.replace("MARK", mark) + "open(os.environ['HOME'] + '/ready', 'w').close()\ntime.sleep(77)"
    if not AS_ROOT:
        script = script.replace('"/dev/shm"', '"/nowhere"').replace("libc.prctl(1, 0, 0, 0, 0)", "pass")
    tests = Path(__file__).parents[1]
    program = SUPERVISOR.replace("PLACES", repr([str(tests / "sandbox"), str(tests), str(tests.parent)]))
    program = program.replace("TAKEN", for_all.taken).replace("SCRIPT", repr(script))
    before = boxes()
    supervisor = subprocess.Popen([sys.executable, "-c", program])
    soon(lambda: [box for box in boxes() - before if (box / "home" / "ready").exists()])
    supervisor.kill()
    supervisor.wait()
    soon(lambda: not left_of(mark) and not [box for box in boxes() - before if (box / "home").exists()])


def boxes() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("box-*"))


def soon(true: Callable[[], object]) -> None:
    """Waits until the function returns something true, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_box_of_the_graders_account_leaves_no_process_and_no_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mark = f"{time.monotonic_ns()}"
    script = LEAVES.replace("MARK", mark).replace('"/dev/shm"', '"/nowhere"')
    run_script(script + "tell(1)", backend=OwnUser(("another user",)))
    assert left_of(mark) == []
    assert list(tmp_path.iterdir()) == []


MANY = """
for n in range(COUNT):
    with open(os.environ["HOME"] + f"/{n}", "wb") as stream:
        stream.write(bytes(SIZE))
time.sleep(2)
tell(1)
"""
NAMELESS = """
held = []
for n in range(4):
    held.append(open(os.environ["HOME"] + f"/{n}", "wb"))
    os.remove(held[-1].name)
    held[-1].write(bytes(15_000_000))
    held[-1].flush()
time.sleep(2)
tell(1)
"""
SHARED_MEMORY = """
for n in range(4):
    with open(f"/dev/shm/{os.getuid()}-{n}", "wb") as stream:
        stream.write(bytes(15_000_000))
time.sleep(2)
tell(1)
"""


def test_the_total_size_and_number_of_a_boxs_files_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    few, much = MANY.replace("COUNT", "3"), MANY.replace("COUNT", "4").replace("SIZE", "15_000_000")
    assert run_script(few.replace("SIZE", "5_000_000"), backend=OwnUser(), disk_mb=20).status is Status.OK
    ended = (Status.KILLED, "the run was ended: its files in one folder took more than 20 MB")
    for script in (much, NAMELESS, *([SHARED_MEMORY] if AS_ROOT else [])):
        run = run_script(script, backend=OwnUser(), disk_mb=20)
        assert (run.status, run.event) == ended, script
    monkeypatch.setattr(own_user, "MAX_FILES", 1000)
    monkeypatch.setattr("grader.sandbox.resource_monitor.MAX_FILES", 1000)
    run = run_script(MANY.replace("COUNT", "1500").replace("SIZE", "0"), backend=OwnUser(), disk_mb=20)
    assert (run.status, run.event) == (Status.KILLED, "the run was ended: it made more than 1000 files")


def test_files_hidden_deeper_than_a_path_can_say_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "os.chdir(os.environ['HOME'])\nfor _ in range(30):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    monkeypatch.setattr(own_user, "MAX_FILES", 1000)
    monkeypatch.setattr("grader.sandbox.resource_monitor.MAX_FILES", 1000)
    assert "more than 1000 files" in run_script(deep + "time.sleep(2)\ntell(1)", backend=OwnUser()).event


@pytest.mark.whole
def test_a_fork_bomb_ends_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cgroups, "_make", lambda *_: False)
    bomb = (
        "tell([os.getuid(), os.getsid(0)])\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    )
    run = run_script(bomb, backend=OwnUser(), wall_s=20)
    user, session = json.loads(run.inbox.answers[Address("small.box/value")])
    assert run.status in (Status.KILLED, Status.TIMEOUT)
    assert not AS_ROOT or list(processes_of(user)) == []
    assert [process for process, _ in statuses() if session_of(process) == session] == []


def session_of(process: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getsid(process)
    return None


@needs_landlock
def test_grading_uses_every_layer_and_names_its_isolation() -> None:
    backend = backend_named("user")
    assert backend.without == frozenset()
    assert backend.name == f"{'user' if AS_ROOT else AS_GRADER}: Landlock {OFFERED}"
    assert OwnUser(("landlock", "another user")).name == f"{AS_GRADER}: no Landlock"


def test_where_the_user_is_the_graders_modes_of_files_cannot_be_changed(for_everybody: Path) -> None:
    file = for_everybody / "gradebook.csv"
    script = f"tell([tried(lambda: act({str(file)!r}, *more))[0] for act, *more in ((os.chmod, 0), (os.chown, 7, 7))])"
    assert answer_of(script, "another user") == ["through", "through"]  # so honest code that copies a file goes on
    assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (0o666, os.getuid())
    assert ctypes.CDLL(None).kill(os.getpid(), 0) == 0
