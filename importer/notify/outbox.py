"""The outbox: who gets a notice, and which delivery is whose to send. Every change is a guarded UPDATE.

Several machines may run this on one database: each notice is handed out once, each delivery is sent by whoever
claims it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext_noop

from importer.notify.models import ALARMS, PINGS, Delivery, DeliveryState, Event, Notice, kept_error
from importer.notify.receivers import Receiver, ping_receiver, receivers
from importer.notify.rules import GIVE_UP_AFTER, last_digest_at, next_try, quiet_until
from importer.notify.words import digest_line
from marketdata.texts import Text, sentence
from marketdata.trading_days import EXCHANGE_TIME

# What happened so long ago is no news for a receiver that was configured only now.
STALE_AFTER = timedelta(hours=48)
# What waits for a digest is told also by a machine that was off over the exchange's longest holidays.
STALE_FOR_DIGEST = timedelta(days=14)
# Longer than a message may take: see sending.LIMIT.
LEASE = timedelta(minutes=2)
# Of what has ended, so much is kept to be looked at.
KEPT_FOR = timedelta(days=90)

NOT_CONFIGURED = Text(gettext_noop("This receiver is not configured any more."))


@dataclass(frozen=True)
class Claimed:
    """A delivery that is this process's to send until its lease ends."""

    delivery: Delivery
    receiver: Receiver


def hand_out(now: datetime) -> int:
    """Turn notices into deliveries, one for each receiver; return how many notices.

    1. A sign of life goes to the dead man's switch, everything else to the receivers of messages; where none is
       configured the notice is left to another machine, until it is stale.
    2. With a daily digest, all but alarms wait for it and become one notice.
    """
    shared = 0
    waiting = list(Notice.objects.filter(shared_at=None).order_by("id"))
    gathered = []
    for notice in waiting:
        if now - notice.created_at > (STALE_FOR_DIGEST if _waits_for_digest(notice) else STALE_AFTER):
            shared += _share(notice, [], now)
        elif notice.event in PINGS:
            switch = ping_receiver()
            shared += _share(notice, [switch], now) if switch is not None else 0
        elif not settings.NOTIFY_URLS:
            continue
        elif notice.event != Event.DIGEST and notice.event not in settings.NOTIFY_EVENTS:
            shared += _share(notice, [], now)
        elif _waits_for_digest(notice):
            gathered.append(notice)
        else:
            shared += _share(notice, receivers(), now)
    return shared + _gather(gathered, now)


def claim_due(now: datetime, *, busy: frozenset[str] = frozenset()) -> list[Claimed]:
    """Claim the oldest delivery that is due of each receiver of ours that is not ``busy``; none in quiet hours."""
    ours = _ours()
    is_quiet = quiet_until(settings.NOTIFY_QUIET, now) is not None
    free = _free(now)
    due = Delivery.objects.filter(free, state=DeliveryState.WAITING, next_try_at__lte=now, receiver__in=ours)
    found: dict[str, Delivery] = {}
    for delivery in due.exclude(receiver__in=busy).select_related("notice__task").order_by("id"):
        if delivery.receiver not in found and not (is_quiet and delivery.notice.event not in PINGS):
            found[delivery.receiver] = delivery
    claimed = []
    for delivery in found.values():
        token = uuid.uuid4().hex
        mine = Delivery.objects.filter(free, pk=delivery.pk, state=DeliveryState.WAITING, token=delivery.token)
        if mine.update(token=token, leased_until=now + LEASE, attempts=F("attempts") + 1):
            delivery.token, delivery.attempts = token, delivery.attempts + 1
            claimed.append(Claimed(delivery, ours[delivery.receiver]))
    return claimed


