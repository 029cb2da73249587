"""What an import will take: from what is known of each stock, at the pace of the source that will be asked."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from importer import estimate as estimating
from importer.dbtime import db_now
from importer.estimate import NotEnoughSpace, check_space, estimate, fits
from importer.models import Breaker, Kind, SourceState, Status
from importer.sizing import DayCounter, UnknownStockFacts, size_of
from importer.status import Space
from importer.task_requests import TaskRequest
from marketdata.models import Stock
from marketdata.trading_days import EXCHANGE_TIME, known_calendar
from tests.importer.factories import make_task

START, END = date(2024, 1, 1), date(2024, 1, 31)
# Every weekday, as long as nobody knows better.
WEEKDAYS = [date(2024, 1, 1) + timedelta(days=number) for number in range(31) if number % 7 < 5]
COUNTER = DayCounter(WEEKDAYS, END)
MEGABYTE = 1_000_000


def asked(kind: Kind = Kind.IMPORT, **values: Any) -> TaskRequest:
    usual = {"start": START, "end": END, "symbols": None, "source": "eastmoney"}
    return TaskRequest(kind=kind, **{**usual, **values})


def facts(first: date | None = None, last: date | None = None, **values: Any) -> UnknownStockFacts:
    count = COUNTER.count(first, last) if first and last else 0
    known = {"first_bar": first, "last_bar": last, "covered_from": first, "covered_until": last, "bar_count": count}
    return UnknownStockFacts(**{**known, **values})


def stock(symbol: str, **values: Any) -> Stock:
    code, exchange = symbol.split(".")
    return Stock.objects.create(symbol=symbol, code=code, exchange=exchange, **values)


def test_of_an_unknown_stock_every_trading_day_is_to_come() -> None:
    size = size_of(asked(), [facts(), facts()], COUNTER)
    assert (size.stocks, size.skipped, size.fetched, size.new, size.years) == (2, 0, 46, 46, 2)


def test_a_stock_that_is_known_for_the_whole_range_needs_nothing() -> None:
    size = size_of(asked(), [facts(START, END)], COUNTER)
    assert (size.stocks, size.skipped, size.new) == (0, 1, 0)


def test_of_a_stock_that_is_known_in_part_the_rest_is_to_come() -> None:
    size = size_of(asked(), [facts(START, date(2024, 1, 19))], COUNTER)
    assert (size.stocks, size.new) == (1, 8)


def test_fetching_again_takes_requests_and_no_room() -> None:
    size = size_of(asked(refresh=True), [facts(START, END)], COUNTER)
    assert (size.stocks, size.fetched, size.new) == (1, 23, 0)


def test_a_stock_that_was_not_listed_yet_needs_nothing() -> None:
    later = facts(listed_on=date(2024, 2, 1))
    assert size_of(asked(), [later], COUNTER).skipped == 1


def test_an_update_asks_for_what_is_newer_than_the_newest_bar() -> None:
    size = size_of(asked(Kind.UPDATE, start=None), [facts(START, date(2024, 1, 30)), facts(START, END)], COUNTER)
    assert (size.stocks, size.skipped, size.new) == (1, 1, 1)


def test_a_repair_asks_where_a_stock_has_less_than_the_calendar() -> None:
    holed = facts(START, END, bar_count=20)
    size = size_of(asked(Kind.REPAIR, start=None), [holed, facts(START, END), facts()], COUNTER)
    assert (size.stocks, size.skipped) == (1, 2)


@given(st.dates(date(2023, 12, 1), date(2024, 6, 1)), st.dates(date(2023, 12, 1), date(2024, 6, 1)))
def test_counting_days_adds_up(first: date, second: date) -> None:
    start, end = min(first, second), max(first, second)
    assert COUNTER.count(end, start - timedelta(days=1)) == 0
    middle = start + (end - start) // 2
    halves = COUNTER.count(start, middle) + COUNTER.count(middle + timedelta(days=1), end)
    assert abs(halves - COUNTER.count(start, end)) <= 1


def test_the_counter_agrees_with_the_calendar() -> None:
    calendar = known_calendar_without_database()
    counter = DayCounter(calendar.days, calendar.known_until)
    for start, end in ((date(2021, 1, 1), date(2024, 12, 25)), (date(2024, 2, 9), date(2024, 2, 18))):
        assert counter.count(start, end) == len(calendar.between(start, end).days)


def known_calendar_without_database() -> Any:
    from marketdata.trading_days import installed_calendar

    return installed_calendar()


@pytest.mark.parametrize(
    ("needed", "free", "fitting"),
    [
        (0, 0, True),
        (1, 100 * MEGABYTE, False),
        (MEGABYTE, 201 * MEGABYTE, True),
        (MEGABYTE, 200 * MEGABYTE, False),
        (10**15, None, True),
    ],
)
def test_room_is_left_for_everything_else(needed: int, free: int | None, fitting: bool) -> None:
    assert fits(needed, free) is fitting


@pytest.mark.django_db
def test_an_empty_database_is_estimated_for_all_stocks(settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    found = estimate(asked(start=date(2021, 1, 1), end=date(2024, 12, 25)))
    assert (found.stocks, found.requests, found.skipped) == (5400, 5400, 0)
    assert found.seconds == pytest.approx(5400 * 0.2)
    assert found.bytes_needed == found.bars * 120
    assert 5_000_000 < found.bars < 5400 * 970
    assert len(known_calendar().days) > 8000


@pytest.mark.django_db
def test_the_time_follows_the_pace_and_the_rest_of_the_source(settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    now = db_now()
    request = asked(symbols=tuple(f"60{number:04}.SH" for number in range(100)))
    SourceState.objects.create(source="eastmoney", interval=1.0)
    assert estimate(request, now).seconds == pytest.approx(100.0)
    SourceState.objects.update(breaker=Breaker.OPEN, open_until=now + timedelta(seconds=300))
    assert estimate(request, now).seconds == pytest.approx(400.0, abs=2)


@pytest.mark.django_db
def test_auto_is_estimated_with_the_first_source_that_does_not_rest(settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    settings.AUTO_ORDER = ["eastmoney", "tencent"]
    SourceState.objects.create(
        source="eastmoney", breaker=Breaker.OPEN, open_until=db_now() + timedelta(seconds=300), interval=9.0
    )
    found = estimate(asked(source="auto", symbols=("600001.SH",), start=date(2021, 1, 1)))
    # Tencent sends a year at a time, and says in another answer when the stock begins.
    assert found.requests == 5
    assert found.seconds == pytest.approx(1.0)


@pytest.mark.django_db
def test_a_source_without_a_pace_is_as_fast_as_it_was(settings: Settings) -> None:
    settings.SIMULATED_LATENCY = 0.0
    request = asked(source="simulated", symbols=tuple(f"60{number:04}.SH" for number in range(600)))
    assert estimate(request).seconds == pytest.approx(600 / estimating.STOCKS_PER_SECOND)
    now = db_now()
    make_task(
        status=Status.COMPLETED, done=1000, started_at=now - timedelta(seconds=10), finished_at=now,
        parameters={"source": "simulated"},
    )  # fmt: skip
    assert estimate(request).seconds == pytest.approx(6.0)


@pytest.mark.django_db
def test_stored_stocks_are_looked_at_one_by_one() -> None:
    stock("600001.SH", first_bar=START, last_bar=END, covered_from=START, covered_until=END, bar_count=22)
    stock("600002.SH", listed_on=date(2024, 3, 1))
    stock("600003.SH")
    found = estimate(asked())
    assert (found.stocks, found.skipped) == (1, 2)


@pytest.fixture
def vipdoc(tmp_path: Path) -> Path:
    folder = tmp_path / "vipdoc" / "sh" / "lday"
    folder.mkdir(parents=True)
    for name in ("sh600001", "sh600002"):
        (folder / f"{name}.day").write_bytes(bytes(32 * 1000))
    # An index and a fund lie beside them.
    for name in ("sh000001", "sh510300"):
        (folder / f"{name}.day").write_bytes(bytes(32 * 5000))
    return tmp_path / "vipdoc"


@pytest.mark.django_db
def test_files_tell_by_their_size(vipdoc: Path) -> None:
    found = estimate(asked(source="tdx", path=str(vipdoc), start=None))
    assert (found.stocks, found.bars, found.requests) == (2, 2000, 0)
    one = estimate(asked(source="tdx", path=str(vipdoc), start=None, symbols=("600001.SH",)))
    assert (one.stocks, one.bars) == (1, 1000)


@pytest.mark.django_db
def test_files_that_are_stored_already_need_no_room(vipdoc: Path) -> None:
    for symbol in ("600001.SH", "600002.SH"):
        stock(symbol, bar_count=1000)
    found = estimate(asked(source="tdx", path=str(vipdoc), start=None))
    assert (found.bars, found.bytes_needed) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(("free", "refused"), [(201 * MEGABYTE, True), (10_000 * MEGABYTE, False), (None, False)])
def test_too_little_room_is_refused_with_the_figures(
    monkeypatch: pytest.MonkeyPatch, free: int | None, refused: bool
) -> None:
    monkeypatch.setattr(estimating, "space", lambda: Space(used=MEGABYTE, free=free))
    request = asked(start=date(2021, 1, 1), end=date(2024, 12, 25))
    if not refused:
        check_space(request)
        return
    with pytest.raises(NotEnoughSpace) as refusal:
        check_space(request)
    assert "0.2 GB are free" in str(refusal.value)


@pytest.mark.django_db
def test_a_full_disk_does_not_hold_up_what_writes_nothing(monkeypatch: pytest.MonkeyPatch, vipdoc: Path) -> None:
    monkeypatch.setattr(estimating, "space", lambda: Space(used=MEGABYTE, free=0))
    stock("600001.SH", first_bar=START, last_bar=END, covered_from=START, covered_until=END, bar_count=22)
    check_space(asked(symbols=("600001.SH",)))
    check_space(asked(refresh=True, symbols=("600001.SH",)))
    with pytest.raises(NotEnoughSpace):
        check_space(asked(source="tdx", path=str(vipdoc), start=None))


EVENING = datetime(2024, 6, 13, 17, 0, tzinfo=EXCHANGE_TIME)
TODAY, YESTERDAY, LAST_WEEK = date(2024, 6, 13), date(2024, 6, 12), date(2024, 6, 6)


def market(count: int, last: date, *, first_code: int = 600000) -> None:
    Stock.objects.bulk_create(
        Stock(
            symbol=f"{first_code + number}.SH", code=f"{first_code + number}", exchange="SH", bar_count=100,
            first_bar=date(2024, 1, 2), last_bar=last, covered_from=date(2024, 1, 2), covered_until=last,
        )
        for number in range(count)
    )  # fmt: skip


def update_of_the_day(**values: Any) -> TaskRequest:
    return asked(Kind.UPDATE, **{"start": None, "end": TODAY, **values})


@pytest.mark.django_db
def test_an_update_by_snapshot_is_its_pages_the_probes_and_what_it_leaves_open(settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    market(5400, YESTERDAY)
    market(10, LAST_WEEK, first_code=688000)
    found = estimate(update_of_the_day(), EVENING)
    assert (found.stocks, found.requests) == (5410, 55 + 3 + 27 + 10)
    # AKShare sleeps a second before each page.
    assert found.seconds == pytest.approx(55 * 1.2 + 40 * 0.2)
    assert found.bars >= 5410


@pytest.mark.django_db
def test_while_eastmoney_rests_an_update_is_estimated_by_sinas_pages(settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    settings.AUTO_ORDER = ["eastmoney", "sina"]
    market(800, YESTERDAY)
    SourceState.objects.create(
        source="eastmoney", breaker=Breaker.OPEN, open_until=db_now() + timedelta(seconds=300), interval=0.2
    )
    found = estimate(update_of_the_day(source="auto"), EVENING)
    assert found.requests == 10 + 3 + 4
    assert found.seconds == pytest.approx(17 * 0.2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("count", "last", "moment", "values"),
    [
        (50, YESTERDAY, EVENING, {}),
        (500, LAST_WEEK, EVENING, {}),
        (500, YESTERDAY, EVENING.replace(hour=15), {}),
        (500, YESTERDAY, EVENING + timedelta(days=1), {}),
        (500, YESTERDAY, EVENING, {"source": "tencent"}),
        (500, YESTERDAY, EVENING, {"refresh": True}),
    ],
    ids=["few stocks", "a missed week", "before 16:00", "another day", "a source without a snapshot", "refresh"],
)
def test_otherwise_an_update_is_a_request_for_each_stock(
    count: int, last: date, moment: datetime, values: dict[str, Any]
) -> None:
    market(count, last)
    assert estimate(update_of_the_day(**values), moment).requests >= count
