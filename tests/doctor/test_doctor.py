"""The doctor finds broken promises: from made-up answers, in a real box, and without any isolation."""

from __future__ import annotations

import io
import os
import socket
import time
from pathlib import Path

import pytest
from python_for_all import AS_ROOT, boxes_for_all
from rich.console import Console
from small_exercise.running import write_exercise

from grader.doctor import cells, examination, promises
from grader.doctor.boxes import run_box
from grader.doctor.cells import host
from grader.doctor.promises import Promise, PromiseState, conclusion, show
from grader.records import AS_GRADER
from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.layers import missing_here

QUIET = {"tcp": "OSError", "udp": "worked", "dns": "gaierror", "abstract": "OSError", "socket_file": "OSError"}
QUIET_ANSWERS = QUIET | {"interfaces": ["lo"], "seconds": 0.1}
TAME = {"writable": [], "no_new_privileges": True, "seccomp": True}


def states(promise_list: list[Promise]) -> dict[str, PromiseState]:
    return {promise.title: promise.state for promise in promise_list}


@pytest.mark.parametrize("way", ["tcp", "dns", "abstract", "socket_file"])
def test_each_way_out_breaks_the_promise_and_is_reported(way: str) -> None:
    (promise,) = promises.network(QUIET_ANSWERS | {way: "worked"}, [])
    assert promise.state is PromiseState.BROKEN
    assert promises.WAYS_OUT[way] in promise.found


def test_a_datagram_counts_only_if_it_was_received() -> None:
    assert states(promises.network(QUIET_ANSWERS, []))["no network"] is PromiseState.HOLDS
    assert states(promises.network(QUIET_ANSWERS, ["udp"]))["no network"] is PromiseState.BROKEN


def test_a_network_that_fails_slowly_is_reported() -> None:
    network_promises = promises.network(QUIET_ANSWERS | {"seconds": 30}, [])
    assert [promise.state for promise in network_promises] == [PromiseState.HOLDS, PromiseState.WEAK]


def test_another_interface_breaks_the_promise() -> None:
    (promise,) = promises.network(QUIET_ANSWERS | {"interfaces": ["lo", "eth0"]}, [])
    assert promise.found == "the box reaches interface eth0"


@pytest.mark.parametrize("gain", ["capabilities", "user_namespace", "mount", "descriptors", "root"])
def test_each_capability_breaks_the_promise(gain: str) -> None:
    assert states(promises.powers(TAME))["no powers"] is PromiseState.HOLDS
    assert states(promises.powers(TAME | {gain: True}))["no powers"] is PromiseState.BROKEN


def test_a_writable_system_breaks_the_promise() -> None:
    states_by_title = states(promises.powers(TAME | {"writable": ["/usr/lib"]}))
    assert states_by_title == {"read-only system": PromiseState.BROKEN, "no powers": PromiseState.HOLDS}


def test_a_missing_filter_is_weaker_only_where_the_machine_cannot_have_one() -> None:
    def all_states(seccomp: bool, weaker: str) -> set[PromiseState]:
        return {promise.state for promise in promises.filtered({"seccomp": seccomp, "kept_cores": seccomp}, weaker)}

    assert all_states(True, "") == {PromiseState.HOLDS}
    assert all_states(False, "no numbers") == {PromiseState.WEAK}
    assert all_states(False, "") == {PromiseState.BROKEN}


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"looked_at": 900, "settings": [], "owner": False}, PromiseState.HOLDS),
        ({"looked_at": 900, "settings": ["/proc/sys/kernel/core_pattern"], "owner": False}, PromiseState.BROKEN),
        ({"looked_at": 900, "settings": [], "owner": True}, PromiseState.BROKEN),
        ({"looked_at": 0, "settings": [], "owner": False}, PromiseState.BROKEN),
        ({}, PromiseState.BROKEN),
    ],
    ids=["none", "one opens", "root's", "none seen", "silent"],
)
def test_writable_kernel_settings_break_the_promise(answers: dict[str, object], state: PromiseState) -> None:
    (promise,) = promises.settings(answers)
    assert (promise.title, promise.state) == ("kernel settings", state)


@pytest.mark.skipif(os.getuid() != 0, reason="another user cannot write them anyway")
@pytest.mark.parametrize("without", [("another user", "kernel settings"), ("another user",)])
def test_a_box_whose_user_is_root_outside_is_found(without: tuple[str, ...]) -> None:
    answers = cells.first_box({}, gpu=False)["powers"]
    for absent, state in ((without, PromiseState.BROKEN), ((), PromiseState.HOLDS)):
        box = run_box(Bubblewrap(absent), {"powers": answers})
        assert states(promises.settings(box.cells["powers"].answers)) == {"kernel settings": state}


def test_a_box_that_chooses_its_cores_is_found(all_cores: set[int]) -> None:
    if len(all_cores) < 2 or missing_here().get("seccomp"):
        pytest.skip("there is no core to choose, or no filter")
    answers = cells.first_box({}, gpu=False)["powers"]
    filter_promises = promises.filtered(
        run_box(Bubblewrap(("seccomp",)), {"powers": answers}).cells["powers"].answers, ""
    )
    assert states(filter_promises) == {
        "system calls filtered": PromiseState.BROKEN,
        "cores of a box": PromiseState.BROKEN,
    }


def test_a_visible_path_is_reported_by_its_name() -> None:
    answers = {"seen": ["/somewhere/rubric.yaml"], "processes": 4}
    sight_promises = promises.sight(answers, {"/somewhere/rubric.yaml": "the rubric"})
    assert sight_promises[0].found == "the box sees the rubric"
    assert [promise.state for promise in sight_promises] == [
        PromiseState.BROKEN,
        PromiseState.HOLDS,
        PromiseState.HOLDS,
    ]


