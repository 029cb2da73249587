"""Corporate actions through AKShare's own code: which periods are asked for, and what becomes an action."""

from __future__ import annotations

from datetime import date

import pytest

from importer.models import SourceState
from importer.sources.akshare import dividends
from importer.sources.akshare.dividends import Distribution, combined, report_periods
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.base import ActionSource, BadData, Banned
from marketdata.adjustment import Action
from tests.sources.standin import StandIn
from tests.sources.standin.datacenter_pages import PAYS_TODAY, RIGHTS, RIGHTS_EX_DATE


def actions(standin: StandIn, since: date, symbols: list[str] | None = None) -> dict[tuple[str, date], Action]:
    listed = Eastmoney().market_actions(since, today=standin.market.until, symbols=symbols)
    return {(each.symbol, each.action.ex_date): each.action for each in listed}


def test_eastmoney_knows_corporate_actions() -> None:
    assert isinstance(Eastmoney(), ActionSource)


def test_amounts_for_ten_shares_become_amounts_for_one(standin: StandIn) -> None:
    until = standin.market.until
    found = actions(standin, until)[PAYS_TODAY, until]
    assert (found.cash_per_share, found.new_shares_per_share, found.rights_per_share) == (0.3, 0.2, 0.0)


def test_plans_without_an_ex_date_and_b_shares_are_left_out(standin: StandIn) -> None:
    assert set(actions(standin, standin.market.until)) == {(PAYS_TODAY, standin.market.until)}


def test_every_stock_of_every_period_is_there(standin: StandIn) -> None:
    since = date(standin.market.until.year - 1, 6, 1)
    found = actions(standin, since)
    assert {symbol for symbol, _day in found} == set(standin.market.listed())


def test_the_ex_date_of_rights_is_the_second_session_after_the_payment(standin: StandIn) -> None:
    found = actions(standin, date(2024, 5, 1), symbols=[RIGHTS])[RIGHTS, RIGHTS_EX_DATE]
    assert (found.rights_per_share, found.rights_price) == (0.3, 5.0)


def test_the_whole_markets_actions_hold_its_rights(standin: StandIn) -> None:
    found = actions(standin, date(2024, 5, 1))
    assert len(found) > 1
    assert found[RIGHTS, RIGHTS_EX_DATE].rights_per_share == 0.3


def test_a_few_stocks_are_asked_for_one_by_one(standin: StandIn) -> None:
    found = actions(standin, date(2021, 1, 1), symbols=[PAYS_TODAY, "600000.SH"])
    assert {symbol for symbol, _day in found} == {PAYS_TODAY, "600000.SH"}
    assert len(standin.arrivals("datacenter-web.eastmoney.com")) == 2 * 2 + 2


def test_a_stock_that_never_paid_has_no_actions(standin: StandIn) -> None:
    assert actions(standin, date(2021, 1, 1), symbols=["600001.SH"]) == {}


def test_requests_go_by_the_pace_of_another_host(standin: StandIn) -> None:
    actions(standin, standin.market.until)
    assert set(SourceState.objects.values_list("source", flat=True)) == {dividends.NAME}


def test_a_refusal_there_says_nothing_about_quotes(standin: StandIn) -> None:
    standin.fault("403", host="datacenter-web.eastmoney.com")
    with pytest.raises(Banned):
        actions(standin, standin.market.until)
    assert not Eastmoney().daily_bars("600519.SH", date(2024, 6, 3), date(2024, 6, 7)).empty


def test_half_an_answer_is_not_taken_for_nothing(standin: StandIn) -> None:
    standin.fault("truncated", host="datacenter-web.eastmoney.com", times=1)
    with pytest.raises(BadData):
        actions(standin, standin.market.until)


def test_an_update_asks_for_six_periods() -> None:
    assert report_periods(date(2024, 6, 13), date(2024, 6, 13)) == [
        date(2022, 12, 31),
        date(2023, 3, 31),
        date(2023, 6, 30),
        date(2023, 9, 30),
        date(2023, 12, 31),
        date(2024, 3, 31),
    ]


def test_what_is_paid_for_two_periods_on_one_day_is_paid_together() -> None:
    day = date(2024, 6, 13)
    annual = Distribution("600519.SH", date(2023, 12, 31), Action(day, cash_per_share=1.0, new_shares_per_share=0.1))
    quarter = Distribution("600519.SH", date(2024, 3, 31), Action(day, cash_per_share=0.5))
    rights = Distribution("600519.SH", day, Action(day, rights_per_share=0.3, rights_price=5.0))
    (one,) = combined([annual, quarter, annual, rights])
    assert one.action == Action(day, 1.5, 0.1, 0.3, 5.0)
