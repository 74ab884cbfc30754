"""Every row of every family has an entry, and every family its file."""

from __future__ import annotations

import pytest
from attack_entries import FAMILIES, attacks, rows


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_row_has_an_entry(family: str) -> None:
    assert set(rows(family)) - {attack.row for attack in attacks(family)} == set()


def test_there_are_at_least_90_attacks() -> None:
    assert sum(len(attacks(family)) for family in FAMILIES) >= 90
