"""Fixtures for the tests of boxes."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterator

import pytest
from python_for_all import AS_ROOT, Python, python_for_all

SECRET = "a-secret-of-the-caller"
SHARED_KEY = 0x5AE0_0001

for_all = pytest.fixture(scope="session", name="for_all")(python_for_all)


@pytest.fixture
def own_user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes of a user of their own can be started, where root runs the tests; else they are the grader's."""
    if AS_ROOT:
        python: Python = request.getfixturevalue("for_all")
        monkeypatch.setattr("grader.sandbox.own_user.python_program", lambda: python.program)
        monkeypatch.setattr("grader.sandbox.own_user.python_folders", lambda: list(python.folders))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the scripts are told about this machine: all of it is the test's own."""
    libc = ctypes.CDLL(None)
    segment = libc.shmget(SHARED_KEY, 4096, 0o1600)
    private = tmp_path_factory.mktemp("mine") / "gradebook.csv"
    private.write_text(SECRET)
    readable, writable = os.pipe()
    secret = os.memfd_create("secret", 0)  # without close-on-exec, like a careless caller's
    os.write(secret, SECRET.encode())
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_TOKEN", SECRET)
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield {
            "PORT": str(server.getsockname()[1]),
            "SUPERVISOR": str(os.getpid()),
            "HOSTNAME": repr(socket.gethostname()),
            "FILE": repr(str(private)),
            "SHARED": str(SHARED_KEY),
            "SECRET": SECRET,
        }
    for descriptor in (secret, readable, writable):
        os.close(descriptor)
    libc.shmctl(segment, 0, None)


def _accept(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        return
