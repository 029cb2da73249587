"""What several do at once to tasks, once more on PostgreSQL, which lets them: the same tests in their own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.on_postgresql import run_on_postgresql

FILES = ("lock_order", "action_races", "chunks", "slots", "dispatch", "lanes")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_several_at_once_do_the_same_on_postgresql(postgresql_url: str) -> None:
    run_on_postgresql(Path(__file__).parent, FILES, postgresql_url, timeout=840)
