from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from importer import pacing
from importer.exceptions import BadRequest, StopRequested
from importer.sources import simulated
from importer.sources.base import BadData, Banned, SourceError, SourceUnavailable, UnknownSymbol
from importer.sources.fetching import FetchContext, fetching
from importer.sources.registry import get_source
from importer.sources.simulated import Conditions, Simulated
from importer.sources.simulated_listing import MARKET_OPENS
from importer.sources.simulated_market import LIMIT_PERCENT
from importer.sources.validation import validate_bars
from marketdata.symbols import board_of, parse_symbol
from marketdata.trading_days import installed_calendar, newest_finished_day

NEWEST = date(2026, 6, 30)
OPEN_DAYS = np.array(installed_calendar().days, dtype="datetime64[D]")


def market(stocks: int = 400, *, seed: int = 1, newest: date = NEWEST, **conditions: float) -> Simulated:
    return Simulated(seed=seed, stocks=stocks, conditions=Conditions(**conditions), newest=newest)


@pytest.fixture(scope="module")
def histories() -> dict[str, pd.DataFrame]:
    """All bars of the first 400 stocks."""
    source = market()
    return {stock.symbol: source.daily_bars(stock.symbol, None, None) for stock in source.stocks()}


@pytest.fixture(autouse=True)
def no_attempts_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "_attempts", Counter())


def reference_of(source: Simulated, symbol: str, day: date) -> float:
    shown = source.snapshot(day).set_index("symbol")
    return float(shown["prev_close"][symbol])


def test_there_are_5400_stocks_with_valid_codes_on_every_board() -> None:
    listed = market(5400).stocks()
    assert len({stock.symbol for stock in listed}) == 5400
    for stock in listed:
        assert parse_symbol(stock.symbol) == stock.symbol
        assert stock.board == board_of(stock.symbol)
    boards = Counter(stock.board for stock in listed)
    assert set(boards) == {"main", "star", "chinext", "beijing"}
    assert min(boards.values()) >= 200
    assert {stock.symbol[-2:] for stock in listed} == {"SH", "SZ", "BJ"}


def test_names_are_obviously_made_up() -> None:
    assert [stock.name for stock in market(3).stocks()] == ["模拟0001", "模拟0002", "模拟0003"]


def test_a_smaller_market_is_the_beginning_of_a_bigger_one() -> None:
    assert market(100).stocks() == market(5400).stocks()[:100]


@pytest.mark.parametrize("count", [0, 100_000])
def test_a_market_of_an_impossible_size_is_a_bad_request(count: int) -> None:
    with pytest.raises(BadRequest, match="BARVAULT_SIMULATED_STOCKS"):
        market(count)


def test_stocks_are_listed_and_delisted_inside_the_usual_range() -> None:
    listed = market(5400).stocks()
    new = [stock for stock in listed if stock.listed_on > date(2021, 1, 4)]
    gone = [stock for stock in listed if stock.delisted_on is not None and stock.delisted_on > date(2021, 1, 4)]
    assert len(new) > 500
    assert len(gone) > 50
    assert max(stock.listed_on for stock in new) <= date(2024, 12, 25)


def test_there_is_nothing_before_the_listing_and_nothing_from_the_delisting_on(
    histories: dict[str, pd.DataFrame],
) -> None:
    for stock in market().stocks():
        days = histories[stock.symbol]["date"]
        assert days.iloc[0].date() == stock.listed_on >= MARKET_OPENS
        assert stock.delisted_on is None or days.iloc[-1].date() < stock.delisted_on


def test_every_bar_passes_validation_and_lies_on_a_trading_day(histories: dict[str, pd.DataFrame]) -> None:
    for symbol, frame in histories.items():
        result = validate_bars(
            frame, symbol=symbol, source="simulated", start=None, end=None, today=NEWEST, open_days=OPEN_DAYS
        )
        assert result.findings == ()
        assert result.frame is frame


def test_a_bar_is_the_same_whatever_range_is_asked_for(histories: dict[str, pd.DataFrame]) -> None:
    start, end = date(2022, 3, 1), date(2022, 9, 30)
    for symbol, frame in list(histories.items())[:60]:
        part = market().daily_bars(symbol, start, end)
        expected = frame[(frame["date"] >= pd.Timestamp(start)) & (frame["date"] <= pd.Timestamp(end))]
        assert_frame_equal(part, expected.reset_index(drop=True))


@hypothesis_settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 399), newest=st.dates(date(2015, 2, 1), date(2026, 6, 29)), days=st.integers(1, 800))
def test_a_bar_is_the_same_however_far_the_calendar_reaches(at: int, newest: date, days: int) -> None:
    symbol = market().stocks()[at].symbol
    start = newest - pd.Timedelta(days=days)
    later = market().daily_bars(symbol, start, newest)
    try:
        earlier = market(newest=newest).daily_bars(symbol, start, None)
    except UnknownSymbol:
        assert later.empty
        return
    assert_frame_equal(earlier, later)
    actions = market(newest=newest).corporate_actions(symbol)
    known = market().corporate_actions(symbol)
    assert_frame_equal(actions, known[known["ex_date"] <= pd.Timestamp(newest)])