def test_without_namespaces_visible_names_are_weaker_and_readable_files_are_refused() -> None:
    hidden = {"/somewhere/rubric.yaml": "the rubric"}
    answers = {"seen": ["/somewhere/rubric.yaml"], "read": [], "processes": 99}
    sight_promises = promises.sight(answers, hidden, namespaces=False)
    assert [promise.state for promise in sight_promises] == [PromiseState.WEAK, PromiseState.HOLDS, PromiseState.WEAK]
    read = promises.sight(answers | {"read": ["/somewhere/rubric.yaml"]}, hidden, namespaces=False)
    assert (read[0].state, read[0].found) == (PromiseState.BROKEN, "the box sees the rubric")
    assert promises.sight(answers, hidden)[0].state is PromiseState.BROKEN


def test_boxes_of_the_graders_own_user_break_the_promise_and_old_landlock_is_weaker() -> None:
    assert [promise.state for promise in promises.own_user("user: Landlock 6", 6)] == [
        PromiseState.HOLDS,
        PromiseState.HOLDS,
    ]
    assert [promise.state for promise in promises.own_user(f"{AS_GRADER}: Landlock 7", 7)] == [
        PromiseState.BROKEN,
        PromiseState.HOLDS,
    ]
    old, none = (promises.own_user("user", version)[1] for version in (3, 0))
    assert (old.state, none.state) == (PromiseState.WEAK, PromiseState.WEAK)
    assert "TCP, which only the filter refuses (needs Linux 6.7)" in old.found
    assert "reading and writing files that every user may read or write" in none.found
    assert "reading and writing files that every user may read or write" not in old.found


def test_an_abstract_socket_is_weaker_only_where_no_kernel_could_close_it() -> None:
    answers = QUIET_ANSWERS | {"abstract": "worked"}
    assert [promise.state for promise in promises.network(answers, [], weaker=["abstract"])] == [
        PromiseState.WEAK,
        PromiseState.HOLDS,
    ]
    both = promises.network(answers | {"tcp": "worked"}, [], weaker=["abstract"])
    assert [promise.state for promise in both] == [PromiseState.WEAK, PromiseState.BROKEN]


def test_bounding_sets_that_an_account_cannot_lower_do_not_count() -> None:
    assert states(promises.powers(TAME | {"bounds": True}))["no powers"] is PromiseState.BROKEN
    assert states(promises.powers(TAME | {"bounds": True}, lowered=False))["no powers"] is PromiseState.HOLDS


def test_a_box_without_answers_breaks_every_promise() -> None:
    silent = promises.network({}, []) + promises.sight({}, {}) + promises.powers({})
    silent += promises.disk_and_files({}, {}, 100)
    assert {promise.state for promise in silent} == {PromiseState.BROKEN}


def test_the_screen_says_what_to_do_and_ends_with_the_verdict() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    two_promises = [
        Promise("a", PromiseState.HOLDS, "well"),
        Promise("b", PromiseState.BROKEN, "ill", "take two of these"),
    ]
    show(two_promises, console)
    lines = console.export_text().splitlines()
    assert "- b: take two of these" in lines
    assert lines[-1] == "Do not grade untrusted notebooks on this machine: 1 of 2 promises broken"
    assert conclusion(two_promises[:1]) == "This machine can grade untrusted notebooks: 1 of 1 promises hold"


def test_the_hosts_listeners_notice_connections() -> None:
    with host({}) as outside:
        with socket.create_connection(("127.0.0.1", int(str(outside.inputs["tcp"]))), 5):
            pass
        with socket.socket(socket.AF_UNIX) as plug:
            plug.connect(str(outside.inputs["socket_file"]))
        for _ in range(100):
            if len(outside.reached_listeners) == 2:
                break
            time.sleep(0.05)
    assert sorted(outside.reached_listeners) == ["socket_file", "tcp"]


def test_this_machine_keeps_its_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WALL_S", 2.0)
    machine_promises = examination.examine(write_exercise(tmp_path), "bubblewrap", lambda _: None)
    assert [promise for promise in machine_promises if promise.state is PromiseState.BROKEN] == []
    assert len(machine_promises) >= 18


def test_a_box_without_namespaces_is_examined_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WALL_S", 2.0)
    with boxes_for_all():
        machine_promises = examination.examine(write_exercise(tmp_path), "user", lambda _: None)
    broken = {promise.title for promise in machine_promises if promise.state is PromiseState.BROKEN}
    assert broken <= (set() if AS_ROOT else {"a user of its own", "no network"})
    assert ("a user of its own" in broken) == (not AS_ROOT)
    weak = {promise.title for promise in machine_promises if promise.state is PromiseState.WEAK}
    assert {"no secrets visible", "own processes only"} <= weak
    assert len(machine_promises) >= 20


def test_without_isolation_the_doctor_says_so_and_attempts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "run_box", None)
    (promise,) = examination.examine(write_exercise(tmp_path), "none", lambda _: None)
    assert promise.state is PromiseState.BROKEN
    assert "student code runs as you" in promise.found


def test_a_box_that_does_not_start_is_reported_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.doctor.boxes.IN_BOX_FOLDER", tmp_path)
    (promise,) = examination.examine(write_exercise(tmp_path), "bubblewrap", lambda _: None)
    assert promise.state is PromiseState.BROKEN
    assert promise.found.startswith("the sandbox did not start")
    assert "user namespaces" in promise.fix
