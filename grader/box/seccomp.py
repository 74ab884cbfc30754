"""Turns the table of denied calls into what a kernel or a container engine reads.

`kernel_filter` is a program for the kernel's classic packet filter, as bytes, made here without a library: bubblewrap
reads it from a descriptor. `engine_profile` is the same table as the JSON that container engines read. Calls of
foreign ABIs (i386, x32) are refused altogether, for their numbers mean other calls.
"""

from __future__ import annotations

import struct
from errno import ENOSYS, EPERM
from typing import Any

from grader.box.denied_calls import ARGUMENTS, DENIED, MACHINES, NEWEST, PRETENDED, Argument, error_of

ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # AUDIT_ARCH_*
X32 = 0x4000_0000  # the bit that marks x32's numbers; no call of aarch64 has it either
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, ARGUMENT_BYTES = 0, 4, 16, 8  # offsets in what the filter sees
LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERROR = 0x7FFF_0000, 0x0005_0000
LOW_HALF = 0xFFFF_FFFF


def kernel_filter(machine: str) -> bytes | None:
    """The filter for a machine as `platform.machine()` names it; None for one whose calls we do not know."""
    if machine not in MACHINES:
        return None
    column = MACHINES.index(machine)
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (IF_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, ERROR | EPERM),
        (LOAD, 0, 0, NUMBER),
        *_unless(IF_AT_LEAST, X32, ERROR | EPERM),
        *_unless(IF_AT_LEAST, NEWEST + 1, ERROR | ENOSYS),
    ]
    for calls in DENIED.values():
        for name, numbers in calls.items():
            if (number := numbers[column]) is not None:
                program += _unless(IF_EQUAL, number, ERROR | error_of(name))
    for argument in ARGUMENTS.values():
        if (number := argument.numbers[column]) is not None:
            steps = _looked_at(argument)
            program += [(IF_EQUAL, 0, len(steps), number), *steps]
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in program)


Step = tuple[int, int, int, int]  # what to do, how far to jump if it is so and if not, with which number


def _unless(question: int, value: int, verdict: int) -> list[Step]:
    """Goes on unless the question about the loaded number is answered by yes."""
    return [(question, 0, 1, value), (RETURN, 0, 0, verdict)]


def _looked_at(argument: Argument) -> list[Step]:
    """The verdict on a call whose number is already known to be the argument's; these machines are little-endian."""
    bits, all_but = argument.denied == "any of the bits", argument.denied == "all but these"
    found, otherwise = (ALLOW, ERROR | EPERM) if all_but else (ERROR | EPERM, ALLOW)
    steps: list[Step] = [(LOAD, 0, 0, FIRST_ARGUMENT + ARGUMENT_BYTES * argument.index)]
    for value in argument.values:
        steps += _unless(IF_ANY_BIT if bits else IF_EQUAL, value, found)
    return [*steps, (RETURN, 0, 0, otherwise)]


def engine_profile() -> dict[str, Any]:
    """The profile that docker and podman read: the same calls, on whichever of the two machines it is read."""
    rules = []
    for error in (EPERM, ENOSYS, PRETENDED):
        names = [name for calls in DENIED.values() for name in calls if error_of(name) == error]
        rules.append({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error})
    for name, argument in ARGUMENTS.items():
        for condition in _conditions(argument):
            rule = {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM}
            rules.append({**rule, "args": [{"index": argument.index, **condition}]})
    machines = [{"architecture": f"SCMP_ARCH_{machine.upper()}", "subArchitectures": []} for machine in MACHINES]
    return {"defaultAction": "SCMP_ACT_ALLOW", "archMap": machines, "syscalls": rules}


def _conditions(argument: Argument) -> list[dict[str, Any]]:
    """One for each rule that the engine needs; only its comparison under a mask looks at the lower half alone."""
    masked = "SCMP_CMP_MASKED_EQ"
    if argument.denied == "any of the bits":
        bits = [1 << n for n in range(32) if argument.values[0] >> n & 1]
        return [{"op": masked, "value": bit, "valueTwo": bit} for bit in bits]
    if argument.denied == "these":
        return [{"op": masked, "value": LOW_HALF, "valueTwo": value} for value in argument.values]
    if len(argument.values) == 1:
        return [{"op": "SCMP_CMP_NE", "value": argument.values[0]}]
    highest = max(argument.values)
    between = [value for value in range(highest) if value not in argument.values]
    below = [{"op": masked, "value": LOW_HALF, "valueTwo": value} for value in between]
    return [*below, {"op": "SCMP_CMP_GT", "value": highest}]
