from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from marketdata.actions import ListedAction, ex_rights_without_action, save_actions, stored_actions
from marketdata.adjustment import Action
from marketdata.exceptions import MixedOrigins
from marketdata.models import CorporateAction
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.bars import bars

pytestmark = pytest.mark.django_db

SYMBOL = "600000.SH"
DAY = date(2016, 6, 23)
DIVIDEND = Action(DAY, cash_per_share=0.515, new_shares_per_share=0.1)


@pytest.fixture
def stock_id() -> int:
    return ensure_stocks([SYMBOL])[SYMBOL]


def listed(*actions: Action, symbol: str = SYMBOL) -> list[ListedAction]:
    return [ListedAction(symbol, action) for action in actions]


def sources() -> list[str]:
    return list(CorporateAction.objects.order_by("ex_date").values_list("source", flat=True))


def test_actions_are_stored_once(stock_id: int) -> None:
    first = save_actions(listed(DIVIDEND), source="tdx")
    second = save_actions(listed(DIVIDEND), source="tdx")

    assert (first.added, first.changed, first.unchanged) == (1, 0, 0)
    assert (second.added, second.changed, second.unchanged) == (0, 0, 1)
    assert stored_actions(stock_id) == [DIVIDEND]


def test_a_source_corrects_itself_without_a_conflict(stock_id: int) -> None:
    save_actions(listed(DIVIDEND), source="tdx")
    corrected = Action(DAY, cash_per_share=0.5)

    result = save_actions(listed(corrected), source="tdx")

    assert (result.changed, result.conflicts) == (1, ())
    assert stored_actions(stock_id) == [corrected]


def test_a_better_trusted_source_replaces_facts_and_the_conflict_is_listed(stock_id: int) -> None:
    other = Action(DAY, cash_per_share=0.5)
    save_actions(listed(other), source="eastmoney")

    result = save_actions(listed(DIVIDEND), source="tdx")

    (conflict,) = result.conflicts
    assert (conflict.kept, conflict.kept_source) == (DIVIDEND, "tdx")
    assert (conflict.refused, conflict.refused_source) == (other, "eastmoney")
    assert stored_actions(stock_id) == [DIVIDEND]


def test_a_less_trusted_source_replaces_nothing_and_the_conflict_is_listed(stock_id: int) -> None:
    save_actions(listed(DIVIDEND), source="file")

    result = save_actions(listed(Action(DAY, cash_per_share=0.5)), source="somebody")

    assert (result.changed, result.unchanged, len(result.conflicts)) == (0, 1, 1)
    assert stored_actions(stock_id) == [DIVIDEND]


def test_facts_that_differ_by_rounding_are_no_conflict(stock_id: int) -> None:
    save_actions(listed(Action(DAY, cash_per_share=0.0999716)), source="eastmoney")

    result = save_actions(listed(Action(DAY, cash_per_share=0.099972)), source="tdx")

    assert (result.changed, result.conflicts) == (1, ())


def test_the_previous_close_survives_a_source_that_does_not_know_it(stock_id: int) -> None:
    save_actions(listed(Action(DAY, previous_close=15.80)), source="eastmoney")

    save_actions(listed(DIVIDEND), source="eastmoney")

    assert stored_actions(stock_id) == [Action(DAY, 0.515, 0.1, previous_close=15.80)]


def test_a_previous_close_is_added_to_facts_and_replaces_none(stock_id: int) -> None:
    save_actions(listed(DIVIDEND), source="eastmoney")

    result = save_actions(listed(Action(DAY, previous_close=15.80)), source="file")

    assert (result.changed, result.conflicts) == (1, ())
    assert stored_actions(stock_id) == [Action(DAY, 0.515, 0.1, previous_close=15.80)]
    assert sources() == ["eastmoney"]


def test_the_order_in_which_sources_are_asked_does_not_matter(stock_id: int) -> None:
    answers: Sequence[tuple[str, Action]] = [
        ("eastmoney", Action(DAY, cash_per_share=0.5)),
        ("tdx", DIVIDEND),
        ("file", Action(DAY, cash_per_share=0.6)),
        ("baostock", Action(DAY, previous_close=15.80)),
    ]
    outcomes = set()
    for order in permutations(answers):
        CorporateAction.objects.all().delete()
        for source, action in order:
            save_actions(listed(action), source=source)
        outcomes.add((*stored_actions(stock_id), *sources()))

    assert outcomes == {(Action(DAY, cash_per_share=0.6, previous_close=15.80), "file")}


def test_actions_of_unknown_stocks_are_counted_and_not_stored(stock_id: int) -> None:
    result = save_actions([*listed(DIVIDEND), *listed(DIVIDEND, symbol="000002.SZ")], source="file")

    assert (result.added, result.unknown_symbols, result.unknown_count) == (1, ("000002.SZ",), 1)


def test_real_actions_do_not_enter_a_simulated_market() -> None:
    stock_id = ensure_stocks([SYMBOL])[SYMBOL]
    store_bars(stock_id, bars(["2024-01-02"]), source="simulated", simulated=True, covered=None)

    with pytest.raises(MixedOrigins):
        save_actions(listed(DIVIDEND), source="file")


def test_an_ex_right_that_no_source_explains_is_listed(stock_id: int) -> None:
    frame = bars(["2016-06-22", "2016-06-23", "2016-06-24"])
    frame["close"] = [17.89, 16.0, 16.1]
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    save_actions(listed(Action(DAY, previous_close=15.80)), source="eastmoney")

    (found,) = ex_rights_without_action()
    save_actions(listed(DIVIDEND), source="eastmoney")

    assert (found.symbol, found.ex_date, found.previous_close) == (SYMBOL, DAY, 15.80)
    assert ex_rights_without_action() == []


def csv_file(folder: Path, *rows: str) -> Path:
    path = folder / "actions.csv"
    header = "symbol,ex_date,cash_per_share,new_shares_per_share,rights_per_share,rights_price"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def test_import_actions_says_what_changed(stock_id: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = csv_file(tmp_path, "600000,2016-06-23,0.515,0.1,0,0", "000002,1997-07-14,0,0,0.237,4.5")

    call_command("import_actions", path=path)

    out = capsys.readouterr().out
    assert "1 corporate actions added, 0 changed, 0 unchanged." in out
    assert "1 actions were not stored: their 1 stocks are not in the database (000002.SZ)." in out
    assert stored_actions(stock_id) == [DIVIDEND]


def test_import_actions_stores_nothing_of_a_file_with_a_bad_row(stock_id: int, tmp_path: Path) -> None:
    path = csv_file(tmp_path, "600000,2016-06-23,0.515,0.1,0,0", "600000,yesterday,0.515,0.1,0,0")

    with pytest.raises(CommandError, match="line 3: “yesterday” is not a date") as raised:
        call_command("import_actions", path=path)

    assert raised.value.returncode == 2
    assert stored_actions(stock_id) == []


def test_import_actions_lists_what_contradicts_another_source(
    stock_id: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_actions(listed(Action(DAY, cash_per_share=0.5)), source="tdx")

    with pytest.raises(SystemExit) as raised:
        call_command("import_actions", path=csv_file(tmp_path, "600000,2016-06-23,0.515,0.1,0,0"))

    assert raised.value.code == 3
    assert (
        "600000.SH 2016-06-23: kept 0.515 yuan, 0.1 new shares, 0 rights at 0 (file), "
        "not 0.5 yuan, 0 new shares, 0 rights at 0 (tdx)." in capsys.readouterr().out
    )
    assert stored_actions(stock_id) == [DIVIDEND]
