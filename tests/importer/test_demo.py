"""``manage.py demo``: a simulated market that imports itself, once, in a database of its own."""

from __future__ import annotations

import signal

import pytest

from tests.importer.processes import Command, Installation, wait_until

SMALL_MARKET = {
    "BARVAULT_DEMO": "1",
    "BARVAULT_SIMULATED_STOCKS": "12",
    "BARVAULT_SIMULATED_LATENCY": "0",
    "BARVAULT_PORT": "0",
}


@pytest.fixture
def demo(bare_installation: Installation) -> Installation:
    bare_installation.database_url = f"sqlite:///{bare_installation.var_dir / 'demo.sqlite3'}"
    bare_installation.environment = SMALL_MARKET
    return bare_installation


def start(demo: Installation) -> Command:
    command = demo.start("demo")
    wait_until(lambda: "http://127.0.0.1:" in command.text(), f"the demo is ready ({command.log})")
    return command


def statuses(demo: Installation) -> list[str]:
    return [status for (status,) in demo.sql("SELECT status FROM importer_importtask")]


@pytest.mark.slow
def test_the_demo_imports_its_market_and_a_second_start_asks_for_nothing_more(demo: Installation) -> None:
    first = start(demo)
    wait_until(lambda: statuses(demo) == ["completed"], "the demo's import is completed")
    first.send(signal.SIGTERM)
    assert first.wait() == 0
    second = start(demo)
    assert statuses(demo) == ["completed"]
    second.send(signal.SIGTERM)
    assert second.wait() == 0


def test_the_demo_does_not_touch_the_real_database(bare_installation: Installation) -> None:
    refused = bare_installation.manage("demo", check=False, BARVAULT_DEMO="0")
    assert refused.returncode == 2
    assert "BARVAULT_DEMO=1" in refused.stderr
    assert not (bare_installation.var_dir / "barvault.sqlite3").exists()
