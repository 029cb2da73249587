"""The exchanges' indexes, from every source that knows them: one request each."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.base import BadData, IndexSource, SourceUnavailable
from importer.sources.tdx import Tdx
from importer.sources.tdxquotes import TdxQuotes
from marketdata.market_index import INDEX_OF
from tests.sources.standin import StandIn

SOURCES = [Eastmoney(), TdxQuotes()]


def turnover(standin: StandIn, exchange: str, day: date) -> float:
    symbols = [symbol for symbol in standin.market.listed() if symbol.endswith(exchange)]
    return sum(bar.amount for symbol in symbols for bar in standin.market.bars(symbol, day, day))


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: each.name)
@pytest.mark.parametrize("exchange", list(INDEX_OF))
def test_an_index_has_the_turnover_of_its_exchange(standin: StandIn, source: IndexSource, exchange: str) -> None:
    until = standin.market.until
    days = source.index_days(INDEX_OF[exchange], until - timedelta(days=10), until)
    assert len(days) > 4
    assert [each.day for each in days] == sorted(each.day for each in days)
    assert days[-1].day == until
    assert days[-1].close == 3005.0
    for each in days:
        # B shares are in it, and one source sends seven digits.
        assert each.amount == pytest.approx(turnover(standin, exchange, each.day), rel=0.003)


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: each.name)
def test_an_index_is_one_request(standin: StandIn, source: IndexSource) -> None:
    until = standin.market.until
    source.index_days("399106.SZ", until, until)
    standin.clear_door()
    (only,) = source.index_days("399106.SZ", until, until)
    assert only.day == until
    assert [each.symbol for each in standin.arrivals()] == ["399106.SZ"]


def test_an_index_that_eastmoney_does_not_have_is_an_error_with_a_name(standin: StandIn) -> None:
    standin.fault("null", path="kline")
    with pytest.raises(BadData):
        Eastmoney().index_days("399106.SZ", standin.market.until, standin.market.until)


def test_an_answer_about_something_else_is_refused(standin: StandIn) -> None:
    standin.fault("wrong_symbol", path="kline")
    with pytest.raises(BadData):
        Eastmoney().index_days("000001.SH", standin.market.until, standin.market.until)


def test_an_answer_that_ends_too_early_is_no_answer(standin: StandIn) -> None:
    TdxQuotes().index_days("399106.SZ", standin.market.until, standin.market.until)
    standin.fault("count_only", host="tdxquotes", symbol="399106.SZ")
    with pytest.raises(SourceUnavailable):
        TdxQuotes().index_days("399106.SZ", standin.market.until, standin.market.until)


def test_the_real_file_of_an_index_is_read(real_data) -> None:
    days = Tdx(str(real_data / "vipdoc")).index_days("000001.SH", date(2025, 8, 4), date(2025, 8, 5))
    assert [(each.day, each.close) for each in days] == [(date(2025, 8, 4), 3583.31), (date(2025, 8, 5), 3617.6)]
    assert all(6e11 < each.amount < 7e11 for each in days)


def test_a_folder_without_the_file_has_no_day_of_the_index(real_data) -> None:
    assert Tdx(str(real_data / "vipdoc")).index_days("399106.SZ", date(2025, 8, 4), date(2025, 8, 5)) == []
