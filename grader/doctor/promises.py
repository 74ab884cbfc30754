"""Decides from the boxes' answers whether each promise holds, and what to do if it does not; prints the result."""

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
    """Whether a promise holds; `weak`: partly, which does not prevent grading."""

    HOLDS = "holds"
    WEAK = "weak"
    BROKEN = "broken"


@dataclass(frozen=True)
class Promise:
    """One promise of the box, what was found, and what to do if the promise does not hold."""

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
ISOLATE = "choose --isolation bubblewrap; if this was bubblewrap, report it as SECURITY.md says"
WEAKER = "choose --isolation bubblewrap if this machine allows namespaces; otherwise nothing can be done"
QUICK_S = 5  # a download must fail sooner than this
LACKING = {
    1: "reading and writing files that every user may read or write",
    4: "TCP, which only the filter refuses",
    6: "signals to processes of the same user, and abstract sockets of this machine",
}  # the version of Landlock that first forbids it; other versions add nothing that matters here
_MARKS = {
    PromiseState.HOLDS: ("ok", "green"),
    PromiseState.WEAK: ("weaker", "yellow"),
    PromiseState.BROKEN: ("BROKEN", "bold red"),
}


def own_user(isolation: str, landlock: int) -> list[Promise]:
    """Whether the replacements of namespaces hold: a separate user, and the restrictions of this kernel's Landlock."""
    alone = not isolation.startswith(AS_GRADER)
    yours = "the box runs as your account, so services that act for you also act for the notebook"
    fix = "grade as root, for instance in a container, or choose --isolation bubblewrap"
    promises = [_of("a user of its own", alone, "the box's user owns nothing on this machine", yours, fix)]
    title = "files by Landlock"
    if landlock >= max(SINCE):
        return [
            *promises,
            Promise(title, PromiseState.HOLDS, f"version {landlock} closes files, signals and abstract sockets"),
        ]
    lacks = [f"{LACKING[since]} (needs Linux {SINCE[since]})" for since in sorted(LACKING) if landlock < since]
    weaker = f"version {landlock} does not forbid {', '.join(lacks)}"
    return [
        *promises,
        Promise(title, PromiseState.WEAK, weaker, "use a newer kernel with Landlock enabled"),
    ]


def network(answers: Mapping[str, Any], listeners: Sequence[str], *, weaker: Sequence[str] = ()) -> list[Promise]:
    """Whether the box reaches anything on this machine or beyond; `listeners` are those that were reached.

    `weaker` names the ways that this kernel cannot close to a box without namespaces.
    """
    if not answers:
        return [_silent("no network")]
    # Sending UDP succeeds even if nobody listens.
    sent = [way for way in WAYS_OUT if answers.get(way) == "worked" and way != "udp"]
    reached = [way for way in WAYS_OUT if way in sent or way in listeners]
    open_ways = [WAYS_OUT[way] for way in reached if way not in weaker]
    open_ways += [f"interface {name}" for name in answers.get("interfaces", ()) if name != "lo"]
    promises = [
        Promise("no network", PromiseState.WEAK, f"the box reaches {WAYS_OUT[way]}", WEAKER)
        for way in reached
        if way in weaker
    ]
    promises += [
        _of(
            "no network",
            not open_ways,
            "TCP, UDP, DNS and local sockets all fail",
            f"the box reaches {', '.join(map(str, open_ways))}",
            ISOLATE,
        )
    ]
    if not open_ways and answers.get("seconds", 0) > QUICK_S:
        slow = f"connections take {answers['seconds']:.0f} s to fail, which slows down notebooks that try to download"
        promises.append(
            Promise("no network", PromiseState.WEAK, slow, "check the resolver settings in /etc/resolv.conf")
        )
    return promises


def sight(answers: Mapping[str, Any], hidden: Mapping[str, str], *, namespaces: bool = True) -> list[Promise]:
    """Whether the box sees anything of the grader or its user; `hidden` names each path.

    Without namespaces, names of files and processes are visible, which is weaker; contents of files are not.
    """
    if not answers:
        return [_silent("no secrets visible")]
    seen = [hidden.get(str(path), str(path)) for path in answers.get("seen" if namespaces else "read", ())]
    seen += ["the package grader"] * bool(answers.get("grader"))
    alone = answers.get("processes", 99) <= 6  # init, runner, kernel and what starts them
    good = f"{'not in the box' if namespaces else 'cannot be read'}: {', '.join(hidden.values())}"
    secret = _of("no secrets visible", not seen, good, f"the box sees {', '.join(seen)}", ISOLATE)
    if not namespaces and not seen and answers.get("seen"):
        secret = Promise(secret.title, PromiseState.WEAK, f"{good}; only their existence is visible", WEAKER)
    processes = _of(
        "own processes only", alone, "other processes are not visible", "the box sees this machine's processes", ISOLATE
    )
    if not namespaces and not alone:
        names = "names and arguments of this machine's processes are visible"
        processes = Promise(processes.title, PromiseState.WEAK, names, WEAKER)
    clean = _of(
        "clean environment",
        not answers.get("environment"),
        "none of your environment variables",
        "the box sees your environment variables",
        ISOLATE,
    )
    return [secret, clean, processes]


