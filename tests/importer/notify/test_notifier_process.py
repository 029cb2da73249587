"""The notifier as a process: it needs no cluster, says nothing secret, and ends when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from importer.notify import sending
from marketdata.trading_days import EXCHANGE_TIME
from tests.importer.notify.servers import web_hook
from tests.importer.processes import PATIENCE, Installation, wait_until

pytestmark = pytest.mark.slow

CLOCK_SITE = Path(__file__).parents[1] / "clock_site"
FRIDAY_EVENING = datetime(2026, 11, 20, 20, 1, tzinfo=EXCHANGE_TIME)


def stored_until_thursday(installation: Installation) -> None:
    installation.sql(
        "INSERT INTO marketdata_stock (symbol, former_symbol, code, exchange, name, board, bar_count, first_bar,"
        " last_bar, covered_from, covered_until) VALUES ('600000.SH', '', '600000', 'SH', '', '', 9, ?, ?, ?, ?)",
        *["2026-11-19"] * 4,
    )


def test_the_evening_s_alarm_comes_while_the_cluster_is_dead(installation: Installation) -> None:
    stored_until_thursday(installation)
    with web_hook() as hook:
        installation.environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(CLOCK_SITE), os.environ.get("PYTHONPATH")])),
            "BARVAULT_TEST_CLOCK_OFFSET": str((FRIDAY_EVENING - datetime.now(UTC)).total_seconds()),
            "BARVAULT_NOTIFY_URLS": hook.url(),
            "BARVAULT_LANGUAGE": "en",
            "BARVAULT_LOG_LEVEL": "DEBUG",
        }
        command = installation.start("serve", "--no-web", "--workers", "2")
        notifier = installation.process("notifier")

        def alarmed_while_no_cluster_lives() -> bool:
            for process in installation.processes("cluster"):
                process.kill()
            assert command.process.poll() is None
            return bool(hook.bodies)

        wait_until(alarmed_while_no_cluster_lives, "the alarm comes", patience=5 * PATIENCE)
        wait_until(lambda: installation.sql("SELECT 1 FROM importer_delivery WHERE state = 'sent'"), "it is noted")
        said = json.loads(hook.bodies[0])
        assert said["title"] == "Barvault: The newest day is missing"
        assert "The bars of 2026-11-20 are not there" in said["message"]
        assert "No worker is alive" in said["message"]
        arguments = Path(f"/proc/{notifier.pid}/cmdline").read_bytes()
        command.send(signal.SIGTERM)
        assert command.wait() == 0
    assert len(hook.bodies) == 1
    for secret in (b"token-of-ours", str(hook.port).encode()):
        assert secret not in arguments + command.log.read_bytes()


def test_it_does_not_wait_for_a_receiver_that_hangs_when_it_is_to_stop(installation: Installation) -> None:
    installation.sql(
        "INSERT INTO importer_notice (key, event, lines, created_at) VALUES (?, ?, ?, ?)",
        "missing:2026-11-20",
        "missing",
        json.dumps([{"msgid": "The bars are not there.", "values": {}}]),
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
    )
    with web_hook() as hook:
        hook.delay = 600
        command = installation.start("notify", "run", BARVAULT_NOTIFY_URLS=hook.url())
        wait_until(lambda: installation.sql("SELECT 1 FROM importer_delivery WHERE attempts = 1"), "it is being sent")
        began = time.monotonic()
        command.send(signal.SIGTERM)
        assert command.wait() == 0
        # Whoever waits for the receiver waits for as long as a message may take.
        assert time.monotonic() - began < sending.LIMIT - 10
        wait_until(lambda: not installation.processes(), "the process that sends has gone, too")
