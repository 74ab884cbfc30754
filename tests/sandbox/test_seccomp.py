"""The filter of kernel calls: as a program, as a container engine's profile, and from inside a box."""

from __future__ import annotations

import json
import platform
from errno import ENOSYS, EOPNOTSUPP, EPERM
from typing import Any

import pytest
from filter_machine import PRETENDS, verdict
from small_box import answer_of

from grader.sandbox.seccomp import (
    ARCHITECTURES,
    ARGUMENTS,
    DENIED,
    DENIED_SHARED,
    MACHINES,
    NEWEST,
    PRETENDED_OWN,
    X32,
    container_engine_profile,
    error_of,
    kernel_filter,
)

# read, write, mmap, futex, execve, a thread's clone, getpid, close_range
ALLOWED = {"x86_64": (0, 1, 9, 202, 59, 56, 39, 436), "aarch64": (63, 64, 222, 98, 221, 220, 172, 436)}
THREAD = 0x3D0F00  # the flags with which the C library makes a thread
FORK = 0x1200011
NEW_USER = 0x1000_0000
I386 = 0x4000_0003
needs_filter = pytest.mark.skipif(platform.machine() not in MACHINES, reason="no filter for this machine")


def program(machine: str) -> bytes:
    code = kernel_filter(machine)
    assert code is not None
    return code


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_refuses_every_call_of_the_table_and_no_everyday_one(machine: str) -> None:
    code, architecture, column = program(machine), ARCHITECTURES[machine], MACHINES.index(machine)
    for calls in DENIED.values():
        for name, numbers in calls.items():
            if (number := numbers[column]) is not None:
                assert verdict(code, architecture, number) == (error_of(name) or PRETENDS), name
    assert [verdict(code, architecture, number, THREAD) for number in ALLOWED[machine]] == [0] * 8
    assert len(code) < 8 * 4096  # the most steps that a kernel takes


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_looks_at_arguments(machine: str) -> None:
    def asked(name: str, *arguments: int) -> int:
        number = ARGUMENTS[name].numbers[MACHINES.index(machine)]
        assert number is not None
        return verdict(program(machine), ARCHITECTURES[machine], number, *arguments)

    assert [asked("clone", flags) for flags in (THREAD, FORK)] == [0, 0]
    assert [asked("clone", FORK | 1 << bit) for bit in (17, 25, 26, 27, 28, 29, 30)] == [EPERM] * 7
    assert [asked("socket", family) for family in (1, 2, 10, 16)] == [0] * 4
    assert [asked("socket", family) for family in (0, 3, 17, 38, 40, 45, 2**32 + 40)] == [EPERM] * 7
    assert [asked("socketpair", family) for family in (1, 30)] == [0, EPERM]
    assert [asked("personality", persona) for persona in (0xFFFF_FFFF, 0, 0x40000)] == [0, EPERM, EPERM]
    assert [asked("ioctl", 0, request) for request in (0x5401, 0x5412, 0x541C, 2**32 + 0x5412)] == [0] + [EPERM] * 3


