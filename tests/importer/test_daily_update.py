"""The daily update from one snapshot: thirty days of it, days that were missed, and snapshots not to be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from importer import stopping
from importer.company_actions import refresh_actions
from importer.exceptions import StopRequested
from importer.invariants import violations
from importer.lanes import Lane
from importer.models import Failure, ImportChunk, ImportTask, SnapshotPart, Status
from importer.run import follow_inline
from importer.sources.base import BadData, Banned
from importer.sources.simulated import Simulated
from importer.task_requests import Submission
from marketdata.actions import ListedAction, ex_rights_without_action
from marketdata.adjustment import Action
from marketdata.completeness import day_completeness
from marketdata.models import Bar, CorporateAction, Stock
from marketdata.reading import load_bars
from marketdata.store import bars_hash, delete_bars, store_bars, verify_summaries
from tests.importer.simulated_clock import at, days_between, forget_everything, import_at, update_at

# The lane's helper thread has a database connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

# A stretch with dividends, a new listing (600069.SH), a delisting (300046.SZ) and suspensions.
FIRST, LAST = date(2024, 5, 17), date(2024, 7, 2)
LARGER, STOCKS = 240, 120


@pytest.fixture(autouse=True)
def small_market(settings: Any) -> Iterator[None]:
    settings.SIMULATED_STOCKS = STOCKS
    settings.SIMULATED_LATENCY = 0.0
    settings.SIMULATED_ERROR_RATE = 0.0
    stopping.reset()
    yield
    assert violations() == []
    assert verify_summaries() == []
    assert all(sum(chunk.by_source.values()) == chunk.done for chunk in ImportChunk.objects.all())


@pytest.fixture
def larger_market(settings: Any) -> None:
    settings.SIMULATED_STOCKS = LARGER


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of what the market is asked for from now on: symbols, and "snapshot"."""
    seen: list[str] = []
    bars, snapshot = Simulated.daily_bars, Simulated.snapshot

    def daily_bars(self: Simulated, symbol: str, *bounds: date | None) -> pd.DataFrame:
        seen.append(symbol)
        return bars(self, symbol, *bounds)

    def show(self: Simulated, day: date, part: str = "") -> pd.DataFrame:
        seen.append("snapshot")
        return snapshot(self, day, part)

    monkeypatch.setattr(Simulated, "daily_bars", daily_bars)
    monkeypatch.setattr(Simulated, "snapshot", show)
    return seen


def showing(monkeypatch: pytest.MonkeyPatch, change: Callable[[pd.DataFrame, date], pd.DataFrame]) -> None:
    """Let the snapshot show what ``change`` makes of it."""
    honest = Simulated.snapshot
    monkeypatch.setattr(
        Simulated, "snapshot", lambda self, day, part="": change(honest(self, day, part).reset_index(drop=True), day)
    )


def hash_of_one_import(day: date) -> str:
    forget_everything()
    import_at(day)
    return bars_hash()


def findings(task: ImportTask) -> list[str]:
    return [failure.reason for failure in Failure.objects.filter(task=task, finding=True)]


def facts() -> set[tuple[str, date, float]]:
    return set(CorporateAction.objects.values_list("stock__symbol", "ex_date", "cash_per_share"))


def adjusted(symbol: str) -> pd.DataFrame:
    return load_bars(symbol, adjust="qfq")


@pytest.mark.slow
@pytest.mark.usefixtures("larger_market")
def test_thirty_days_by_snapshot_are_one_import_at_the_end(asked: list[str]) -> None:
    import_at(FIRST)
    asked.clear()
    for day in days_between(FIRST, LAST)[1:]:
        task = update_at(day)
        assert (task.status, task.failed, findings(task)) == (Status.COMPLETED, 0, [])
        assert task.done + task.skipped == task.total
    days = len(days_between(FIRST, LAST)) - 1
    assert asked.count("snapshot") == days >= 30
    assert len(asked) < 8 * days, "probes, a new listing, and hardly anything else"
    by_day, actions = (
        bars_hash(),
        set(CorporateAction.objects.values_list("stock__symbol", "ex_date", "cash_per_share")),
    )
    paying = [symbol for symbol, ex_date, _cash in actions if FIRST < ex_date <= LAST]
    prices = {symbol: adjusted(symbol) for symbol in paying[:5]}
    assert len(paying) > 30
    assert Stock.objects.get(symbol="600069.SH").bar_count == len(days_between(date(2024, 5, 23), LAST))
    assert hash_of_one_import(LAST) == by_day
    assert facts() == actions
    for symbol, frame in prices.items():
        pd.testing.assert_frame_equal(adjusted(symbol), frame)


