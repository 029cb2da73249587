"""The process that tells people what happened: ``bv-notifier``, beside the web server and the cluster.

A process of its own: it works while the cluster is dead, and nobody waits for its receivers. ``serve`` starts it;
``python manage.py notify run`` does where there is another supervisor.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import django.db
from django.conf import settings
from django.utils import timezone, translation

from importer.dbtime import db_now
from importer.notify import outbox, watch
from importer.notify.outbox import Claimed
from importer.notify.receivers import receivers
from importer.notify.rules import quiet_until
from importer.notify.sending import send
from importer.notify.words import message_of, outage_message
from importer.outages import OutageLog
from importer.parents import name_process
from importer.retention import prune_details
from importer.stop_signals import StopSignals
from importer.supervised import say_ready
from marketdata.texts import Text

logger = logging.getLogger(__name__)

ROUND = 2.0
WATCH_EVERY = 30.0
TIDY_EVERY = 3600.0
# A database that was restarted is no news.
OUTAGE_PATIENCE = 600.0
# Receivers that are tried at the same time; the others' turn comes when one of them has answered.
SENDERS = 8


class Notifier:
    """Hands notices out, sends what is due, and looks for what is missing, until it is asked to stop.

    ``pause`` waits for so many seconds; ``stopped`` says whether to end.
    """

    def __init__(self, pause: Callable[[float], object], stopped: Callable[[], bool]) -> None:
        self._pause = pause
        self._stopped = stopped
        self._senders = ThreadPoolExecutor(max_workers=SENDERS, thread_name_prefix="send")
        self._sending: dict[Future[Text | None], Claimed] = {}
        self._storage = OutageLog(logger, "The database")
        self._began: datetime | None = None
        self._outage_began: float | None = None
        self._outage_told = False
        self._watch_at = 0.0
        self._looked_at: set[int] = set()
        self._tidy_at = time.monotonic() + TIDY_EVERY

    def run(self) -> None:
        """A round every two seconds; trouble with the database is logged and the next round tries again."""
        while not self._stopped():
            try:
                self.round(db_now())
                self._storage.worked()
                self._outage_began, self._outage_told = None, False
            except django.db.Error as error:
                self._storage.failed(error)
                django.db.connections.close_all()
                self._tell_of_outage(error)
            except Exception:
                # A mistake in the program must not silence the alarms that still work.
                logger.exception("A round of the notifier failed; trying again.")
            self._pause(ROUND)
        # Who has not answered is asked again by whoever claims it next.
        self._senders.shutdown(wait=False, cancel_futures=True)

    def round(self, now: datetime) -> None:
        """Do what is due once.

        1. Write down what has been sent; derive alarms now and then.
        2. Hand notices out, give up what is too late.
        3. Claim what is due of each receiver that is not being tried, and send it in a thread.
        """
        self._began = self._began or now
        self._collect(now)
        if time.monotonic() >= self._watch_at:
            self._watch_at = time.monotonic() + WATCH_EVERY
            watch.missing_day(now, in_sight_since=self._began)
            watch.refusing_sources(now)
            watch.new_findings(now, self._looked_at)
        outbox.hand_out(now)
        outbox.give_up_old(now)
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + TIDY_EVERY
            outbox.forget_old(now)
            prune_details(now)
        busy = frozenset(claimed.receiver.key for claimed in self._sending.values())
        for claimed in outbox.claim_due(now, busy=busy):
            message = message_of(claimed.delivery.notice)
            self._sending[self._senders.submit(send, claimed.receiver, message)] = claimed

    def _tell_of_outage(self, error: Exception) -> None:
        """Tell every receiver, past the outbox, that the database does not answer: once in an outage."""
        now = time.monotonic()
        self._outage_began = self._outage_began or now
        if self._outage_told or now - self._outage_began < OUTAGE_PATIENCE:
            return
        if quiet_until(settings.NOTIFY_QUIET, timezone.now()) is None:
            self._outage_told = True
            for receiver in receivers():
                self._senders.submit(send, receiver, outage_message(error))

    def _collect(self, now: datetime) -> None:
        for future in [future for future in self._sending if future.done()]:
            claimed = self._sending.pop(future)
            error = future.result()
            outbox.settle(claimed.delivery, error, now)
            if error is None:
                logger.info("Sent to receiver %s: %s", claimed.receiver.label, claimed.delivery.notice.key)
            else:
                logger.warning("Receiver %s: %s", claimed.receiver.label, error)


def run_notifier() -> None:
    """Run until SIGTERM or SIGINT. The body of the process."""
    translation.activate("en")
    name_process("bv-notifier")
    signals = StopSignals((signal.SIGTERM, signal.SIGINT))
    say_ready()
    Notifier(signals.wait, lambda: bool(signals.count)).run()
