"""What the doctor makes of its boxes' answers: whether each promise holds, its fix where it does not, the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.doctor.boxes import BUSY_S, LIMITS, BoxOutcome
from grader.records import AS_GRADER, CellStatus, Status
from grader.report.text import plain
from grader.sandbox.backend import SPARE_TASKS
from grader.sandbox.landlock import SINCE
from grader.store.versions import missing_packages


class PromiseState(StrEnum):
    """Whether a promise is kept; `weak`: kept in a weaker way that does not stop the grading."""

    HOLDS = "holds"
    WEAK = "weak"
    BROKEN = "broken"


@dataclass(frozen=True)
class Promise:
    """One promise of the box, what was found, and what to do where it does not hold."""

    title: str
    state: PromiseState
    found: str
    fix: str = ""


def _of(title: str, holds: bool, good: str, bad: str, fix: str) -> Promise:
    return Promise(title, PromiseState.HOLDS, good) if holds else Promise(title, PromiseState.BROKEN, bad, fix)


WAYS_OUT = {
    "tcp": "TCP to this machine",
    "udp": "UDP to this machine",
    "dns": "DNS",
    "abstract": "an abstract socket of this machine",
    "socket_file": "a socket file of this machine",
}
ISOLATE = "choose --isolation bubblewrap; if this is bubblewrap, report it as in SECURITY.md"
WEAKER = "where this machine allows namespaces, choose --isolation bubblewrap; else nothing to do"
QUICK_S = 5  # a download that cannot work has to fail sooner than this
LACKING = {
    1: "reading what every user may read, and writing there",
    4: "TCP, which the filter alone refuses",
    6: "signals to your processes where they are of the same user, and abstract sockets of this machine",
}  # the version of Landlock that forbids it; what others bring matters only beside these
_MARKS = {
    PromiseState.HOLDS: ("holds", "green"),
    PromiseState.WEAK: ("weaker", "yellow"),
    PromiseState.BROKEN: ("BROKEN", "bold red"),
}


def own_user(isolation: str, landlock: int) -> list[Promise]:
    """What a box without namespaces has instead: whose it is, and what this kernel's version of Landlock forbids."""
    alone = not isolation.startswith(AS_GRADER)
    yours = "its processes are your account's: what that account's services do for you, they do for the notebook"
    fix = "grade as root, for instance in a container, or choose --isolation bubblewrap"
    promises = [_of("a user of its own", alone, "nothing on this machine belongs to the box's user", yours, fix)]
    title = "files by Landlock"
    if landlock >= max(SINCE):
        return [
            *promises,
            Promise(title, PromiseState.HOLDS, f"version {landlock} of it: files, signals, abstract sockets"),
        ]
    lacks = [f"{LACKING[since]} (from Linux {SINCE[since]} on)" for since in sorted(LACKING) if landlock < since]
    weaker = f"version {landlock} of it does not forbid {', '.join(lacks)}"
    return [
        *promises,
        Promise(title, PromiseState.WEAK, weaker, "a newer kernel with Landlock switched on forbids that, too"),
    ]


def network(answers: Mapping[str, Any], listeners: Sequence[str], *, weaker: Sequence[str] = ()) -> list[Promise]:
    """Nothing on this machine or beyond answers the box; `listeners` are those that were reached.

    Those of `weaker`, this kernel cannot close to a box without namespaces.
    """
    if not answers:
        return [_silent("no network")]
    # UDP is sent to anyone, or no one.
    sent = [way for way in WAYS_OUT if answers.get(way) == "worked" and way != "udp"]
    reached = [way for way in WAYS_OUT if way in sent or way in listeners]
    open_ways = [WAYS_OUT[way] for way in reached if way not in weaker]
    open_ways += [f"interface {name}" for name in answers.get("interfaces", ()) if name != "lo"]
    promises = [
        Promise("no network", PromiseState.WEAK, f"but {WAYS_OUT[way]}", WEAKER) for way in reached if way in weaker
    ]
    promises += [
        _of(
            "no network",
            not open_ways,
            "TCP, UDP, DNS, abstract and filesystem sockets all fail",
            f"the box reaches {', '.join(map(str, open_ways))}",
            ISOLATE,
        )
    ]
    if not open_ways and answers.get("seconds", 0) > QUICK_S:
        slow = f"they take {answers['seconds']:.0f} s to fail, so a notebook that downloads grades slowly"
        promises.append(
            Promise("no network", PromiseState.WEAK, slow, "look at the resolver settings in /etc/resolv.conf")
        )
    return promises