def settle(delivery: Delivery, error: Text | None, now: datetime) -> None:
    """Write down what became of a claimed delivery: sent, tried again later, or given up."""
    mine = Delivery.objects.filter(pk=delivery.pk, token=delivery.token, state=DeliveryState.WAITING)
    if error is None:
        mine.update(state=DeliveryState.SENT, ended_at=now, leased_until=None, error="")
        return
    again = next_try(delivery.attempts, now)
    values = {"error": kept_error(error), "leased_until": None}
    if again > delivery.give_up_at:
        mine.update(state=DeliveryState.GIVEN_UP, ended_at=now, **values)
    else:
        mine.update(next_try_at=again, **values)


def give_up_old(now: datetime) -> int:
    """Give up what nobody could send in time, also because its receiver is not configured any more.

    What was never tried, because the machine was off, is tried once all the same; but for a sign of life, which
    would tell of a life that is over.
    """
    late = Delivery.objects.filter(_free(now), state=DeliveryState.WAITING, give_up_at__lt=now)
    late = late.exclude(~Q(notice__event__in=PINGS), attempts=0, receiver__in=_ours())
    # An UPDATE takes SQLite's write lock also when it finds nothing, and this is asked every two seconds.
    if not late.exists():
        return 0
    gone = late.exclude(receiver__in=_ours()).filter(attempts=0)
    given_up = gone.update(state=DeliveryState.GIVEN_UP, ended_at=now, error=kept_error(NOT_CONFIGURED))
    return given_up + late.update(state=DeliveryState.GIVEN_UP, ended_at=now)


def given_up_since(moment: datetime) -> int:
    """Return how many messages were given up since."""
    return Delivery.objects.filter(state=DeliveryState.GIVEN_UP, ended_at__gte=moment).count()


def forget_old(now: datetime) -> None:
    """Remove notices that were dealt with long ago."""
    Notice.objects.filter(shared_at__lt=now - KEPT_FOR).exclude(deliveries__state=DeliveryState.WAITING).delete()


def _ours() -> dict[str, Receiver]:
    """Return everybody who is told something, the dead man's switch among them, by key."""
    switch = ping_receiver()
    return {each.key: each for each in [*receivers(), *([switch] if switch else [])]}


def _waits_for_digest(notice: Notice) -> bool:
    return settings.NOTIFY_DIGEST is not None and notice.event not in (*ALARMS, *PINGS, Event.DIGEST)


def _free(now: datetime) -> Q:
    """Return the condition that nobody is sending a delivery, or that who was has died (or a clock was set back)."""
    return Q(leased_until=None) | Q(leased_until__lt=now) | Q(leased_until__gt=now + 2 * LEASE)


def _share(notice: Notice, to: Sequence[Receiver], now: datetime) -> int:
    start = now
    if notice.event not in PINGS:
        start = quiet_until(settings.NOTIFY_QUIET, now) or now
    with transaction.atomic():
        if not Notice.objects.filter(pk=notice.pk, shared_at=None).update(shared_at=now):
            return 0
        Delivery.objects.bulk_create(
            [
                Delivery(
                    notice=notice,
                    receiver=receiver.key,
                    label=receiver.label,
                    next_try_at=start,
                    give_up_at=start + GIVE_UP_AFTER,
                )
                for receiver in to
            ],
            ignore_conflicts=True,
        )
    return 1


def _gather(notices: Sequence[Notice], now: datetime) -> int:
    """Make one notice of those that happened before the newest digest was due."""
    if settings.NOTIFY_DIGEST is None:
        return 0
    due = last_digest_at(settings.NOTIFY_DIGEST, now)
    ripe = [notice for notice in notices if notice.created_at <= due]
    if not ripe:
        return 0
    day = due.astimezone(EXCHANGE_TIME).date().isoformat()
    with transaction.atomic():
        mine = [each for each in ripe if Notice.objects.filter(pk=each.pk, shared_at=None).update(shared_at=now)]
        if not mine:
            return 0
        lines = [sentence(digest_line(notice)) for notice in mine]
        digest, made = Notice.objects.get_or_create(
            key=f"digest:{day}:{mine[0].pk}",
            defaults={"event": Event.DIGEST, "lines": lines, "created_at": now},
        )
        if made:
            _share(digest, receivers(), now)
    return len(mine)