def test_another_seed_is_another_market() -> None:
    first, second = (market(seed=seed).daily_bars("600001.SH", None, None) for seed in (1, 2))
    assert not first["close"].head(50).equals(second["close"].head(50))


def test_these_bars_stay_the_same_from_version_to_version() -> None:
    frame = market().daily_bars("600001.SH", date(2024, 12, 2), date(2024, 12, 3))
    assert frame.drop(columns="date").to_numpy().tolist() == [
        [7.0, 7.1, 6.94, 6.95, 3823200, 26767421.89],
        [6.89, 6.93, 6.82, 6.93, 1516400, 10435387.12],
    ]


def test_no_price_is_beyond_the_limits_and_some_are_at_them(histories: dict[str, pd.DataFrame]) -> None:
    source, at_limit = market(), Counter[str]()
    for symbol, frame in list(histories.items())[:120]:
        percent = LIMIT_PERCENT[board_of(symbol)]
        # Days without an action before them: the reference is the close before.
        actions = set(source.corporate_actions(symbol)["ex_date"])
        ticks = {name: np.rint(frame[name].to_numpy() * 100).astype(int) for name in ("high", "low", "close")}
        before = ticks["close"][:-1]
        most, least = (before * (100 + percent) + 50) // 100, (before * (100 - percent) + 50) // 100
        plain = np.array([not any(one < ex <= two for ex in actions) for one, two in zip(frame["date"], frame["date"][1:], strict=False)])  # fmt: skip  # noqa: E501
        assert (ticks["high"][1:] <= most)[plain].all()
        assert (ticks["low"][1:] >= least)[plain].all()
        at_limit[board_of(symbol)] += int((ticks["close"][1:] == most)[plain].sum())
    assert at_limit["main"] > 20


def test_some_stocks_are_suspended_for_a_while(histories: dict[str, pd.DataFrame]) -> None:
    missing = Counter[str]()
    for symbol, frame in histories.items():
        days = frame["date"].to_numpy().astype("datetime64[D]")
        listed = OPEN_DAYS[np.searchsorted(OPEN_DAYS, days[0]) : np.searchsorted(OPEN_DAYS, days[-1], side="right")]
        missing[symbol] = len(listed) - len(days)
    suspended = [count for count in missing.values() if count]
    assert len(suspended) > 200
    assert max(suspended) > 10


def test_the_reference_of_an_ex_date_is_the_theoretical_ex_price_rounded_half_up() -> None:
    source = market()
    symbol = "600001.SH"
    history = source.daily_bars(symbol, None, None).set_index("date")
    for action in source.corporate_actions(symbol).itertuples():
        before = history["close"][history.index < action.ex_date].iloc[-1]
        theory = (before - action.cash_per_share + action.rights_per_share * action.rights_price) / (
            1 + action.new_shares_per_share + action.rights_per_share
        )
        reference = reference_of(market(1), symbol, action.ex_date.date())
        assert reference == int(theory * 100 + 0.5) / 100
        assert reference < before


def test_there_are_dividends_new_shares_and_rights() -> None:
    source = market()
    actions = pd.concat([source.corporate_actions(stock.symbol) for stock in source.stocks()])
    assert (actions["cash_per_share"] > 0).sum() > 1000
    assert (actions["new_shares_per_share"] > 0).sum() > 50
    assert (actions["rights_per_share"] > 0).sum() > 10
    assert actions["ex_date"].isin(pd.to_datetime(OPEN_DAYS)).all()


def test_the_price_drops_where_new_shares_come() -> None:
    source = market()
    for stock in source.stocks():
        actions = source.corporate_actions(stock.symbol)
        for action in actions[actions["new_shares_per_share"] >= 0.5].itertuples():
            closes = source.daily_bars(stock.symbol, None, None).set_index("date")["close"]
            after = closes[closes.index >= action.ex_date]
            if len(after):
                assert after.iloc[0] < 0.85 * closes[closes.index < action.ex_date].iloc[-1]


def test_a_snapshot_shows_the_days_bars_and_the_closes_before_them() -> None:
    source, day = market(200), date(2024, 7, 2)
    shown = source.snapshot(day).set_index("symbol")
    for symbol in shown.index:
        bar = source.daily_bars(symbol, day, day)
        if bar.empty:
            assert shown.loc[symbol, ["open", "close", "volume", "amount"]].isna().all()
        else:
            columns = ["open", "high", "low", "close", "volume", "amount"]
            assert shown.loc[symbol, columns].tolist() == bar[columns].iloc[0].tolist()
        earlier = source.daily_bars(symbol, None, date(2024, 7, 1))
        if pd.Timestamp(day) not in set(source.corporate_actions(symbol)["ex_date"]) and len(earlier):
            last_action = source.corporate_actions(symbol)["ex_date"].max()
            if not last_action > earlier["date"].iloc[-1]:
                assert shown["prev_close"][symbol] == earlier["close"].iloc[-1]


