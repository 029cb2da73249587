"""The ex-date of rights is derived from the payment; the exchange's previous close confirms it, or tells another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from django.db import transaction

from importer.ex_rights import action_of, actions_between, explains
from marketdata.actions import ListedAction
from marketdata.models import CorporateAction
from marketdata.store import Standing

# Payment, register and resumption lie within so many days of each other.
NEAR = timedelta(days=15)


def settle_rights(unexplained: Mapping[str, float], standings: Mapping[str, Standing], day: date) -> int:
    """Move rights to ``day`` that explain the exchange's previous close of that day (yuan), and that were listed for
    a day near by; return how many.

    Rights alone: every other ex-date is announced, not derived. One that was confirmed stays.
    """
    rows = CorporateAction.objects.filter(
        stock__symbol__in=unexplained, ex_date__range=(day - NEAR, day + NEAR), rights_per_share__gt=0
    ).exclude(ex_date=day)
    others = actions_between({symbol: standings[symbol] for symbol in unexplained if symbol in standings}, day)
    moved = 0
    for row in rows.select_related("stock").order_by("ex_date"):
        symbol, rights = row.stock.symbol, action_of(row)
        standing = standings.get(symbol)
        if standing is None or rights.cash_per_share or rights.new_shares_per_share:
            continue
        beside = [each for each in others.get(symbol, ()) if each.ex_date != row.ex_date]
        if explains([*beside, rights], standing.close, unexplained[symbol]):
            _move(row, day)
            moved += 1
    return moved


def without_moved(actions: Iterable[ListedAction]) -> list[ListedAction]:
    """Return the actions without rights that are stored for another day near by, which the exchange confirmed."""
    listed = list(actions)
    with_rights = {each.symbol for each in listed if each.action.rights_per_share}
    confirmed = CorporateAction.objects.filter(
        stock__symbol__in=with_rights, rights_per_share__gt=0, previous_close__isnull=False
    ).select_related("stock")
    settled = [(row.stock.symbol, action_of(row)) for row in confirmed]
    return [
        each
        for each in listed
        if not any(
            symbol == each.symbol
            and 0 < abs((each.action.ex_date - known.ex_date).days) <= NEAR.days
            and (each.action.rights_per_share, each.action.rights_price) == (known.rights_per_share, known.rights_price)
            for symbol, known in settled
        )
    ]


def _move(row: CorporateAction, day: date) -> None:
    with transaction.atomic():
        known = CorporateAction.objects.filter(stock=row.stock, ex_date=day).first()
        if known is None:
            CorporateAction.objects.filter(pk=row.pk).update(ex_date=day, previous_close=None)
            return
        # What else is due that day stays due.
        CorporateAction.objects.filter(pk=known.pk).update(
            rights_per_share=row.rights_per_share, rights_price=row.rights_price
        )
        row.delete()