def powers(answers: Mapping[str, Any], *, lowered: bool = True) -> list[Promise]:
    """Whether the system is read-only, and the box has no powers to change that.

    `lowered`: whether the bounding set of capabilities must be empty as well; only root can empty it.
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
    gains += ["could regain capabilities"] * bool(answers.get("bounds") and lowered)
    return [
        _of(
            "read-only system",
            not writable,
            "only the box's own folders are writable",
            f"the box writes to {writable}",
            ISOLATE,
        ),
        _of(
            "no powers",
            not gains,
            "no capabilities, new privileges, namespaces, mounts or inherited files",
            f"the box {', '.join(gains)}",
            ISOLATE,
        ),
    ]


def settings(answers: Mapping[str, Any]) -> list[Promise]:
    """Whether the box can write settings of the machine's kernel, or owns them."""
    title = "kernel settings"
    if not answers.get("looked_at"):
        return [_silent(title)]
    opened = ", ".join(map(str, answers.get("settings", ())))
    good = f"none of {answers['looked_at']} can be opened for writing"
    if opened or not answers.get("owner"):
        return [_of(title, not opened, good, f"the box can write to {opened}", ISOLATE)]
    return [Promise(title, PromiseState.BROKEN, "outside the box, its user is root and owns the settings", ISOLATE)]


def filtered(answers: Mapping[str, Any], weaker: str) -> list[Promise]:
    """Whether system calls that no notebook needs are refused; `weaker` says why this machine cannot refuse them."""
    titles = {
        "system calls filtered": ("seccomp", "calls that no notebook needs are refused", "there is no filter"),
        "cores of a box": (
            "kept_cores",
            "the box keeps to the cores that it was given",
            "the box can move to other cores",
        ),
    }
    if weaker:
        return [
            Promise(title, PromiseState.WEAK, weaker, "nothing to do: the other layers still hold") for title in titles
        ]
    return [_of(title, bool(answers.get(key)), good, bad, ISOLATE) for title, (key, good, bad) in titles.items()]


def disk_and_files(disk: Mapping[str, Any], files: Mapping[str, Any], most_files: int) -> list[Promise]:
    """Whether disk space and open files are limited."""
    wrote = disk.get("wrote", {})
    limit = 1.2 * LIMITS.disk_mb * 1e6
    over = {folder: amount for folder, amount in wrote.items() if amount > limit}
    most = max(wrote.values(), default=0) / 1e6
    return [
        _of(
            "disk limit",
            bool(wrote) and not over,
            f"writing fails after {most:.0f} MB; the limit is {LIMITS.disk_mb} MB",
            f"the box wrote more than {LIMITS.disk_mb} MB to {', '.join(over) or 'an unknown folder'}",
            ISOLATE,
        ),
        _of(
            "open files",
            0 < files.get("opened", 0) <= most_files,
            f"opening fails after {files.get('opened')} files",
            f"not limited to {most_files}",
            "check the hard limit, `ulimit -Hn`",
        ),
    ]


def endings(box: BoxOutcome) -> list[Promise]:
    """Whether long output is cut, and an endless cell is interrupted or its process ended."""
    flood, busy, stubborn = (box.cells[name] for name in ("flood", "busy", "stubborn"))
    cut = flood.status == CellStatus.OK and 0 < flood.printed < 2e6
    stopped = busy.status == CellStatus.TIMEOUT and stubborn.status == CellStatus.TIMEOUT
    return [
        _of(
            "output limit",
            cut,
            f"20 MB of output were cut to {flood.printed / 1e6:.1f} MB",
            f"long output: {flood.status}",
            _OURS,
        ),
        _of(
            "CPU of a cell",
            stopped,
            f"an endless cell is stopped after {BUSY_S} s",
            "an endless cell is not stopped",
            _OURS,
        ),
    ]


