from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError

from marketdata.absences import absent_days, remember_absent
from marketdata.bars_table import read_bars
from marketdata.exceptions import MixedOrigins, UnknownStock
from marketdata.models import Bar, Stock
from marketdata.queries import ROWS_PER_INSERT
from marketdata.store import StoreResult, delete_bars, ensure_stocks, store_bars, verify_summaries
from tests.marketdata.bars import COVERED, bars, changed, weekdays

pytestmark = pytest.mark.django_db

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08"]


@pytest.fixture
def stock_id() -> int:
    return ensure_stocks(["600519.SH"])["600519.SH"]


def store(
    stock_id: int, frame: pd.DataFrame, source: str = "tdx", covered: tuple[date, date] | None = None
) -> StoreResult:
    return store_bars(stock_id, frame, source=source, simulated=False, covered=covered)


def stored(stock_id: int) -> pd.DataFrame:
    columns = ("date", "open", "high", "low", "close", "volume", "amount")
    frame = pd.DataFrame(Bar.objects.filter(stock=stock_id).order_by("date").values_list(*columns), columns=columns)
    return frame.assign(date=frame["date"].astype("datetime64[s]"))


def summary(stock_id: int) -> tuple[date | None, date | None, int]:
    stock = Stock.objects.get(pk=stock_id)
    return stock.first_bar, stock.last_bar, stock.bar_count


def coverage(stock_id: int) -> tuple[date | None, date | None]:
    stock = Stock.objects.get(pk=stock_id)
    return stock.covered_from, stock.covered_until


def test_new_bars_are_stored_as_they_came(stock_id: int) -> None:
    frame = bars(DAYS)
    assert store(stock_id, frame) == StoreResult(inserted=5, changed=0, unchanged=0)
    pd.testing.assert_frame_equal(stored(stock_id), frame)
    assert set(Bar.objects.values_list("source", flat=True)) == {"tdx"}
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 8), 5)


@pytest.mark.parametrize("count", [1, ROWS_PER_INSERT - 1, ROWS_PER_INSERT, 2 * ROWS_PER_INSERT + 1, 1000])
def test_any_number_of_bars_is_stored(stock_id: int, count: int) -> None:
    frame = bars(weekdays("2019-01-01", count))
    assert store(stock_id, frame).inserted == count
    pd.testing.assert_frame_equal(stored(stock_id), frame)


def test_an_identical_import_changes_nothing_and_says_so(stock_id: int) -> None:
    store(stock_id, bars(DAYS))
    before = stored(stock_id)
    assert store(stock_id, bars(DAYS)) == StoreResult(inserted=0, changed=0, unchanged=5)
    pd.testing.assert_frame_equal(stored(stock_id), before)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "amount"])
def test_a_bar_that_differs_in_any_value_is_replaced_with_its_source(stock_id: int, column: str) -> None:
    store(stock_id, bars(DAYS))
    frame = changed(bars(DAYS), 2, column, 1)
    assert store(stock_id, frame, source="sina") == StoreResult(inserted=0, changed=1, unchanged=4)
    pd.testing.assert_frame_equal(stored(stock_id), frame)
    assert list(Bar.objects.order_by("date").values_list("source", flat=True)) == ["tdx", "tdx", "sina", "tdx", "tdx"]


def test_a_difference_of_the_last_bit_is_a_change(stock_id: int) -> None:
    store(stock_id, bars(DAYS))
    assert store(stock_id, changed(bars(DAYS), 0, "close", 1e-14)).changed == 1


def test_equal_values_from_another_source_keep_the_name_of_the_first(stock_id: int) -> None:
    store(stock_id, bars(DAYS))
    assert store(stock_id, bars(DAYS), source="sina").unchanged == 5
    assert set(Bar.objects.values_list("source", flat=True)) == {"tdx"}