@pytest.mark.usefixtures("larger_market")
def test_a_day_is_one_snapshot_and_three_probes(asked: list[str]) -> None:
    import_at(date(2024, 6, 12))
    asked.clear()
    task = update_at(date(2024, 6, 13))
    assert asked[0] == "snapshot"
    assert len(asked) == 4
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert task.rows_written == task.done == Bar.objects.filter(date=date(2024, 6, 13)).count() > 100
    suspended = Stock.objects.filter(bar_count__gt=0, covered_until=date(2024, 6, 13)).exclude(
        last_bar=date(2024, 6, 13)
    )
    assert task.skipped >= suspended.count() > 0


def test_a_second_update_asks_for_nothing_and_changes_nothing(asked: list[str]) -> None:
    import_at(date(2024, 6, 12))
    update_at(date(2024, 6, 13))
    before = bars_hash()
    asked.clear()
    again = update_at(date(2024, 6, 13), time(20, 0))
    assert (again.status, again.rows_written, again.skipped) == (Status.COMPLETED, 0, again.total)
    assert (asked, bars_hash()) == ([], before)


def test_after_an_incomplete_day_the_next_update_asks_only_for_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    day = date(2024, 6, 13)
    import_at(date(2024, 6, 12))
    lost = set(Stock.objects.filter(last_bar=date(2024, 6, 12)).order_by("symbol").values_list("symbol", flat=True)[:4])
    with monkeypatch.context() as trouble:
        trouble.setattr("importer.snapshot_rows.FEW", 5)
        showing(trouble, lambda frame, day: frame[~frame["symbol"].isin(lost)])
        give = Simulated.daily_bars

        def refuse(self: Simulated, symbol: str, *bounds: date | None) -> pd.DataFrame:
            if symbol in lost:
                raise BadData(source="simulated", symbol=symbol, detail="lost")
            return give(self, symbol, *bounds)

        trouble.setattr(Simulated, "daily_bars", refuse)
        assert update_at(day).failed == len(lost)
    assert set(day_completeness(day).missing) == lost
    asked.clear()
    assert update_at(day, time(20, 0)).failed == 0
    assert set(asked) == lost
    assert day_completeness(day).figures.is_complete


@pytest.mark.usefixtures("larger_market")
def test_a_missed_week_is_caught_up_by_one_update_and_then_goes_on_by_snapshot(asked: list[str]) -> None:
    import_at(date(2024, 5, 20))
    caught_up = update_at(date(2024, 5, 28))
    assert (caught_up.status, caught_up.failed) == (Status.COMPLETED, 0)
    assert "snapshot" not in asked
    asked.clear()
    update_at(date(2024, 5, 29))
    assert asked.count("snapshot") == 1
    by_day = bars_hash()
    assert Stock.objects.get(symbol="600069.SH").bar_count == 5, "listed within the week"
    assert CorporateAction.objects.filter(ex_date__range=(date(2024, 5, 21), date(2024, 5, 28))).exists()
    assert hash_of_one_import(date(2024, 5, 29)) == by_day


@pytest.mark.parametrize(
    ("day", "moment"),
    [(date(2024, 6, 13), time(10, 0)), (date(2024, 6, 16), time(16, 30)), (date(2024, 6, 10), time(16, 30))],
    ids=["in the middle of trading", "on a Sunday", "on a holiday"],
)
def test_at_any_other_time_no_snapshot_is_taken(day: date, moment: time, asked: list[str]) -> None:
    before = date(2024, 6, 6)
    import_at(before)
    asked.clear()
    task = update_at(day, moment)
    assert task.status == Status.COMPLETED
    assert "snapshot" not in asked
    newest = max(each for each in days_between(before, day) if each < day)
    assert Bar.objects.order_by("-date").values_list("date", flat=True).first() == newest
    by_day = bars_hash()
    assert hash_of_one_import(newest) == by_day


