from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketdata.exceptions import BadSymbol, MixedOrigins
from marketdata.models import Stock
from marketdata.origin import current_origin
from marketdata.store import ListingResult, ensure_stocks, save_listing, store_bars
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Listed:
    symbol: str
    name: str = ""
    board: str = ""
    listed_on: date | None = None
    delisted_on: date | None = None


MOUTAI = Listed("600519.SH", "贵州茅台", "main", date(2001, 8, 27))
WHOLE_MARKET = [Listed(f"60{number:04d}.SH", f"stock {number}") for number in range(5400)]


def save(*listed: Listed) -> ListingResult:
    return save_listing(listed, simulated=False)


def test_a_stock_that_is_not_known_is_added_with_all_that_the_source_says() -> None:
    assert save(MOUTAI) == ListingResult(added=1, changed=0)
    stock = Stock.objects.get(symbol="600519.SH")
    assert (stock.code, stock.exchange, stock.name) == ("600519", "SH", "贵州茅台")
    assert (stock.board, stock.listed_on, stock.delisted_on) == ("main", date(2001, 8, 27), None)
    assert (stock.first_bar, stock.bar_count) == (None, 0)


def test_the_same_listing_again_changes_nothing() -> None:
    save(MOUTAI)
    assert save(MOUTAI) == ListingResult(added=0, changed=0)


def test_a_renamed_and_a_delisted_stock_are_brought_up_to_date() -> None:
    save(MOUTAI, Listed("000001.SZ", "平安银行"))
    result = save(Listed("600519.SH", "*ST茅台"), Listed("000001.SZ", delisted_on=date(2030, 1, 1)))
    assert result == ListingResult(added=0, changed=2)
    assert Stock.objects.get(symbol="600519.SH").name == "*ST茅台"
    assert Stock.objects.get(symbol="000001.SZ").delisted_on == date(2030, 1, 1)


def test_the_name_of_an_ex_date_which_may_be_cut_off_replaces_none() -> None:
    save(MOUTAI)
    assert save(Listed("600519.SH", "XD贵州茅")) == ListingResult(added=0, changed=0)
    assert Stock.objects.get(symbol="600519.SH").name == "贵州茅台"


def test_a_new_stocks_mark_of_its_first_days_is_no_part_of_its_name() -> None:
    save(Listed("688001.SH", "N华兴源"))
    assert Stock.objects.get(symbol="688001.SH").name == "华兴源"


def test_what_a_source_leaves_empty_never_blanks_what_is_known() -> None:
    save(MOUTAI)
    assert save(Listed("600519.SH")) == ListingResult(added=0, changed=0)
    stock = Stock.objects.get(symbol="600519.SH")
    assert (stock.name, stock.listed_on) == ("贵州茅台", date(2001, 8, 27))


def test_a_board_that_nobody_names_follows_from_the_symbol() -> None:
    save(Listed("688981.SH"), Listed("300750.SZ"))
    assert dict(Stock.objects.values_list("symbol", "board")) == {"688981.SH": "star", "300750.SZ": "chinext"}


def test_a_stock_that_is_listed_twice_counts_once_and_facts_are_joined() -> None:
    result = save(Listed("600519.SH", "茅台"), Listed("600519.SH", listed_on=date(2001, 8, 27)))
    assert result == ListingResult(added=1, changed=0)
    stock = Stock.objects.get()
    assert (stock.name, stock.listed_on) == ("茅台", date(2001, 8, 27))


def test_a_stock_that_is_not_listed_any_more_stays() -> None:
    save(MOUTAI)
    save(Listed("000001.SZ"))
    assert Stock.objects.count() == 2


def test_the_summary_of_bars_survives_a_listing() -> None:
    save(MOUTAI)
    store_bars(Stock.objects.get().pk, bars(["2024-01-02"]), source="tdx", simulated=False, covered=None)
    save(Listed("600519.SH", "*ST茅台"))
    assert Stock.objects.get().bar_count == 1


def test_a_symbol_that_is_not_canonical_is_refused_and_nothing_is_stored() -> None:
    with pytest.raises(BadSymbol, match="sh600519"):
        save(Listed("000001.SZ"), Listed("sh600519"))
    assert not Stock.objects.exists()


def test_a_listing_of_the_other_origin_is_refused_and_nothing_is_stored() -> None:
    save(MOUTAI)
    with pytest.raises(MixedOrigins):
        save_listing([Listed("000001.SZ")], simulated=True)
    assert Stock.objects.count() == 1
    assert current_origin() == "real"


def test_a_whole_market_takes_a_few_statements() -> None:
    with CaptureQueriesContext(
        connection,
    ) as first:
        assert save(*WHOLE_MARKET).added == 5400
    renamed = [Listed(stock.symbol, stock.name + " new") for stock in WHOLE_MARKET]
    with CaptureQueriesContext(connection) as second:
        assert save(*renamed).changed == 5400
    # Batches of 83 rows on SQLite, where Django takes 999 parameters for the limit.
    assert max(len(first), len(second)) < 100


def test_ids_of_stocks_are_returned_and_missing_stocks_are_made() -> None:
    save(MOUTAI)
    ids = ensure_stocks(["300750.SZ", "600519.SH", "300750.SZ"])
    assert ids == dict(Stock.objects.values_list("symbol", "id"))
    assert list(ids) == ["300750.SZ", "600519.SH"]
    assert Stock.objects.get(symbol="300750.SZ").board == "chinext"
    assert ensure_stocks(["600519.SH"]) == {"600519.SH": ids["600519.SH"]}
    assert ensure_stocks([]) == {}


def test_ids_of_a_whole_market_take_a_few_statements() -> None:
    with CaptureQueriesContext(connection) as queries:
        ids = ensure_stocks(stock.symbol for stock in WHOLE_MARKET)
    assert len(ids) == 5400
    assert len(queries) < 100


def test_a_stock_is_not_made_under_a_symbol_that_is_not_canonical() -> None:
    with pytest.raises(BadSymbol):
        ensure_stocks(["600519"])