@pytest.mark.parametrize("machine", MACHINES)
def test_the_program_refuses_foreign_and_unknown_calls(machine: str) -> None:
    code, own = program(machine), ARCHITECTURES[machine]
    everyday = ALLOWED[machine][0]
    assert verdict(code, I386, everyday) == EPERM
    assert verdict(code, own, X32 | everyday) == EPERM
    assert verdict(code, own, 2**32 - 1) == EPERM
    assert (verdict(code, own, NEWEST), verdict(code, own, NEWEST + 1)) == (0, ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_box_without_namespaces_may_use_nothing_that_the_machine_shares(machine: str) -> None:
    architecture, column = ARCHITECTURES[machine], MACHINES.index(machine)
    whole, plain = kernel_filter(machine, shared=True, own_files=True), program(machine)
    shared = kernel_filter(machine, shared=True)
    assert whole is not None
    assert shared is not None
    for name, numbers in DENIED_SHARED.items():
        number = numbers[column]
        assert number is not None
        verdicts = [verdict(code, architecture, number) for code in (plain, shared, whole)]
        assert verdicts == [0, EPERM, EPERM], name
    for name, numbers in PRETENDED_OWN.items():
        if (number := numbers[column]) is not None:
            assert [verdict(code, architecture, number) for code in (plain, shared, whole)] == [0, 0, PRETENDS], name
    for name in ("socket", "socketpair"):
        number = ARGUMENTS[name].numbers[column] or 0
        errors = {family: verdict(shared, architecture, number, family) for family in range(64)}
        assert [family for family, error in errors.items() if error == 0] == [1]
        assert set(errors.values()) == {0, EOPNOTSUPP}
    for calls in DENIED.values():
        for name, numbers in calls.items():
            if (number := numbers[column]) is not None:
                assert verdict(whole, architecture, number) == (error_of(name) or PRETENDS), name
    assert [verdict(whole, architecture, number, THREAD) for number in ALLOWED[machine]] == [0] * 8
    assert len(whole) < 8 * 4096


def test_another_machine_has_no_filter() -> None:
    assert kernel_filter("riscv64") is None


def test_the_container_engines_profile_denies_the_same_calls() -> None:
    profile = json.loads(json.dumps(container_engine_profile()))
    rules = profile["syscalls"]
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    denied = {name: rule["errnoRet"] for rule in rules if "args" not in rule for name in rule["names"]}
    assert denied == {name: error_of(name) for calls in DENIED.values() for name in calls}
    assert {name for rule in rules if "args" in rule for name in rule["names"]} == set(ARGUMENTS)


def holds(condition: dict[str, Any], value: int) -> bool:
    """Whether a container engine would take an argument for one of the rule's."""
    operand = condition["value"]
    if condition["op"] == "SCMP_CMP_MASKED_EQ":
        return bool(value & operand == condition["valueTwo"])
    return bool(value > operand if condition["op"] == "SCMP_CMP_GT" else value != operand)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_container_engines_profile_and_the_program_agree_on_arguments(name: str) -> None:
    argument = ARGUMENTS[name]
    number = argument.numbers[0]
    assert number is not None
    rules = [rule["args"][0] for rule in container_engine_profile()["syscalls"] if rule["names"] == [name]]
    values = [*range(64), *argument.values, *(1 << bit for bit in range(32)), THREAD, FORK, FORK | NEW_USER]
    for value in values:
        arguments = [0] * argument.index + [value]
        refused = verdict(program("x86_64"), ARCHITECTURES["x86_64"], number, *arguments) == EPERM
        assert any(holds(rule, value) for rule in rules) == refused, value


# Every call is made with arguments that no kernel accepts, so that nothing happens where the filter is away.
CALLS = """
def error(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *(ctypes.c_long(value) for value in arguments))
    if result == 0 and number == CLONE:
        os._exit(0)  # the child of a clone that went through
    return ctypes.get_errno() if result == -1 else 0
found = {name: error(number, -1, -1, -1, -1, -1, -1) for name, number in NUMBERS.items()}
found["clone"] = error(CLONE, FLAGS, 0, 0, 0, 0)
found["ioctl"] = error(IOCTL, -1, 0x5412, 0)
found["socket"] = error(SOCKET, 40, 1, 0)
found["socketpair"] = error(SOCKETPAIR, 30, 1, 0, 0)
found["personality"] = error(PERSONALITY, 0)
found["newer"] = error(NEWER)
found["x32"] = error(X32 | 39)
tell(found)
"""


@pytest.fixture(scope="module")
def answers() -> tuple[dict[str, int], dict[str, int]]:
    """What every denied call returns inside a box, with the filter and without."""
    column = MACHINES.index(platform.machine())
    numbers = {name: row[column] for calls in DENIED.values() for name, row in calls.items()}
    script = CALLS.replace("NUMBERS", repr({name: number for name, number in numbers.items() if number is not None}))
    script = script.replace("NEWER", str(NEWEST + 1)).replace("X32", str(X32)).replace("FLAGS", str(NEW_USER | 17))
    for name in ("socketpair", "socket", "clone", "ioctl", "personality"):
        script = script.replace(name.upper(), str(ARGUMENTS[name].numbers[column]))
    return answer_of(script), answer_of(script, ("seccomp",))


@needs_filter
@pytest.mark.parametrize("group", DENIED)
def test_a_group_of_calls_is_refused_inside_a_box(group: str, answers: tuple[dict[str, int], dict[str, int]]) -> None:
    answered, without = answers
    names = [name for name in DENIED[group] if name in answered]
    assert {name: answered[name] for name in names} == {name: error_of(name) for name in names}
    assert any(without[name] != error_of(name) for name in names), "it is not the filter that refuses"


@needs_filter
@pytest.mark.parametrize("name", ["clone", "ioctl", "socketpair", "personality"])
def test_an_argument_is_refused_inside_a_box(name: str, answers: tuple[dict[str, int], dict[str, int]]) -> None:
    answered, without = answers
    assert answered[name] == EPERM
    assert without[name] != EPERM


@needs_filter
def test_sockets_of_strange_families_foreign_and_newer_calls_are_refused_inside_a_box(
    answers: tuple[dict[str, int], dict[str, int]],
) -> None:
    answered, _ = answers
    assert (answered["socket"], answered["x32"], answered["newer"]) == (EPERM, EPERM, ENOSYS)


I386_GETPID = """
import mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20; int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
tell(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another machine has no such calls")
def test_a_32_bit_call_is_refused_inside_a_box() -> None:
    assert answer_of(I386_GETPID) == -EPERM