def test_a_snapshot_lists_suspended_stocks_and_leaves_out_those_that_are_gone_or_to_come() -> None:
    source, day = market(), date(2022, 7, 1)
    shown = source.snapshot(day)
    listed = {
        stock.symbol
        for stock in source.stocks()
        if stock.listed_on <= day and (stock.delisted_on is None or stock.delisted_on > day)
    }
    assert set(shown["symbol"]) == listed
    assert shown["close"].isna().any()
    assert shown["prev_close"].notna().all()


@pytest.mark.parametrize("day", [date(2024, 7, 6), date(2026, 7, 1), date(2014, 12, 31)])
def test_there_is_no_snapshot_of_a_day_without_a_finished_session(day: date) -> None:
    with pytest.raises(SourceUnavailable, match=f"no finished session on {day}"):
        market(10).snapshot(day)


def test_whoever_changes_a_snapshot_does_not_change_the_market() -> None:
    source = market(10)
    shown = source.snapshot(date(2024, 7, 2))
    shown["close"] = 0.0
    assert (source.snapshot(date(2024, 7, 2))["close"] != 0.0).all()


def test_a_stock_that_is_not_listed_is_unknown() -> None:
    with pytest.raises(UnknownSymbol, match=r"600519\.SH"):
        market(10).daily_bars("600519.SH", None, None)


def test_a_range_without_bars_is_an_empty_frame_of_the_right_types() -> None:
    source = market(10)
    empty = source.daily_bars("600001.SH", date(2010, 1, 1), date(2010, 12, 31))
    assert empty.empty
    assert empty.dtypes.equals(source.daily_bars("600001.SH", None, None).dtypes)


def outcomes(source: Simulated, requests: int) -> list[type[SourceError] | None]:
    kinds: list[type[SourceError] | None] = []
    for _ in range(requests):
        try:
            source.daily_bars("600001.SH", None, None)
            kinds.append(None)
        except SourceError as error:
            kinds.append(type(error))
    return kinds


def test_faults_come_at_the_rate_that_is_set_and_a_retry_can_succeed() -> None:
    kinds = Counter(outcomes(market(10, error_rate=0.3), 300))
    assert set(kinds) == {None, SourceUnavailable, Banned, BadData}
    assert 150 < kinds[None] < 260


def test_the_same_attempts_meet_the_same_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    first = outcomes(market(10, error_rate=0.5), 20)
    monkeypatch.setattr(simulated, "_attempts", Counter())
    assert outcomes(market(10, error_rate=0.5), 20) == first


def test_a_request_that_waits_gives_way_when_asked() -> None:
    context = FetchContext(deadline=time.monotonic() + 60, should_stop=lambda: True)
    with fetching(context), pytest.raises(StopRequested):
        market(10, latency=60).daily_bars("600001.SH", None, None)


@pytest.mark.parametrize("ask", [lambda source: source.market_actions(MARKET_OPENS, today=NEWEST),
                                 lambda source: source.snapshot(NEWEST)])  # fmt: skip
def test_a_whole_market_that_is_made_up_gives_way_when_asked(ask: Callable[[Simulated], object]) -> None:
    looks = iter([False, False, False, True])
    # A seed that no other test has: nothing is remembered.
    with fetching(FetchContext(time.monotonic() + 60, lambda: next(looks))), pytest.raises(StopRequested):
        ask(market(10, seed=4711))


def test_a_request_that_waits_ends_at_its_deadline() -> None:
    context = FetchContext(deadline=time.monotonic() + 0.1, should_stop=lambda: False)
    with fetching(context), pytest.raises(SourceUnavailable, match="no answer in time"):
        market(10, latency=60).daily_bars("600001.SH", None, None)


def test_the_settings_make_the_market(settings: object) -> None:
    settings.SIMULATED_STOCKS, settings.SIMULATED_SEED = 7, 3  # type: ignore[attr-defined]
    source = get_source("simulated")
    assert len(list(source.stocks())) == 7
    assert source.newest == newest_finished_day(timezone.now())  # type: ignore[attr-defined]
    assert source.paced is False


@pytest.mark.django_db
def test_a_pace_is_kept_when_one_is_set(settings: object) -> None:
    settings.PACE_FLOORS = {"simulated": 0.01}  # type: ignore[attr-defined]
    source = get_source("simulated")
    assert source.paced is True
    source.daily_bars("600001.SH", None, None)
    (state,) = pacing.states()
    assert (state.source, state.requests) == ("simulated", 1)


@pytest.mark.django_db
def test_a_paced_market_tells_its_breaker_about_faults(settings: object) -> None:
    settings.PACE_FLOORS = {"simulated": 0.001}  # type: ignore[attr-defined]
    settings.SIMULATED_ERROR_RATE = 1.0  # type: ignore[attr-defined]
    with pytest.raises(SourceError):
        get_source("simulated").daily_bars("600001.SH", None, None)
    (state,) = pacing.states()
    assert (state.requests, state.troubles) == (1, 1)
