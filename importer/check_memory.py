"""What checks of the stored bars found, so that the next one can tell what is new, and who wants to know is told."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from django.db import transaction
from django.utils.translation import gettext_noop

from importer.dbtime import db_now
from importer.models import KnownFinding
from importer.notify.events import new_finding_lines, record
from importer.notify.models import Event
from marketdata.quality import Rule
from marketdata.texts import Text

RULES: Mapping[Rule, str] = {
    Rule.MISSING: gettext_noop("missing"),
    Rule.IMPOSSIBLE: gettext_noop("impossible"),
    Rule.JUMP: gettext_noop("beyond the limit"),
    Rule.ACTION: gettext_noop("corporate action in doubt"),
    Rule.STALE: gettext_noop("out of date"),
    Rule.DISAGREES: gettext_noop("another source differs"),
    Rule.INDEX: gettext_noop("the index differs"),
}

# The stock (empty: a day of all stocks), the day, and what it has not kept to.
FindingKey = tuple[str, date, Rule]

_AT_ONCE = 500


def note_findings(found: Collection[FindingKey], *, everything: bool) -> list[FindingKey]:
    """Remember what a check found; return what no earlier one had found, and record a message about that.

    ``everything``: all stocks and days were looked at. What was not found again is forgotten then, except what only a
    sample can find: it is new if it comes back.
    """
    with transaction.atomic():
        known = {
            (symbol, day, Rule(rule)): pk
            for pk, symbol, day, rule in KnownFinding.objects.values_list("pk", "symbol", "day", "rule")
        }
        new = [key for key in dict.fromkeys(found) if key not in known]
        now = db_now()
        KnownFinding.objects.bulk_create(
            (KnownFinding(symbol=symbol, day=day, rule=rule, first_seen_at=now) for symbol, day, rule in new),
            batch_size=_AT_ONCE,
            ignore_conflicts=True,
        )
        if everything:
            again = set(found)
            gone = [pk for key, pk in known.items() if key not in again and key[2] != Rule.DISAGREES]
            for at in range(0, len(gone), _AT_ONCE):
                KnownFinding.objects.filter(pk__in=gone[at : at + _AT_ONCE]).delete()
        if new:
            record(f"check:{uuid.uuid4()}", Event.FINDINGS, new_finding_lines(_by_rule(new)))
    return new


def _by_rule(found: Sequence[FindingKey]) -> list[tuple[Text, list[str]]]:
    return [
        (Text(RULES[rule]), [symbol or day.isoformat() for symbol, day, of_rule in found if of_rule == rule])
        for rule in dict.fromkeys(rule for _symbol, _day, rule in found)
    ]
