"""Eastmoney's market pages as a snapshot: units, what is left out, and how many requests it is."""

from __future__ import annotations

import numpy as np
import pytest

from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.base import SNAPSHOT_COLUMNS, Banned, SnapshotSource
from tests.sources.standin import StandIn
from tests.sources.standin.datacenter_pages import PAYS_TODAY


def test_eastmoney_shows_the_market_in_three_parts() -> None:
    source = Eastmoney()
    assert isinstance(source, SnapshotSource)
    assert source.snapshot_parts == ("BJ", "SZ", "SH")


@pytest.mark.parametrize("part", ["BJ", "SZ", "SH"])
def test_a_part_shows_every_stock_of_its_exchange_as_its_bar_of_the_day(standin: StandIn, part: str) -> None:
    market = standin.market
    frame = Eastmoney().snapshot(market.until, part)
    assert tuple(frame.columns) == SNAPSHOT_COLUMNS
    assert sorted(frame["symbol"]) == sorted(symbol for symbol in market.listed() if symbol.endswith(part))
    for row in frame.itertuples():
        today = market.bars(str(row.symbol))[-1]
        assert (row.open, row.high, row.low, row.close) == tuple(
            getattr(today, name) / 100 for name in ("open", "high", "low", "close")
        )
        assert (row.volume, row.amount) == (today.volume // 100 * 100, today.amount)
    assert len(standin.arrivals("eastmoney")) == 1


def test_the_previous_close_is_ex_right_on_an_ex_date(standin: StandIn) -> None:
    shown = Eastmoney().snapshot(standin.market.until, "SZ").set_index("symbol").loc[PAYS_TODAY, "prev_close"]
    before = standin.market.bars(PAYS_TODAY)[-2].close / 100
    assert shown == pytest.approx((before - 0.3) / 1.2, abs=0.0051)


def test_numbers_that_are_missing_are_not_numbers(standin: StandIn) -> None:
    frame = Eastmoney().snapshot(standin.market.until, "SH")
    assert all(frame[name].dtype == np.float64 for name in SNAPSHOT_COLUMNS[2:])


def test_without_a_part_all_of_them_come(standin: StandIn) -> None:
    assert set(Eastmoney().snapshot(standin.market.until)["symbol"]) == set(standin.market.listed())


def test_a_refusal_ends_the_part(standin: StandIn) -> None:
    standin.fault("reset", path="clist")
    with pytest.raises(Banned):
        Eastmoney().snapshot(standin.market.until, "SH")
    assert len(standin.arrivals("eastmoney")) == 1, "AKShare does not try again"
