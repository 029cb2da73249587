"""The notifier as a process: it needs no cluster, says nothing secret, and ends when it is asked to."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.importer.notify.servers import web_hook
from tests.importer.processes import Installation, wait_until

pytestmark = pytest.mark.slow


def test_it_sends_without_a_cluster_and_stops_within_three_seconds(installation: Installation) -> None:
    installation.sql(
        "INSERT INTO importer_notice (key, event, lines, created_at) VALUES (?, ?, ?, ?)",
        "missing:2026-11-20",
        "missing",
        json.dumps([{"msgid": "The bars are not there.", "values": {}}]),
        time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
    )
    with web_hook() as hook:
        command = installation.start(
            "notify", "run", BARVAULT_NOTIFY_URLS=hook.url(), BARVAULT_LANGUAGE="en", BARVAULT_LOG_LEVEL="DEBUG"
        )
        wait_until(lambda: hook.bodies, "the message has come")
        wait_until(lambda: installation.sql("SELECT 1 FROM importer_delivery WHERE state = 'sent'"), "it is noted")
        assert json.loads(hook.bodies[0])["title"] == "Barvault: The newest day is missing"
        arguments = Path(f"/proc/{command.pid}/cmdline").read_bytes()
        began = time.monotonic()
        command.send(signal.SIGTERM)
        assert command.wait() == 0
        assert time.monotonic() - began < 3
    for secret in (b"token-of-ours", str(hook.port).encode()):
        assert secret not in arguments + command.log.read_bytes()
