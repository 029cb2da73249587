"""The events about which messages are sent, by the names that BARVAULT_NOTIFY_EVENTS knows."""

from __future__ import annotations

COMPLETED = "completed"  # a task ended and every stock is done
FAILURES = "failures"  # a task ended, and some stocks failed
FAILED = "failed"  # a task ended because nothing more could be done
SOURCE = "source"  # a source refuses, and has for long
MISSING = "missing"  # the newest trading day is not there, though it is evening
FINDINGS = "findings"  # an import or a check found something that it had not found before

EVENT_KINDS = frozenset({COMPLETED, FAILURES, FAILED, SOURCE, MISSING, FINDINGS})