def sight(answers: Mapping[str, Any], hidden: Mapping[str, str], *, namespaces: bool = True) -> list[Promise]:
    """Nothing of the grader or of its user is to be seen; `hidden` says what each path is.

    Without namespaces, names of files and processes are, which is weaker; what the files hold is not.
    """
    if not answers:
        return [_silent("nothing secret in sight")]
    seen = [hidden.get(str(path), str(path)) for path in answers.get("seen" if namespaces else "read", ())]
    seen += ["the package grader"] * bool(answers.get("grader"))
    alone = answers.get("processes", 99) <= 6  # init, runner, kernel and what starts them
    good = f"{'not in the box' if namespaces else 'cannot be read'}: {', '.join(hidden.values())}"
    secret = _of("nothing secret in sight", not seen, good, f"the box sees {', '.join(seen)}", ISOLATE)
    if not namespaces and not seen and answers.get("seen"):
        secret = Promise(secret.title, PromiseState.WEAK, f"{good}; that these are there can be found out", WEAKER)
    processes = _of("own processes only", alone, "it sees its own", "it sees this machine's processes", ISOLATE)
    if not namespaces and not alone:
        names = "it sees names and arguments of this machine's processes"
        processes = Promise(processes.title, PromiseState.WEAK, names, WEAKER)
    clean = _of("clean environment", not answers.get("environment"), "no variable of yours", "it sees yours", ISOLATE)
    return [secret, clean, processes]


def powers(answers: Mapping[str, Any], *, lowered: bool = True) -> list[Promise]:
    """The system is read-only, and the box has no power to change that.

    `lowered`: the bounds of its capabilities are, too, which matters only to who may gain privileges.
    """
    if not answers:
        return [_silent("read-only system")]
    writable = ", ".join(map(str, answers.get("writable", ())))
    gains = [
        words
        for key, words in (
            ("capabilities", "has capabilities"),
            ("user_namespace", "can make user namespaces"),
            ("mount", "can mount"),
            ("descriptors", "inherits open files"),
            ("root", "runs as root"),
        )
        if answers.get(key)
    ]
    gains += ["may gain privileges"] * (not answers.get("no_new_privileges"))
    gains += ["has bounds that leave it capabilities"] * bool(answers.get("bounds") and lowered)
    return [
        _of("read-only system", not writable, "nothing but its own folders", f"it writes to {writable}", ISOLATE),
        _of(
            "no powers",
            not gains,
            "no capabilities, new privileges, namespaces, mounts or open files",
            f"it {', '.join(gains)}",
            ISOLATE,
        ),
    ]


def settings(answers: Mapping[str, Any]) -> list[Promise]:
    """No setting of the machine's kernel can be written, and none belongs to the box's user."""
    title = "kernel settings"
    if not answers.get("looked_at"):
        return [_silent(title)]
    opened = ", ".join(map(str, answers.get("settings", ())))
    good = f"none of {answers['looked_at']} can be opened for writing"
    if opened or not answers.get("owner"):
        return [_of(title, not opened, good, f"it may write to {opened}", ISOLATE)]
    return [
        Promise(
            title, PromiseState.BROKEN, "outside, the box's user is root: the settings are that user's own", ISOLATE
        )
    ]


def filtered(answers: Mapping[str, Any], weaker: str) -> list[Promise]:
    """Calls that no notebook needs are refused by number; `weaker` says why they are not on this machine."""
    titles = {
        "system calls filtered": ("seccomp", "those that no notebook needs are refused", "no filter is in force"),
        "cores of a box": ("kept_cores", "it cannot choose others than it was given", "it chooses its cores itself"),
    }
    if weaker:
        return [Promise(title, PromiseState.WEAK, weaker, "nothing to do: the other layers hold") for title in titles]
    return [_of(title, bool(answers.get(key)), good, bad, ISOLATE) for title, (key, good, bad) in titles.items()]


def disk_and_files(disk: Mapping[str, Any], files: Mapping[str, Any], most_files: int) -> list[Promise]:
    """Writable folders and open files are bounded."""
    wrote = disk.get("wrote", {})
    limit = 1.2 * LIMITS.disk_mb * 1e6
    over = {folder: amount for folder, amount in wrote.items() if amount > limit}
    most = max(wrote.values(), default=0) / 1e6
    return [
        _of(
            "disk limit",
            bool(wrote) and not over,
            f"full after {most:.0f} MB of {LIMITS.disk_mb} allowed",
            f"it wrote more than {LIMITS.disk_mb} MB to {', '.join(over) or 'an unknown folder'}",
            ISOLATE,
        ),
        _of(
            "open files",
            0 < files.get("opened", 0) <= most_files,
            f"refused after {files.get('opened')}",
            f"not bounded at {most_files}",
            "raise nothing by hand: look at the messages of `ulimit -Hn`",
        ),
    ]


