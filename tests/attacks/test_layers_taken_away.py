"""Which layer stops which attack: it wins with all the layers of its entry taken away, and never while one is left."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from attack_arena import Arena
from attack_entries import FAMILIES, Attack, attacks
from attack_verdicts import GOT

from grader.sandbox.bubblewrap import Bubblewrap
from grader.sandbox.layers import LAYERS, missing_here

pytestmark = pytest.mark.attack
STOPPED = [attack for family in FAMILIES for attack in attacks(family) if attack.stopped_by]
SEGMENT = 0x5EED  # the key of the shared memory that one of them makes; without its layer, it is the machine's
IPC_RMID = 0
OF_ROOT = "another user"  # the layer that only a box has which root starts


@pytest.fixture(autouse=True)
def clean_machine(arena: Arena) -> Iterator[None]:
    """What came through a missing layer is put right again."""
    yield
    arena.callers.clear()
    libc = ctypes.CDLL(None)
    libc.shmctl(libc.shmget(SEGMENT, 0, 0), IPC_RMID, None)


@pytest.mark.parametrize("attack", STOPPED, ids=lambda attack: attack.name)
def test_an_attack_succeeds_only_if_all_of_its_layers_are_removed(
    attack: Attack, arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gone := sorted(set(attack.stopped_by) & set(missing_here())):
        pytest.skip(f"this machine cannot give {gone[0]}")
    if OF_ROOT in attack.stopped_by and os.getuid() != 0:
        pytest.skip("only a box that root starts has a user of its own")
    for left in attack.stopped_by if len(attack.stopped_by) > 1 else []:
        assert not wins(attack, arena, tmp_path / left, set(attack.stopped_by) - {left}, monkeypatch), left
    assert wins(attack, arena, tmp_path / "all", attack.stopped_by, monkeypatch)


@pytest.mark.parametrize("layer", ["files", "processes", "network", "ipc", "environment", "seccomp"])
def test_a_layer_alone_stops_something(layer: str) -> None:
    assert layer in LAYERS
    assert [attack.name for attack in STOPPED if attack.stopped_by == [layer]] != []


def wins(attack: Attack, arena: Arena, folder: Path, layers: Collection[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether it gets what it wants without these layers."""
    folder.mkdir()
    if OF_ROOT not in attack.stopped_by:  # then the box's user is the grader's, as for everybody else
        layers = {*layers, OF_ROOT}
    with monkeypatch.context() as patch:
        patch.setattr("grader.grading.run.backend_named", lambda *_: Bubblewrap(without=layers))
        return GOT in arena.tried(attack, folder).printed
