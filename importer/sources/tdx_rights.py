"""Corporate actions as the quote servers list them: all of a stock's, in one answer, with rights and their price.

Amounts are for ten shares, before tax; new shares are given as bonus and transferred ones together. Other records of
the list (changes of the share capital, warrants, buy-backs) change nothing for a holder, and are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from marketdata.adjustment import Action

EX_RIGHT = 1
PER_TEN = 10
# A float of seven digits: 3.6 for ten comes as 3.5999999.
_DECIMALS = 6


def actions_of(records: Iterable[Mapping[str, Any]]) -> list[Action]:
    """Return the actions in the records of ``tdxpy``'s parser, by ex-date. Of several with one date all count.

    Raises ValueError for a date or a number that cannot be.
    """
    of_day: dict[date, set[Action]] = defaultdict(set)
    for record in records:
        if record["category"] != EX_RIGHT:
            continue
        action = Action(
            date(record["year"], record["month"], record["day"]),
            cash_per_share=_per_share(record["fenhong"]),
            new_shares_per_share=_per_share(record["songzhuangu"]),
            rights_per_share=_per_share(record["peigu"]),
            rights_price=round(_plausible(record["peigujia"]), _DECIMALS) if record["peigu"] > 0 else 0.0,
        )
        if not action.is_empty:
            of_day[action.ex_date].add(action)
    return [_sum(of_day[day]) for day in sorted(of_day)]


def _sum(actions: set[Action]) -> Action:
    first = next(iter(actions))
    if len(actions) == 1:
        return first
    rights = sum(each.rights_per_share for each in actions)
    paid = sum(each.rights_per_share * each.rights_price for each in actions)
    return replace(
        first,
        cash_per_share=round(sum(each.cash_per_share for each in actions), _DECIMALS),
        new_shares_per_share=round(sum(each.new_shares_per_share for each in actions), _DECIMALS),
        rights_per_share=rights,
        rights_price=round(paid / rights, _DECIMALS) if rights else 0.0,
    )


def _per_share(for_ten: float) -> float:
    return round(_plausible(for_ten) / PER_TEN, _DECIMALS)


def _plausible(number: float) -> float:
    # Also what is no number.
    if not 0 <= number < 10_000:
        raise ValueError(f"{number} for ten shares")
    return number