def endings(box: BoxOutcome) -> list[Promise]:
    """Output is cut, and a cell that goes on for ever is interrupted, or its process ended."""
    flood, busy, stubborn = (box.cells[name] for name in ("flood", "busy", "stubborn"))
    cut = flood.status == CellStatus.OK and 0 < flood.printed < 2e6
    stopped = busy.status == CellStatus.TIMEOUT and stubborn.status == CellStatus.TIMEOUT
    return [
        _of("output limit", cut, f"20 MB cut to {flood.printed / 1e6:.1f}", f"a flood: {flood.status}", _OURS),
        _of("CPU of a cell", stopped, f"a busy cell is stopped after {BUSY_S} s", "a busy cell goes on", _OURS),
    ]


_OURS = "run the doctor again on an idle machine; if it persists, report it as in SECURITY.md"
_CGROUPS = (
    "grade inside `systemd-run --user --scope -p Delegate=yes`, so that the kernel counts; until then one notebook "
    "at a time"
)


def memory(box: BoxOutcome, weaker: str) -> Promise:
    """Memory use is limited by the kernel or, where it does not count for us, by the supervisor: `weaker` says so."""
    ended = box.result.status is Status.KILLED or "memory" in box.result.event
    if not ended:
        return Promise("memory limit", PromiseState.BROKEN, "memory use is not limited", _CGROUPS)
    if weaker:
        return Promise("memory limit", PromiseState.WEAK, f"memory use is limited, but {weaker}", _CGROUPS)
    return Promise(
        "memory limit", PromiseState.HOLDS, f"a box that takes too much was ended at {box.result.peak_memory_mb:.0f} MB"
    )


def processes(box: BoxOutcome, most: int) -> list[Promise]:
    """A cell that forks without end is refused or ended, and a fork bomb does not go on until its time is over."""
    forks, bomb = box.cells["processes"], box.cells["bomb"]
    started = forks.answers.get("started", 0)
    ended = box.result.status is Status.KILLED or f"more than {most} processes" in box.result.event
    how = f"refused after {started}" if started else "the notebook's processes were ended"
    limit = _of("process limit", ended or 0 < started <= most + SPARE_TASKS, how, f"{started} were started", _CGROUPS)
    if bomb.status == CellStatus.DIED and ended:
        return [
            limit,
            Promise("fork bomb", PromiseState.HOLDS, f"ended after {bomb.seconds:.0f} s, with its cell alone"),
        ]
    weaker = f"it is bounded, but goes on for the {bomb.seconds:.0f} s that a cell has ({bomb.status})"
    return [
        limit,
        Promise("fork bomb", PromiseState.WEAK, weaker, "choose --isolation bubblewrap, whose supervisor ends it"),
    ]


def wall_time(box: BoxOutcome) -> Promise:
    """A run that takes too long is ended."""
    result = box.result
    ended = result.status is Status.TIMEOUT
    return _of("time of a run", ended, f"ended after {result.wall_s:.0f} s", f"it went on: {result.status}", _OURS)


def nothing_left(processes: Sequence[str], folders: Sequence[str]) -> Promise:
    """No process, control group or file outlives the boxes."""
    leftovers = [*processes, *folders]
    return _of("nothing left behind", not leftovers, "no process, no file", f"left: {', '.join(leftovers)}", _OURS)


def packages(promised: Sequence[str]) -> Promise:
    """Whether what the rubric promises to students is installed where their notebooks run."""
    missing, _, fix = missing_packages(promised).partition("; ")
    state = PromiseState.WEAK if missing else PromiseState.HOLDS
    return Promise("packages for students", state, missing or f"all {len(promised)} are installed", fix)


def _silent(title: str) -> Promise:
    return Promise(title, PromiseState.BROKEN, "the box could not say", _OURS)


def verdict(promises: Sequence[Promise]) -> str:
    """The last line of the screen: whether untrusted notebooks may be graded here."""
    broken = sum(promise.state is PromiseState.BROKEN for promise in promises)
    weak = sum(promise.state is PromiseState.WEAK for promise in promises)
    if broken:
        return f"do not grade untrusted notebooks here: {broken} of {len(promises)} promises are broken"
    if weak:
        weaker = f"{weak} of {len(promises)} promises are kept in a weaker way"
        return f"this machine can grade untrusted notebooks; {weaker}"
    return f"this machine can grade untrusted notebooks: all {len(promises)} promises hold"


def show(promises: Sequence[Promise], console: Console) -> None:
    """A line a promise, the fixes of those that do not hold below, the verdict last."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    for promise in promises:
        word, style = _MARKS[promise.state]
        table.add_row(Text(promise.title), Text(word, style), Text(plain(promise.found, 300)))
    console.print(table)
    for promise in promises:
        if promise.state is not PromiseState.HOLDS:
            console.print(Text(f"{promise.title}: {plain(promise.fix, 400)}"))
    console.print(Text(verdict(promises), "bold"))