def test_new_changed_and_equal_bars_in_one_frame_are_counted_each(stock_id: int) -> None:
    store(stock_id, bars(DAYS[1:4]))
    frame = changed(bars(DAYS), 3, "close", 0.01)
    assert store(stock_id, frame) == StoreResult(inserted=2, changed=1, unchanged=2)
    pd.testing.assert_frame_equal(stored(stock_id), frame)
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 8), 5)


def test_bars_before_and_after_the_stored_ones_extend_the_summary(stock_id: int) -> None:
    store(stock_id, bars(DAYS[2:3]))
    store(stock_id, bars(DAYS[:1]))
    store(stock_id, bars(DAYS[4:]))
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 8), 3)


def test_a_stock_does_not_touch_another_ones_bars(stock_id: int) -> None:
    other = ensure_stocks(["000001.SZ"])["000001.SZ"]
    store(stock_id, bars(DAYS, seed=1))
    store(other, bars(DAYS, seed=2))
    pd.testing.assert_frame_equal(stored(stock_id), bars(DAYS, seed=1))
    pd.testing.assert_frame_equal(stored(other), bars(DAYS, seed=2))


def test_a_stock_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownStock, match="#4711"):
        store(4711, bars(DAYS))


@pytest.mark.parametrize(
    "frame",
    [
        bars([DAYS[1], DAYS[0]]),
        bars([DAYS[0], DAYS[0]]),
        bars(DAYS).assign(close=[1.0, 2.0, float("nan"), 3.0, 4.0]),
        bars(DAYS).assign(amount=[1.0, 2.0, float("inf"), 3.0, 4.0]),
        bars(DAYS).assign(volume=[1.0, 2.0, 2.5, 3.0, 4.0]),
        bars(DAYS).assign(volume=[1.0, 2.0, float("nan"), 3.0, 4.0]),
        bars(DAYS).assign(date=[*pd.to_datetime(DAYS[:4]), pd.NaT]),
        bars(DAYS[:1]).assign(date=pd.NaT),
    ],
    ids=["unsorted", "a day twice", "nan", "infinite", "half a share", "no volume", "no last date", "no date"],
)
def test_a_frame_that_no_validated_source_delivers_is_refused(stock_id: int, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="bar"):
        store(stock_id, frame)
    assert not Bar.objects.exists()


def test_a_volume_that_came_as_whole_floats_is_taken(stock_id: int) -> None:
    store(stock_id, bars(DAYS).assign(volume=[1.0, 2.0, 3.0, 4.0, 5.0]))
    assert list(stored(stock_id)["volume"]) == [1, 2, 3, 4, 5]


def test_bars_of_the_other_origin_are_refused_and_change_nothing(stock_id: int) -> None:
    store(stock_id, bars(DAYS[:2]))
    with pytest.raises(MixedOrigins):
        store_bars(stock_id, bars(DAYS), source="simulated", simulated=True, covered=COVERED)
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 3), 2)
    assert coverage(stock_id) == (None, None)


def test_an_empty_answer_records_what_was_asked_for(stock_id: int) -> None:
    assert store(stock_id, pd.DataFrame(), covered=COVERED) == StoreResult(0, 0, 0)
    assert coverage(stock_id) == COVERED
    assert summary(stock_id) == (None, None, 0)


def test_bars_without_a_covered_range_leave_the_coverage_alone(stock_id: int) -> None:
    store(stock_id, bars(DAYS), covered=COVERED)
    store(stock_id, bars(["2025-01-06"]))
    assert coverage(stock_id) == COVERED


def test_a_range_that_starts_on_the_next_trading_day_extends_the_coverage(stock_id: int) -> None:
    store(stock_id, bars([]), covered=(date(2024, 9, 2), date(2024, 9, 30)))
    store(stock_id, bars([]), covered=(date(2024, 10, 8), date(2024, 10, 9)))  # after the October holidays
    assert coverage(stock_id) == (date(2024, 9, 2), date(2024, 10, 9))


