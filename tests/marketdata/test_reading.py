from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketdata.exceptions import BadSymbol, IncompleteDay, UnknownStock
from marketdata.queries import READ_PANEL_SQLITE
from marketdata.reading import load_bars, load_day, load_panel, read_bars
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
MOUTAI, BANK = bars(DAYS, seed=1), bars([*DAYS[1:], "2024-01-05"], seed=2)


@pytest.fixture
def ids() -> dict[str, int]:
    """Two stocks with bars, the second one stored first, and one without any."""
    found = ensure_stocks(["600519.SH", "000001.SZ", "300750.SZ"])
    store_bars(found["600519.SH"], MOUTAI, source="tdx", simulated=False, covered=None)
    store_bars(found["000001.SZ"], BANK, source="tdx", simulated=False, covered=None)
    return found


def test_bars_are_read_as_a_source_delivers_them(ids: dict[str, int]) -> None:
    frame = read_bars(ids["600519.SH"])
    pd.testing.assert_frame_equal(frame, MOUTAI.assign(date=MOUTAI["date"].astype("datetime64[us]")))


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (None, None, 3),
        (date(2024, 1, 3), None, 2),
        (None, date(2024, 1, 3), 2),
        (date(2024, 1, 3), date(2024, 1, 3), 1),
        (date(2024, 1, 5), None, 0),
        (date(2024, 1, 4), date(2024, 1, 2), 0),
    ],
)
def test_a_range_holds_its_first_and_its_last_day(ids: dict[str, int], start, end, count: int) -> None:
    assert len(read_bars(ids["600519.SH"], start, end)) == count
    assert len(load_bars("600519", start, end)) == count
    assert len(load_panel("600519", start, end)) == count


@pytest.mark.usefixtures("ids")
def test_bars_of_a_stock_are_typed_and_indexed_by_date() -> None:
    frame = load_bars("sh600519")
    assert frame.index.name == "date"
    assert frame.index.dtype == pd.to_datetime(DAYS).dtype
    assert dict(frame.dtypes.astype(str)) == {
        "open": "float64",
        "high": "float64",
        "low": "float64",
        "close": "float64",
        "volume": "int64",
        "amount": "float64",
    }
    assert frame.attrs == {"symbol": "600519.SH", "adjust": "none"}
    pd.testing.assert_frame_equal(frame, MOUTAI.set_index("date"), check_index_type=False)


@pytest.mark.usefixtures("ids")
def test_a_frame_without_bars_has_the_same_types() -> None:
    full, none = load_bars("600519"), load_bars("300750")
    assert none.empty
    assert list(none.dtypes) == list(full.dtypes)
    assert none.index.dtype == full.index.dtype


@pytest.mark.usefixtures("ids")
def test_a_loaded_frame_may_be_changed() -> None:
    frame = load_bars("600519")
    frame.loc["2024-01-03", "close"] = 1.0
    frame["volume"] *= 2
    panel = load_panel()
    panel.iloc[0, 0] = 1.0
    assert load_bars("600519").loc["2024-01-03", "close"] == MOUTAI["close"][1]


@pytest.mark.usefixtures("ids")
def test_bounds_may_be_texts_and_times() -> None:
    assert len(load_bars("600519", "2024-01-03", "2024-01-03")) == 1
    assert len(load_bars("600519", datetime(2024, 1, 3, 15), pd.Timestamp("2024-01-03"))) == 1
    assert len(load_bars("600519", np.datetime64("2024-01-03"), "20240103")) == 1


@pytest.mark.usefixtures("ids")
def test_a_day_may_be_taken_from_the_index_of_a_frame() -> None:
    frame = load_bars("600519")
    assert list(load_day(frame.index[-1]).index) == ["000001.SZ", "600519.SH"]
    assert load_day(frame.index.to_numpy()[-1]).attrs["date"] == "2024-01-04"


@pytest.mark.parametrize("given", ["2024-1-2", "today"])
def test_a_text_that_is_no_day_is_refused_with_the_way_to_write_one(given: str) -> None:
    for read in (lambda: load_bars("600519", given), lambda: load_panel(end=given), lambda: load_day(given)):
        with pytest.raises(ValueError, match=f"'{given}' is not a day: write it as '2024-01-31'"):
            read()


def test_a_number_is_neither_a_day_nor_a_symbol() -> None:
    with pytest.raises(TypeError, match="a day is a date or a text such as '2024-01-31', not 20240102"):
        load_day(20240102)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a symbol is a text such as '600519' or '000001\.SZ', not 1 "):
        load_panel([1])  # type: ignore[list-item]


@pytest.mark.usefixtures("ids")
def test_a_stock_that_is_not_stored_is_named() -> None:
    with pytest.raises(UnknownStock, match=r"000002\.SZ"):
        load_bars("000002")
    with pytest.raises(UnknownStock, match=r"000002\.SZ"):
        load_panel(["600519", "000002"])


def test_a_symbol_that_is_none_is_refused() -> None:
    with pytest.raises(BadSymbol):
        load_bars("sh000001")


