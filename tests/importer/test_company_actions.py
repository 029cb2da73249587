"""Whose corporate actions are stored: the first source that can give them, and what is said when none can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

import pandas as pd
import pytest

from importer.company_actions import action_sources, refresh_actions
from importer.sources.base import ListedStock, SourceUnavailable
from marketdata.actions import ListedAction
from marketdata.adjustment import Action
from marketdata.models import CorporateAction
from marketdata.store import save_listing
from marketdata.texts import word

SINCE, TODAY, SYMBOL = date(2024, 1, 1), date(2024, 6, 28), "600519.SH"


class Knowing:
    """A source that knows one dividend, or fails."""

    name: ClassVar[str] = "eastmoney"
    label: ClassVar[str] = "Eastmoney"
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.asked = 0

    def stocks(self) -> list[ListedStock]:
        return []

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        return pd.DataFrame()

    def market_actions(self, since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
        self.asked += 1
        if self.fails:
            raise SourceUnavailable(source=word(self.label), detail="it is shut")
        return [ListedAction(SYMBOL, Action(date(2024, 6, 19), cash_per_share=0.36))]


class KnowingFew(Knowing):
    name: ClassVar[str] = "tdxquotes"
    label: ClassVar[str] = "TDX quote service"
    most_action_stocks: ClassVar[int] = 2


@pytest.fixture
def stock(db: None) -> None:
    save_listing([ListedStock(SYMBOL)], simulated=False)


def test_who_knows_the_whole_market_is_asked_first_whatever_the_order_for_bars(stock: None) -> None:
    few, all_of_them = KnowingFew(), Knowing()
    assert refresh_actions([few, all_of_them], SINCE, today=TODAY, symbols=[SYMBOL]) is None
    assert (few.asked, all_of_them.asked) == (0, 1)


def test_what_the_first_cannot_give_the_next_one_is_asked_for(stock: None) -> None:
    few, shut = KnowingFew(), Knowing(fails=True)
    assert refresh_actions([few, shut], SINCE, today=TODAY, symbols=[SYMBOL]) is None
    assert CorporateAction.objects.get().source == "tdxquotes"


def test_who_is_asked_stock_by_stock_is_not_asked_for_many() -> None:
    few = KnowingFew()
    assert action_sources([few], ["1", "2"]) == [few]
    assert action_sources([few], ["1", "2", "3"]) == []
    assert action_sources([few], None) == []


def test_when_none_can_give_them_the_reason_of_the_first_is_said(stock: None) -> None:
    problem = refresh_actions([KnowingFew(fails=True), Knowing(fails=True)], SINCE, today=TODAY, symbols=[SYMBOL])
    assert "Eastmoney" in str(problem)
    assert "it is shut" in str(problem)
