"""Cells that look around in a box, or misbehave in it; those that find something print it as JSON."""

from __future__ import annotations

import socket

MARK = "daemon-of-the-wall-test"

NETWORK = """
import json, socket, time
def tried(act):
    try:
        act()
        return "worked"
    except OSError as error:
        return type(error).__name__
started = time.monotonic()
found = {
    "loopback": tried(lambda: socket.create_connection(("127.0.0.1", PORT), 5)),
    "outside": tried(lambda: socket.create_connection(("192.0.2.1", 80), 5)),
    "name": tried(lambda: socket.getaddrinfo("dataset.invalid", 443)),
    "interfaces": [name for _, name in socket.if_nameindex()],
}
print(json.dumps(found | {"seconds": time.monotonic() - started}))
"""
SIGHT = """
import importlib.util, json, os
print(json.dumps({
    "grader": importlib.util.find_spec("grader") is not None,
    "seen": [path for path in PATHS if os.path.exists(path)],
    "environment": dict(os.environ),
    "processes": {p: open(f"/proc/{p}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()},
    "parent_environment": open(f"/proc/{os.getppid()}/environ").read(),
}))
"""
POWER = """
import ctypes, json, os, sys
def writable(path):
    try:
        with open(path + "/x", "w"):
            return True
    except OSError:
        return False
folders = ["/", "/usr/lib", "/etc", "/dev", "/box", "/box/engine", "/box/probe", "/home", "/proc/sys/kernel"]
folders += [sys.prefix] + [path for path in sys.path if os.path.isdir(path) and path]
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
links = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
print(json.dumps({
    "writable": [path for path in folders if writable(path)],
    "status": {key: value.strip() for key, value in status.items()},
    "descriptors": links,
    "user_namespace": ctypes.CDLL(None).unshare(0x10000000),
    "mount": ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, None),
}))
"""
DISK = """
import json, os
def room(folder):
    written = 0
    try:
        for n in range(40):
            with open(f"{folder}/{n}", "wb") as stream:
                stream.write(bytes(1_000_000))
            written += 1
    except OSError:
        pass
    for n in range(40):
        if os.path.exists(f"{folder}/{n}"):
            os.remove(f"{folder}/{n}")
    return written
def large():
    try:
        os.truncate(os.open("/tmp/large", os.O_CREAT | os.O_WRONLY), 10**9)
        return True
    except OSError:
        return False
print(json.dumps({"room": [room(f) for f in ("/tmp", "/home/student", "/content", "/dev/shm")], "large": large()}))
"""
DAEMON = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sh", ["{MARK}", "-c", "while true; do sleep 1; done"])
    os._exit(0)
"""
CELLS = {
    "network": NETWORK,
    "sight": SIGHT,
    "power": POWER,
    "disk": DISK,
    "one line": "print('x' * 20_000_000)",
    "many lines": "for n in range(40_000): print('one more line', n)",
    "many pictures": "for _ in range(700): display({'text/plain': 'p' * 999}, raw=True)",
    "long error": "raise ValueError('e' * 30_000_000)",
    "printing on and on": "while True: print('x' * 1000)",
    "after printing": "print('here')",
    "endless": "while True: pass",
    "after endless": "value = 1\nprint('here')",
    "stubborn": "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "after stubborn": "print('here', value)",
    "ended": "import os\nos._exit(0)",
    "crashed": "import ctypes\nctypes.string_at(0)",
    "exit": "exit()",
    "input": "print('asked', repr(input('? ')))",
    "system exit": "import sys\nsys.exit(1)",
    "daemon": DAEMON,
    "last": "print('here', value)",
}


def accept(server: socket.socket, callers: list[object]) -> None:
    """Whoever connects to the server is among the callers, until it is closed."""
    try:
        while True:
            callers.append(server.accept())
    except OSError:
        return