_OURS = "run the doctor again on an idle machine; if the result is the same, report it as SECURITY.md says"
_CGROUPS = (
    "grade inside `systemd-run --user --scope -p Delegate=yes`, so that the kernel enforces the limit; until then "
    "grade one notebook at a time"
)


def memory(box: BoxOutcome, weaker: str) -> Promise:
    """Whether memory is limited by the kernel or, as `weaker` says, only by the supervisor."""
    ended = box.result.status is Status.KILLED or "memory" in box.result.event
    if not ended:
        return Promise("memory limit", PromiseState.BROKEN, "memory use is not limited", _CGROUPS)
    if weaker:
        return Promise("memory limit", PromiseState.WEAK, f"memory use is limited, but {weaker}", _CGROUPS)
    return Promise("memory limit", PromiseState.HOLDS, f"the box was ended at {box.result.peak_memory_mb:.0f} MB")


def processes(box: BoxOutcome, most: int) -> list[Promise]:
    """Whether endless forking is refused or ended, and a fork bomb ends before the time of its cell is over."""
    forks, bomb = box.cells["processes"], box.cells["bomb"]
    started = forks.answers.get("started", 0)
    ended = box.result.status is Status.KILLED or f"more than {most} processes" in box.result.event
    how = f"refused after {started} processes" if started else "the notebook's processes were ended"
    limit = _of(
        "process limit", ended or 0 < started <= most + SPARE_TASKS, how, f"{started} processes were started", _CGROUPS
    )
    if bomb.status == CellStatus.DIED and ended:
        return [
            limit,
            Promise("fork bomb", PromiseState.HOLDS, f"ended after {bomb.seconds:.0f} s; later cells still run"),
        ]
    weaker = f"limited, but runs for the {bomb.seconds:.0f} s that a cell may take ({bomb.status})"
    return [
        limit,
        Promise("fork bomb", PromiseState.WEAK, weaker, "choose --isolation bubblewrap, which ends fork bombs"),
    ]


def wall_time(box: BoxOutcome) -> Promise:
    """Whether a run that takes too long is ended."""
    result = box.result
    ended = result.status is Status.TIMEOUT
    return _of("time of a run", ended, f"ended after {result.wall_s:.0f} s", f"not ended: {result.status}", _OURS)


def nothing_left(processes: Sequence[str], folders: Sequence[str]) -> Promise:
    """Whether a process, control group or file outlives the boxes."""
    leftovers = [*processes, *folders]
    return _of(
        "nothing left behind",
        not leftovers,
        "no process, no control group",
        f"left behind: {', '.join(leftovers)}",
        _OURS,
    )


def packages(promised: Sequence[str]) -> Promise:
    """Whether the packages that the rubric promises to students are installed."""
    missing, _, fix = missing_packages(promised).partition("; ")
    state = PromiseState.WEAK if missing else PromiseState.HOLDS
    return Promise("packages for students", state, missing or f"all {len(promised)} are installed", fix)


def _silent(title: str) -> Promise:
    return Promise(title, PromiseState.BROKEN, "the box did not answer", _OURS)


def conclusion(promises: Sequence[Promise]) -> str:
    """The last line: whether untrusted notebooks may be graded on this machine."""
    broken = sum(promise.state is PromiseState.BROKEN for promise in promises)
    weak = sum(promise.state is PromiseState.WEAK for promise in promises)
    if broken:
        return f"Do not grade untrusted notebooks on this machine: {broken} of {len(promises)} promises broken"
    if weak:
        holding = len(promises) - weak
        return f"This machine can grade untrusted notebooks: {holding} of {len(promises)} promises hold, {weak} weaker"
    return f"This machine can grade untrusted notebooks: {len(promises)} of {len(promises)} promises hold"


def show(promises: Sequence[Promise], console: Console) -> None:
    """Prints a line per promise, then what to do for those that do not hold, and last the conclusion."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("promise", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold")
    for promise in promises:
        word, style = _MARKS[promise.state]
        table.add_row(Text(promise.title), Text(word, style), Text(plain(promise.found, 300)))
    console.print(table)
    if to_do := [promise for promise in promises if promise.state is not PromiseState.HOLDS]:
        console.print(Text("\nWhat to do", "bold"))
    for promise in to_do:
        console.print(Text(f"- {promise.title}: {plain(promise.fix, 400)}"))
    console.print()
    console.print(Text(conclusion(promises), "bold"))
