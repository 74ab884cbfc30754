"""The arena that the attacks of one test process share, so that each is graded by the process that graded the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attack_arena import Arena


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    shared_arena = Arena(tmp_path_factory.mktemp("arena"))
    yield shared_arena
    shared_arena.close()
