"""Sina's market pages as a snapshot: units, what does not trade, and that they come over TLS."""

from __future__ import annotations

import akshare
import numpy as np
import pytest

from importer.snapshot_rows import read_table
from importer.sources.akshare.sina import Sina
from importer.sources.base import SNAPSHOT_COLUMNS, BadData, Banned, SnapshotSource
from tests.sources.standin import StandIn
from tests.sources.standin.datacenter_pages import PAYS_TODAY


def test_sina_shows_the_market_at_once() -> None:
    source = Sina()
    assert isinstance(source, SnapshotSource)
    assert source.snapshot_parts == ("",)


def test_every_stock_shows_its_bar_of_the_day_in_yuan_and_shares(standin: StandIn) -> None:
    market = standin.market
    frame = Sina().snapshot(market.until)
    assert tuple(frame.columns) == SNAPSHOT_COLUMNS
    assert sorted(frame["symbol"]) == sorted(market.listed())
    for row in frame.itertuples():
        today = market.bars(str(row.symbol))[-1]
        assert (row.open, row.high, row.low, row.close) == tuple(
            getattr(today, name) / 100 for name in ("open", "high", "low", "close")
        )
        assert (row.volume, row.amount) == (today.volume, today.amount)


def test_it_is_one_question_and_one_for_each_page_over_tls(standin: StandIn) -> None:
    Sina().snapshot(standin.market.until)
    # The stand-in speaks TLS alone: AKShare's own addresses begin with http.
    assert len(standin.arrivals("vip.stock.finance.sina.com.cn")) == 1 + 1


def test_the_previous_close_is_ex_right_on_an_ex_date(standin: StandIn) -> None:
    shown = Sina().snapshot(standin.market.until).set_index("symbol").loc[PAYS_TODAY, "prev_close"]
    before = standin.market.bars(PAYS_TODAY)[-2].close / 100
    assert shown == pytest.approx((before - 0.3) / 1.2, abs=0.0051)


def test_zeros_are_stocks_that_do_not_trade(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    day = standin.market.until
    shown = akshare.stock_zh_a_spot
    with monkeypatch.context() as patch:
        names = ("最新价", "今开", "最高", "最低", "成交量", "成交额")
        patch.setattr(akshare, "stock_zh_a_spot", lambda: shown().assign(**dict.fromkeys(names, 0.0)))
        frame = Sina().snapshot(day)
    assert frame[["open", "high", "low", "close", "volume", "amount"]].isna().all(axis=None)
    assert frame["prev_close"].notna().all()
    assert read_table(frame.replace({np.nan: None}).to_numpy().tolist(), day=day).doubtful == frozenset()


def test_a_refusal_gives_nothing(standin: StandIn) -> None:
    standin.fault("reset", path="getHQNodeData")
    with pytest.raises(Banned):
        Sina().snapshot(standin.market.until)


def test_half_an_answer_is_bad_data(standin: StandIn) -> None:
    standin.fault("truncated", path="getHQNodeData")
    with pytest.raises(BadData):
        Sina().snapshot(standin.market.until)
