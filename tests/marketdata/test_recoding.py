"""Beijing's stocks got other codes: one stock stays one, with one history, and both codes find it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from marketdata.actions import ListedAction, save_actions
from marketdata.adjustment import Action, Adjust
from marketdata.beijing_codes import announced_symbol, formerly, is_former_symbol
from marketdata.export import export_bars
from marketdata.models import CorporateAction, Stock
from marketdata.proof import prove
from marketdata.reading import load_bars, load_panel
from marketdata.recoding import current_symbol, current_symbols, known_stocks, recoded
from marketdata.store import ensure_stocks, save_listing, store_bars, verify_summaries
from tests.marketdata.bars import bars, weekdays

DAYS = weekdays("2025-09-29", 12)
LISTED_ON = date(2020, 7, 27)


@dataclass(frozen=True)
class Named:
    symbol: str
    name: str = ""
    board: str = ""
    listed_on: date | None = None
    delisted_on: date | None = None


def stored(symbol: str, days: list[date]) -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, bars(days), source="tdx", simulated=False, covered=(days[0], days[-1]))
    return stock_id


# --- the rule


@pytest.mark.parametrize(
    ("former", "current"),
    [("430047.BJ", "920047.BJ"), ("833819.BJ", "920819.BJ"), ("838163.BJ", "920163.BJ"), ("832000.BJ", "920000.BJ")],
)
def test_the_last_three_digits_stay(former: str, current: str) -> None:
    assert (announced_symbol(former), formerly(current)) == (current, former)


def test_where_several_share_them_the_rule_alone_does_not_tell() -> None:
    assert announced_symbol("831167.BJ") is announced_symbol("873167.BJ") is None
    assert formerly("920167.BJ") is None


def test_a_code_that_never_was_listed_there_became_nothing() -> None:
    assert announced_symbol("830001.BJ") is None


def test_only_beijings_codes_before_920_are_former_ones() -> None:
    assert is_former_symbol("430047.BJ")
    assert not any(is_former_symbol(symbol) for symbol in ("920047.BJ", "000001.SZ", "600000.SH"))


# --- which stock is which


def test_the_rule_needs_no_name() -> None:
    assert recoded([Named("920047.BJ")], [Named("430047.BJ")]) == {"430047.BJ": "920047.BJ"}


def test_another_listing_date_is_another_stock() -> None:
    listed, old = Named("920047.BJ", listed_on=date(2025, 11, 3)), Named("430047.BJ", listed_on=LISTED_ON)
    assert recoded([listed], [old]) == {}


def test_where_the_rule_does_not_tell_the_name_does() -> None:
    listed = [Named("920167.BJ", "同享科技"), Named("920168.BJ", "通　达")]
    old = [Named("839167.BJ", "同享科技"), Named("873167.BJ", "通达"), Named("831167.BJ", "鑫汇科")]
    assert recoded(listed, old) == {"839167.BJ": "920167.BJ", "873167.BJ": "920168.BJ"}


def test_a_renamed_one_is_told_by_listing_date_and_digits() -> None:
    listed = [Named("920167.BJ", "新名", listed_on=LISTED_ON), Named("920268.BJ", "旁人", listed_on=LISTED_ON)]
    assert recoded(listed, [Named("839167.BJ", "旧名", listed_on=LISTED_ON)]) == {"839167.BJ": "920167.BJ"}


def test_what_could_be_two_stocks_is_neither() -> None:
    assert recoded([Named("920167.BJ", "某"), Named("920168.BJ", "某")], [Named("839167.BJ", "某")]) == {}
    assert recoded([Named("920167.BJ", "某")], [Named("839167.BJ", "某"), Named("873167.BJ", "某")]) == {}


def test_a_code_that_is_still_listed_is_no_former_one() -> None:
    assert recoded([Named("920047.BJ"), Named("430047.BJ")], [Named("430047.BJ")]) == {}


def test_a_stock_elsewhere_with_the_same_name_is_another_one() -> None:
    assert recoded([Named("301192.SZ", "泰祥股份")], [Named("833874.BJ", "泰祥股份")]) == {}


# --- in the database

pytestmark = pytest.mark.django_db


def test_a_list_with_the_new_code_lets_the_stock_go_on_in_its_row() -> None:
    stock_id = stored("430047.BJ", DAYS[:6])
    result = save_listing([Named("920047.BJ", "诺思兰德", "beijing")], simulated=False)
    stock = Stock.objects.get()
    assert (stock.pk, stock.symbol, stock.code, stock.former_symbol) == (
        stock_id, "920047.BJ", "920047", "430047.BJ",
    )  # fmt: skip
    assert (stock.name, stock.bar_count, result.added) == ("诺思兰德", 6, 0)


def test_both_codes_find_it_whatever_is_asked() -> None:
    stored("430047.BJ", DAYS[:6])
    assert load_bars("920047").attrs["symbol"] == "430047.BJ", "no list has shown the new code yet"
    save_listing([Named("920047.BJ")], simulated=False)
    for asked in ("430047", "bj430047", "920047.BJ"):
        assert len(load_bars(asked)) == 6
        assert load_bars(asked).attrs["symbol"] == prove(asked).symbol == "920047.BJ"
    assert list(load_panel(["430047", "920047"])) == ["920047.BJ"]
    assert list(known_stocks(["430047.BJ", "920047.BJ"])) == ["430047.BJ", "920047.BJ"]


def test_an_export_takes_both_codes(tmp_path: Path) -> None:
    stored("430047.BJ", DAYS[:6])
    save_listing([Named("920047.BJ")], simulated=False)
    export_bars("csv", tmp_path / "out", symbols=["430047.BJ", "920047.BJ"])
    assert [file.name for file in (tmp_path / "out").glob("*.csv")] == ["920047.BJ.csv"]


def test_what_is_stored_nowhere_is_asked_for_by_its_code_of_today() -> None:
    assert current_symbols(["430047.BJ", "600000.SH", "873167.BJ"]) == {
        "430047.BJ": "920047.BJ",
        "600000.SH": "600000.SH",
        "873167.BJ": "873167.BJ",
    }


def test_two_rows_of_one_stock_become_one_with_all_bars_and_actions() -> None:
    former, doubled = stored("839167.BJ", DAYS[:8]), stored("920167.BJ", DAYS[6:])
    Stock.objects.filter(pk=former).update(name="同享科技")
    Stock.objects.filter(pk=doubled).update(listed_on=LISTED_ON)
    for stock_id, day, cash in ((former, DAYS[3], 0.1), (former, DAYS[7], 0.3), (doubled, DAYS[7], 0.2)):
        CorporateAction.objects.create(stock_id=stock_id, ex_date=day, cash_per_share=cash)
    save_listing([Named("920167.BJ", "同享科技"), Named("920001.BJ", "纬达光电")], simulated=False)
    stock = Stock.objects.get(symbol="920167.BJ")
    assert (stock.pk, stock.bar_count, stock.listed_on) == (former, 12, LISTED_ON)
    assert (stock.first_bar, stock.last_bar) == (stock.covered_from, stock.covered_until) == (DAYS[0], DAYS[-1])
    assert not Stock.objects.filter(symbol="839167.BJ").exists()
    assert list(stock.corporate_actions.values_list("cash_per_share", flat=True)) == [0.1, 0.2]
    assert verify_summaries() == []
    assert len(load_bars("839167", adjust=Adjust.HFQ)) == 12


def test_an_older_file_stores_into_the_row_of_today() -> None:
    stock_id = stored("430047.BJ", DAYS[6:])
    save_listing([Named("920047.BJ")], simulated=False)
    assert save_listing([Named("430047.BJ")], simulated=False).added == 0
    assert ensure_stocks(["430047.BJ"]) == {"430047.BJ": stock_id}
    actions = [ListedAction("430047.BJ", Action(DAYS[8], cash_per_share=0.1))]
    assert save_actions(actions, source="file").added == 1
    assert Stock.objects.count() == 1


def test_a_list_without_beijing_changes_no_code() -> None:
    stored("430047.BJ", DAYS)
    save_listing([Named("600000.SH", "浦发银行")], simulated=False)
    assert current_symbol("430047.BJ") == "430047.BJ"


def test_a_name_that_is_only_written_differently_stays() -> None:
    save_listing([Named("000002.SZ", "万科A")], simulated=False)
    assert save_listing([Named("000002.SZ", "万  科Ａ")], simulated=False).changed == 0
    assert Stock.objects.get(symbol="000002.SZ").name == "万科A"


def test_a_changed_board_is_kept() -> None:
    save_listing([Named("300750.SZ", "宁德时代", "chinext")], simulated=False)
    assert save_listing([Named("300750.SZ", "宁德时代", "main")], simulated=False).changed == 1
    save_listing([Named("300750.SZ", "宁德时代")], simulated=False)
    assert Stock.objects.get(symbol="300750.SZ").board == "main"
