from __future__ import annotations

from datetime import date
from pathlib import Path

import akshare
import pandas as pd
import pytest
from django.utils import translation

from importer.plan_task import PlanFailed, _fetch_list
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.akshare.exchanges import listed_stocks
from importer.sources.akshare.sina import Sina
from importer.sources.akshare.tencent import Tencent
from importer.sources.base import BadData, Banned, ListedStock, SourceUnavailable
from importer.task_requests import build_request
from tests.sources.conftest import close_connections
from tests.sources.standin import StandIn, running_standin


def by_symbol() -> dict[str, ListedStock]:
    return {stock.symbol: stock for stock in listed_stocks()}


def test_every_stock_that_is_or_was_listed_is_there_once(standin: StandIn) -> None:
    assert [stock.symbol for stock in listed_stocks()] == sorted(standin.market.symbols())


def test_a_stock_has_its_name_its_board_and_its_first_day(standin: StandIn) -> None:
    stock = by_symbol()["688981.SH"]
    assert stock == ListedStock(
        "688981.SH", "股票688981", "star", standin.market.listed_on("688981.SH"), delisted_on=None
    )


@pytest.mark.parametrize(
    ("symbol", "board"), [("600519.SH", "main"), ("300750.SZ", "chinext"), ("430047.BJ", "beijing")]
)
def test_each_exchange_gives_boards_and_dates(standin: StandIn, symbol: str, board: str) -> None:
    stock = by_symbol()[symbol]
    assert (stock.board, stock.listed_on) == (board, standin.market.listed_on(symbol))


@pytest.mark.parametrize(("symbol", "day"), [("600001.SH", date(2023, 5, 10)), ("000003.SZ", date(2022, 6, 20))])
def test_delisted_stocks_have_their_last_day(standin: StandIn, symbol: str, day: date) -> None:
    stock = by_symbol()[symbol]
    assert stock.delisted_on == day
    assert stock.listed_on is not None


def test_a_short_sheet_of_shenzhen_loses_no_leading_zeros(standin: StandIn, tmp_path: Path) -> None:
    with running_standin(tmp_path, stocks=20) as small, small.redirected():
        close_connections()
        listed = {symbol for symbol in small.market.listed() if symbol.endswith("SZ")}
        assert len(listed) <= 10, "AKShare pads the codes of longer lists"
        assert {"000001.SZ", "002594.SZ"} <= listed <= set(by_symbol())


def test_a_row_of_a_sheet_without_a_code_is_no_stock(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    # So AKShare gives the row of a company that has B-shares only.
    without = pd.DataFrame({"A股代码": [""], "A股简称": [""], "A股上市日期": [""]})
    monkeypatch.setattr(akshare, "stock_info_sz_name_code", lambda symbol: without)
    with pytest.raises(BadData, match="list of SZ is empty"):
        listed_stocks()


def test_b_shares_are_not_listed(standin: StandIn) -> None:
    assert not {"900901.SH", "200002.SZ"} & set(by_symbol())


def test_all_sources_share_the_list_and_tencent_knows_nothing_of_beijing(standin: StandIn) -> None:
    everything = list(Eastmoney().stocks())
    assert list(Sina().stocks()) == everything
    assert list(Tencent().stocks()) == [stock for stock in everything if not stock.symbol.endswith("BJ")]


def test_a_new_listing_is_seen_by_a_worker_that_lives_long(standin: StandIn) -> None:
    listed_stocks()
    standin.clear_door()
    listed_stocks()
    assert len(standin.arrivals("exchanges")) == 7


def test_a_list_that_fails_once_is_asked_for_again(standin: StandIn) -> None:
    standin.fault("502", host="www.szse.cn", times=1)
    assert "000002.SZ" in by_symbol()


@pytest.mark.parametrize("host", ["query.sse.com.cn", "www.szse.cn"])
def test_half_a_market_does_not_pass_for_the_whole(standin: StandIn, host: str) -> None:
    standin.fault("502", host=host)
    with pytest.raises(SourceUnavailable):
        listed_stocks()


def test_without_the_delisted_ones_there_is_no_list(standin: StandIn) -> None:
    standin.fault("403", path="/commonQuery.do")
    with pytest.raises(Banned):
        listed_stocks()


def test_when_beijing_refuses_eastmoney_knows_its_stocks(standin: StandIn) -> None:
    standin.fault("403", host="bse.cn")
    found = by_symbol()
    assert sorted(found) == sorted(standin.market.symbols())
    assert found["430047.BJ"] == ListedStock("430047.BJ", "股票430047", "beijing")


@pytest.mark.parametrize("kind", ["changed_columns", "null", "truncated"])
def test_a_list_that_cannot_be_read_is_bad_data(standin: StandIn, kind: str) -> None:
    standin.fault(kind, host="query.sse.com.cn")
    with pytest.raises(BadData):
        listed_stocks()


@pytest.mark.parametrize("kind", ["changed_columns", "truncated"])
def test_a_sheet_that_cannot_be_read_is_bad_data(standin: StandIn, kind: str) -> None:
    standin.fault(kind, host="www.szse.cn")
    with pytest.raises(BadData):
        listed_stocks()


def test_while_the_lists_rest_a_task_is_told_which_source_and_until_when(standin: StandIn) -> None:
    standin.fault("429", host="exchanges", seconds=600)
    request = build_request("import", source="eastmoney", start=date(2024, 1, 1), end=date(2024, 6, 28))
    with pytest.raises(PlanFailed):
        _fetch_list(request)
    with translation.override("en"), pytest.raises(PlanFailed, match="stock lists is not asked before") as caught:
        _fetch_list(request)
    assert caught.value.until is not None