def yesterday(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return Simulated(seed=1, stocks=STOCKS, newest=day)._snapshot(day - timedelta(days=1)).copy()


def first_rows_of_yesterday(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    old = yesterday(frame, day)
    return pd.concat([old[:60], frame[~frame["symbol"].isin(old[:60]["symbol"])]])


def half(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame[: len(frame) // 2]


def times_100(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame.assign(**{name: frame[name] * 100 for name in ("open", "high", "low", "close", "prev_close")})


def in_the_middle_of_trading(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame.assign(volume=np.floor(frame["volume"] / 2), amount=frame["amount"] / 2)


def before_the_opening(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame.assign(**dict.fromkeys(("open", "high", "low", "close", "volume", "amount"), np.nan))


def another_market(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    return frame.assign(**{name: (frame[name] * 2).round(2) for name in ("open", "high", "low", "close", "amount")})


@pytest.mark.parametrize(
    "change",
    [
        yesterday,
        first_rows_of_yesterday,
        half,
        times_100,
        in_the_middle_of_trading,
        before_the_opening,
        another_market,
    ],
)
def test_a_snapshot_that_is_not_the_finished_day_is_refused_and_stores_nothing_wrong(
    change: Callable[[pd.DataFrame, date], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_at(date(2024, 6, 12))
    showing(monkeypatch, change)
    task = update_at(date(2024, 6, 13))
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    said = findings(task)
    assert len(said) == 1
    assert "was not used" in said[0]
    assert not SnapshotPart.objects.exists(), "another update asks anew"
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def drop_five(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(index=[3, 50, 51, 80, 100])


def overlap(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame[60:90]])


def twice_and_different(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame[80:82].assign(close=frame["close"][80:82] + 0.01)])


def one_absurd_row(frame: pd.DataFrame) -> pd.DataFrame:
    changed = frame.copy()
    changed.loc[7, ["open", "high", "low", "close"]] *= 100
    return changed


@pytest.mark.parametrize("change", [drop_five, overlap, twice_and_different, one_absurd_row])
def test_what_the_pages_leave_open_is_fetched_by_itself(
    change: Callable[[pd.DataFrame], pd.DataFrame], monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    import_at(date(2024, 6, 12))
    asked.clear()
    if change is drop_five:
        monkeypatch.setattr("importer.snapshot_rows.FEW", 5)
    showing(monkeypatch, lambda frame, day: change(frame))
    task = update_at(date(2024, 6, 13))
    assert (task.status, task.failed, findings(task)) == (Status.COMPLETED, 0, [])
    assert asked.count("snapshot") == 1
    assert len(asked) < 15
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def test_an_ex_right_that_nothing_explains_is_listed_and_adjusted_prices_follow_the_exchange(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    paying, day = _a_stock_that_pays()
    import_at(day - timedelta(days=1))
    CorporateAction.objects.all().delete()
    monkeypatch.setattr(Simulated, "market_actions", lambda *_args, **_options: [])
    asked.clear()
    task = update_at(day)
    assert paying in asked, "its own history has to confirm the last close"
    assert any(reason.startswith(f"{paying}: ex-right without a known action") for reason in findings(task))
    assert paying in [each.symbol for each in ex_rights_without_action()]
    assert load_bars(paying, adjust="qfq").attrs["flags"][0]["flag"] == "ex_right_without_known_action"
    assert (task.status, task.failed) == (Status.COMPLETED, 0)


@pytest.mark.parametrize("off", [-3, 0, 3], ids=["derived too early", "right", "derived too late"])
def test_rights_are_confirmed_by_the_previous_close_whatever_day_was_derived(
    off: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbol, day = _a_stock_that_pays()
    import_at(day - timedelta(days=1))
    CorporateAction.objects.all().delete()
    with at(day):
        previous_close = Simulated(seed=1, stocks=STOCKS).snapshot(day).set_index("symbol").loc[symbol, "prev_close"]
    close = Bar.objects.filter(stock__symbol=symbol).order_by("-date").values_list("close", flat=True)[0]
    price = round((previous_close * 1.3 - close) / 0.3, 4)
    rights = Action(day + timedelta(days=off), rights_per_share=0.3, rights_price=price)
    monkeypatch.setattr(Simulated, "market_actions", lambda *_args, **_options: [ListedAction(symbol, rights)])
    task = update_at(day)
    stored = CorporateAction.objects.get(stock__symbol=symbol, rights_per_share__gt=0)
    assert (stored.ex_date, stored.rights_per_share, stored.previous_close) == (day, 0.3, previous_close)
    assert not any(reason.startswith(symbol) for reason in findings(task))
    assert load_bars(symbol, adjust="qfq").attrs["flags"] == []
    # The list goes on to show them for the day that was derived: they stay where the exchange confirmed them.
    problem = refresh_actions([Simulated(seed=1, stocks=STOCKS)], day - timedelta(days=20), today=day)
    assert problem is None
    assert CorporateAction.objects.filter(stock__symbol=symbol, rights_per_share__gt=0).count() == 1


def test_rights_that_do_not_explain_the_previous_close_stay_on_their_day(monkeypatch: pytest.MonkeyPatch) -> None:
    symbol, day = _a_stock_that_pays()
    import_at(day - timedelta(days=1))
    CorporateAction.objects.all().delete()
    rights = Action(day + timedelta(days=3), rights_per_share=0.3, rights_price=0.01)
    monkeypatch.setattr(Simulated, "market_actions", lambda *_args, **_options: [ListedAction(symbol, rights)])
    task = update_at(day)
    assert CorporateAction.objects.get(rights_per_share__gt=0).ex_date == rights.ex_date
    assert any(reason.startswith(f"{symbol}: ex-right without a known action") for reason in findings(task))


def test_an_ex_right_gets_its_action_and_the_exchanges_previous_close_as_its_proof() -> None:
    paying, day = _a_stock_that_pays()
    import_at(day - timedelta(days=1))
    assert not CorporateAction.objects.filter(ex_date__gte=day).exists()
    task = update_at(day)
    action = CorporateAction.objects.get(stock__symbol=paying, ex_date=day)
    assert action.cash_per_share > 0
    assert action.previous_close is not None
    assert (findings(task), ex_rights_without_action()) == ([], [])


def test_corporate_actions_that_cannot_be_had_are_a_finding_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> list[object]:
        raise Banned(source="simulated", detail="403")

    monkeypatch.setattr(Simulated, "market_actions", refuse)
    task = import_at(date(2024, 6, 12))
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert len(findings(task)) == 1
    assert "corporate actions" in findings(task)[0]


@pytest.mark.parametrize("named", [False, True])
def test_who_has_a_few_stocks_gets_their_corporate_actions_with_each_update(named: bool, settings: Any) -> None:
    settings.SIMULATED_STOCKS = 40
    import_at(date(2024, 5, 27))
    symbols = sorted(Stock.objects.filter(bar_count__gt=0).values_list("symbol", flat=True))
    for day in (date(2024, 5, 28), date(2024, 6, 4)):
        update_at(day, symbols=symbols if named else None)
    by_updates, prices = facts(), {symbol: adjusted(symbol) for symbol in symbols}
    hash_of_one_import(date(2024, 6, 4))
    assert by_updates == facts()
    assert {ex_date for _symbol, ex_date, _cash in by_updates} >= {date(2024, 5, 28), date(2024, 6, 3)}
    for symbol, frame in prices.items():
        pd.testing.assert_frame_equal(adjusted(symbol), frame)


def test_a_named_stock_without_bars_gets_its_corporate_actions_with_its_bars() -> None:
    import_at(date(2024, 5, 27), symbols=["600001.SH"])
    update_at(date(2024, 6, 4), symbols=["000003.SZ"])
    assert Stock.objects.get(symbol="000003.SZ").bar_count > 500
    assert ("000003.SZ", date(2024, 6, 3)) in {(symbol, ex_date) for symbol, ex_date, _cash in facts()}
    assert len(facts()) > 1


def test_an_update_that_lacks_nothing_asks_for_no_corporate_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    import_at(date(2024, 6, 12))
    monkeypatch.setattr(Simulated, "market_actions", lambda *_args, **_named: pytest.fail("asked for actions"))
    assert update_at(date(2024, 6, 12), time(20, 0), symbols=["600001.SH"]).status == Status.COMPLETED
    assert update_at(date(2024, 6, 12), time(20, 0)).status == Status.COMPLETED


def test_with_a_snapshot_that_is_refused_corporate_actions_are_fetched_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_at(date(2024, 5, 27))
    showing(monkeypatch, yesterday)
    assert "was not used" in findings(update_at(date(2024, 5, 28)))[0]
    assert date(2024, 5, 28) in {ex_date for _symbol, ex_date, _cash in facts()}


def test_a_stored_close_that_is_wrong_is_no_ex_right() -> None:
    import_at(date(2024, 6, 12))
    stock = Stock.objects.filter(last_bar=date(2024, 6, 12)).order_by("symbol")[10]
    Bar.objects.filter(stock=stock, date=date(2024, 6, 12)).update(close=1.23)
    update_at(date(2024, 6, 13))
    assert not CorporateAction.objects.filter(stock=stock, ex_date=date(2024, 6, 13)).exists()
    failure = Failure.objects.get(symbol=stock.symbol, finding=False)
    assert "disagrees with the stored bars" in failure.reason


def test_a_few_imported_stocks_stay_a_few(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    monkeypatch.setattr("importer.plan_update.WORTH_A_SNAPSHOT", 3)
    with at(date(2024, 6, 12)):
        symbols = [stock.symbol for stock in Simulated(seed=1, stocks=STOCKS).stocks()][:10]
    import_at(date(2024, 6, 12), symbols=symbols)
    asked.clear()
    update_at(date(2024, 6, 13))
    assert asked.count("snapshot") == 1
    assert Stock.objects.filter(bar_count__gt=0).count() <= 10


def test_parts_that_are_kept_are_not_asked_for_again_and_a_stopped_update_goes_on(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    def stop(*_args: object, **_options: object) -> object:
        stopping.request_stop()
        raise StopRequested

    import_at(date(2024, 6, 12))
    asked.clear()
    with monkeypatch.context() as patch:
        patch.setattr("importer.snapshot_taking.ask", stop)
        stopped = update_at(date(2024, 6, 13))
    assert (stopped.status, stopped.planned_at) == (Status.RUNNING, None)
    assert SnapshotPart.objects.count() == 1
    stopping.reset()
    finished = update_at(date(2024, 6, 13))
    assert (finished.pk, finished.status) == (stopped.pk, Status.COMPLETED)
    assert asked.count("snapshot") == 1
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def recode_stored(symbol: str, former: str) -> int:
    """Let a stock be stored under ``former``, as before its exchange gave it another code; return its id."""
    stock = Stock.objects.get(symbol=symbol)
    Stock.objects.filter(pk=stock.pk).update(symbol=former, code=former[:6])
    return stock.pk


def a_beijing_stock(day: date) -> Stock:
    stock = Stock.objects.filter(exchange="BJ", last_bar=day).order_by("symbol").first()
    assert stock is not None
    return stock


def test_a_stock_with_another_code_goes_on_in_its_row(asked: list[str]) -> None:
    import_at(date(2024, 6, 12))
    stock = a_beijing_stock(date(2024, 6, 12))
    recode_stored(stock.symbol, "873999.BJ")
    asked.clear()
    task = update_at(date(2024, 6, 13))
    assert (task.status, task.failed, findings(task)) == (Status.COMPLETED, 0, [])
    assert len(asked) == 4, "the snapshot tells by its name"
    now = Stock.objects.get(pk=stock.pk)
    assert (now.symbol, now.former_symbol, now.bar_count) == (stock.symbol, "873999.BJ", stock.bar_count + 1)
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def test_a_whole_exchange_with_other_codes_goes_on(asked: list[str]) -> None:
    import_at(date(2024, 6, 12))
    for number, symbol in enumerate(Stock.objects.filter(exchange="BJ").values_list("symbol", flat=True)):
        recode_stored(symbol, f"8739{number:02}.BJ")
    asked.clear()
    task = update_at(date(2024, 6, 13))
    assert (task.status, task.failed, findings(task)) == (Status.COMPLETED, 0, [])
    assert asked.count("snapshot") == 1
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def test_after_a_missed_week_the_list_tells_of_another_code() -> None:
    import_at(date(2024, 6, 6))
    stock = a_beijing_stock(date(2024, 6, 6))
    recode_stored(stock.symbol, "873999.BJ")
    task = update_at(date(2024, 6, 14))
    assert (task.status, task.failed) == (Status.COMPLETED, 0)
    assert Stock.objects.get(pk=stock.pk).former_symbol == "873999.BJ"
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 14)) == by_day


def test_renamed_stocks_get_their_new_name_and_marks_of_a_day_are_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    import_at(date(2024, 6, 12))
    first, second = Stock.objects.filter(last_bar=date(2024, 6, 12)).order_by("symbol")[10:12]
    names = {first.symbol: "新名字", second.symbol: "XD新名"}
    showing(
        monkeypatch,
        lambda frame, _day: frame.assign(name=frame["symbol"].map(names).fillna(frame["name"])),
    )
    update_at(date(2024, 6, 13))
    assert Stock.objects.get(pk=first.pk).name == "新名字"
    assert Stock.objects.get(pk=second.pk).name == second.name
    assert Stock.objects.filter(name="").count() == 0


@pytest.fixture
def planned_only(monkeypatch: pytest.MonkeyPatch) -> ImportTask:
    """Return an update of 2024-06-13 that was stopped as soon as it was planned."""

    def leave(_lane: Lane) -> bool:
        stopping.request_stop()
        return True

    import_at(date(2024, 6, 12))
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "has_to_leave", leave)
        stopped = update_at(date(2024, 6, 13))
    assert (stopped.status, stopped.done) == (Status.RUNNING, 0)
    assert stopped.planned_at is not None
    stopping.reset()
    return stopped


def test_an_update_that_waits_until_another_day_still_stores_the_day_that_it_was_planned_for(
    planned_only: ImportTask,
) -> None:
    with at(date(2024, 6, 14), time(9, 0)):
        finished = follow_inline(Submission(planned_only, existing=True))
    assert finished.status == Status.COMPLETED
    assert finished.rows_written == Bar.objects.filter(date=date(2024, 6, 13)).count() > 100
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def test_what_others_stored_since_the_plan_was_made_is_not_stored_again(planned_only: ImportTask) -> None:
    stored = list(Stock.objects.filter(last_bar=date(2024, 6, 12)).order_by("symbol")[:20])
    with at(date(2024, 6, 13), time(18, 0)):
        market = Simulated(seed=1, stocks=STOCKS)
        for stock in stored:
            frame = market.daily_bars(stock.symbol, date(2024, 6, 12), date(2024, 6, 13))
            store_bars(stock.pk, frame, source="files", simulated=True, covered=None)
        finished = follow_inline(Submission(planned_only, existing=True))
    assert finished.status == Status.COMPLETED
    day = Bar.objects.filter(date=date(2024, 6, 13))
    assert 0 < day.filter(source="files").count() <= 20
    assert finished.rows_written == day.exclude(source="files").count()
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def test_bars_that_were_deleted_since_the_plan_was_made_are_fetched_by_their_stock(planned_only: ImportTask) -> None:
    stock = Stock.objects.filter(last_bar=date(2024, 6, 12)).order_by("symbol")[5]
    delete_bars(stock.pk, date(2024, 6, 6), date(2024, 6, 12))
    with at(date(2024, 6, 13), time(18, 0)):
        finished = follow_inline(Submission(planned_only, existing=True))
    assert finished.status == Status.COMPLETED
    by_day = bars_hash()
    assert hash_of_one_import(date(2024, 6, 13)) == by_day


def _a_stock_that_pays() -> tuple[str, date]:
    """Return a stock with its ex-date in June 2024, of which the day before is a trading day."""
    with at(LAST):
        market = Simulated(seed=1, stocks=STOCKS)
        for each in market.market_actions(date(2024, 6, 12), today=LAST):
            day = each.action.ex_date
            if day.weekday() > 0 and days_between(day - timedelta(days=1), day)[0] < day:
                shown = market.snapshot(day).set_index("symbol").loc[each.symbol]
                if shown["volume"] > 0:
                    return each.symbol, day
    raise AssertionError("nobody pays")