def test_an_outer_transaction_that_is_rolled_back_leaves_bars_and_summary_alone(stock_id: int) -> None:
    store(stock_id, bars(DAYS[:2]), covered=(date(2024, 1, 2), date(2024, 1, 3)))

    class GivesUp(Exception):
        pass

    def store_and_give_up() -> None:
        with transaction.atomic():
            store(stock_id, changed(bars(DAYS), 0, "close", 1), covered=COVERED)
            raise GivesUp

    with pytest.raises(GivesUp):
        store_and_give_up()
    pd.testing.assert_frame_equal(stored(stock_id), bars(DAYS[:2]))
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 3), 2)
    assert coverage(stock_id) == (date(2024, 1, 2), date(2024, 1, 3))


def test_a_refused_frame_leaves_an_outer_transaction_usable(stock_id: int) -> None:
    store(stock_id, bars(DAYS[:1]))
    with transaction.atomic():
        with pytest.raises(MixedOrigins):
            store_bars(stock_id, bars(DAYS), source="simulated", simulated=True, covered=None)
        assert store(stock_id, bars(DAYS)).inserted == 4
    assert summary(stock_id)[2] == 5


def test_a_write_that_fails_half_way_fails_the_outer_transaction_too(stock_id: int) -> None:
    store(stock_id, bars(DAYS[:1]))

    def write_and_go_on() -> None:
        with transaction.atomic():
            # The bar that differs is deleted, then none can be inserted: a bar has a source.
            with pytest.raises((IntegrityError, AttributeError)):
                store(stock_id, changed(bars(DAYS), 0, "close", 1), source=None)
            store(stock_id, bars(DAYS))

    with pytest.raises(TransactionManagementError):
        write_and_go_on()
    pd.testing.assert_frame_equal(stored(stock_id), bars(DAYS[:1]))


def test_two_stocks_and_the_same_stock_twice_fit_into_one_transaction(stock_id: int) -> None:
    other = ensure_stocks(["000001.SZ"])["000001.SZ"]
    with transaction.atomic():
        assert store(stock_id, bars(DAYS[:3])).inserted == 3
        assert store(other, bars(DAYS)).inserted == 5
        assert store(stock_id, bars(DAYS)) == StoreResult(inserted=2, changed=0, unchanged=3)
    assert verify_summaries() == []


def test_a_stock_with_a_wrong_summary_is_right_after_the_next_write(stock_id: int) -> None:
    store(stock_id, bars(DAYS))
    Bar.objects.filter(date="2024-01-08").delete()
    assert store(stock_id, bars(DAYS[:1])).unchanged == 1
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 5), 4)


def test_deleted_bars_leave_an_exact_summary_and_are_no_longer_covered(stock_id: int) -> None:
    store(stock_id, bars(DAYS), covered=(date(2024, 1, 2), date(2024, 1, 8)))
    assert delete_bars(stock_id, date(2024, 1, 5), date(2024, 1, 31)) == 2
    assert summary(stock_id) == (date(2024, 1, 2), date(2024, 1, 4), 3)
    assert coverage(stock_id) == (date(2024, 1, 2), date(2024, 1, 4))
    assert len(read_bars(stock_id)) == 3


def test_all_bars_of_a_stock_are_deleted_when_no_bound_is_given(stock_id: int) -> None:
    other = ensure_stocks(["000001.SZ"])["000001.SZ"]
    store(stock_id, bars(DAYS), covered=COVERED)
    store(other, bars(DAYS))
    assert delete_bars(stock_id) == 5
    assert summary(stock_id) == (None, None, 0)
    assert coverage(stock_id) == (None, None)
    assert summary(other)[2] == 5


def test_deleting_bars_of_a_stock_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UnknownStock):
        delete_bars(4711)


def test_deleting_bars_forgets_which_days_had_none(stock_id: int) -> None:
    remember_absent(stock_id, [date(2024, 1, 2), date(2024, 2, 1)], source="tdx")
    delete_bars(stock_id, date(2024, 1, 1), date(2024, 1, 31))
    assert absent_days(stock_id, date(2024, 1, 1), date(2024, 12, 31)) == {date(2024, 2, 1)}