def test_a_panel_has_a_row_per_date_and_a_column_per_stock(ids: dict[str, int]) -> None:
    panel = load_panel()
    assert list(panel.columns) == ["000001.SZ", "600519.SH"]
    assert [str(day.date()) for day in panel.index] == [*DAYS, "2024-01-05"]
    assert panel.index.name == "date"
    expected_bank = [np.nan, *BANK["close"]]
    np.testing.assert_array_equal(panel["000001.SZ"], expected_bank)
    np.testing.assert_array_equal(panel["600519.SH"], [*MOUTAI["close"], np.nan])
    assert load_panel(["600519", "300750"])["300750.SZ"].isna().all()


@pytest.mark.usefixtures("ids")
def test_a_panel_keeps_the_order_asked_for() -> None:
    assert list(load_panel("600519, 000001").columns) == ["600519.SH", "000001.SZ"]


@pytest.mark.usefixtures("ids")
def test_a_panel_of_several_fields_has_columns_by_field_and_stock() -> None:
    panel = load_panel(fields=["close", "volume"])
    assert panel.columns.names == ["field", "symbol"]
    assert panel[("close", "600519.SH")].iloc[0] == MOUTAI["close"][0]
    assert panel[("volume", "000001.SZ")].iloc[3] == BANK["volume"][2]
    pd.testing.assert_frame_equal(panel["close"], load_panel(fields="close"))


@pytest.mark.usefixtures("ids")
def test_a_long_panel_has_a_row_per_bar_by_stock_and_date() -> None:
    panel = load_panel(["600519", "000001"], fields=["volume", "close"], layout="long")
    assert list(panel.columns) == ["date", "symbol", "volume", "close"]
    assert panel["symbol"].tolist() == ["600519.SH"] * 3 + ["000001.SZ"] * 3
    assert panel["volume"].tolist() == [*MOUTAI["volume"], *BANK["volume"]]
    assert panel["close"].tolist() == [*MOUTAI["close"], *BANK["close"]]
    assert panel["date"].tolist() == [*MOUTAI["date"], *BANK["date"]]
    assert panel["volume"].dtype == np.int64


@pytest.mark.parametrize("layout", ["wide", "long"])
def test_a_panel_without_any_bar_is_empty(layout) -> None:
    assert load_panel(layout=layout).empty
    ensure_stocks(["600519.SH"])
    assert len(load_panel("600519", layout=layout)) == 0


@pytest.mark.parametrize("fields", ["price", ["close", "price"], [], "close; DROP TABLE marketdata_bar"])
def test_a_field_that_does_not_exist_is_refused(fields) -> None:
    with pytest.raises(ValueError, match="fields are among"):
        load_panel(fields=fields)


def test_a_layout_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="layout"):
        load_panel(layout="tall")


def test_a_day_of_the_whole_market_is_sought_stock_by_stock() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by the table's size.")
    statement = "EXPLAIN QUERY PLAN " + READ_PANEL_SQLITE.format(fields=", close")
    plan = connection.connection.execute(statement, ("[1,2]", "2024-01-02", "2024-01-02")).fetchall()
    assert any("SEARCH marketdata_bar" in row[3] and "stock_id=? AND date>? AND date<?" in row[3] for row in plan)


@pytest.mark.usefixtures("ids")
def test_one_stock_is_read_with_one_look_at_the_stock() -> None:
    # The bars are read from the driver's own connection, which is not counted.
    with CaptureQueriesContext(connection) as queries:
        load_bars("600519")
    assert len(queries) == 1


@pytest.mark.usefixtures("ids")
def test_a_day_has_a_row_for_each_stock_that_traded() -> None:
    day = load_day("2024-01-03")
    assert list(day.index) == ["000001.SZ", "600519.SH"]
    assert dict(day.dtypes.astype(str)) == {**dict.fromkeys(day.columns, "float64"), "volume": "int64"}
    assert day.attrs == {
        "date": "2024-01-03", "adjust": "none", "complete": True,
        "expected": 2, "present": 2, "missing": 0, "suspended": 0, "index": "unknown",
    }  # fmt: skip
    assert day.loc["600519.SH"].tolist() == load_bars("600519", "2024-01-03", "2024-01-03").iloc[0].tolist()
    assert list(load_day(date(2024, 1, 2)).index) == ["600519.SH"]
    assert list(load_day("2024-01-03", "600519").index) == ["600519.SH"]


@pytest.mark.usefixtures("ids")
def test_a_day_that_lacks_bars_is_marked_or_refused() -> None:
    marked = load_day("2024-01-05")
    assert (list(marked.index), marked.attrs["complete"], marked.attrs["missing"]) == (["000001.SZ"], False, 1)
    assert load_day("2024-01-05", "000001", incomplete="refuse").attrs["complete"]
    with pytest.raises(IncompleteDay, match="2 expected, 1 there, 1 missing"):
        load_day("2024-01-05", incomplete="refuse")
    with pytest.raises(ValueError, match="mark or refuse"):
        load_day("2024-01-05", incomplete="ignore")  # type: ignore[arg-type]


@pytest.mark.usefixtures("ids")
def test_a_day_without_bars_is_an_empty_frame_with_the_same_types() -> None:
    empty = load_day("2024-01-06")
    assert (len(empty), str(empty["volume"].dtype)) == (0, "int64")
