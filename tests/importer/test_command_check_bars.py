"""check_bars: what it finds in the database, what it says, and how it ends."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command
from django.utils.translation import override

from importer import bar_sample
from importer.notify.models import Event, Notice
from importer.sources.base import SourceUnavailable
from marketdata.absences import forget_absent, remember_absent
from marketdata.actions import ListedAction, save_actions
from marketdata.adjustment import Action
from marketdata.index_days import save_index_days
from marketdata.market_index import IndexDayBar
from marketdata.models import Stock
from marketdata.store import ensure_stocks, store_bars
from marketdata.texts import Text
from tests.importer.command_line import Outcome, give_command, what_is_stored
from tests.importer.simulated_clock import at
from tests.marketdata.bars import weekdays

SYMBOL = "600000.SH"
DAYS = weekdays("2024-03-04", 5)
TODAY = DAYS[-1]


@pytest.fixture(autouse=True)
def english(settings: Any) -> None:
    settings.COMMAND_LANGUAGE = "en"


def bars_of(days: list[date], closes: list[float] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"date": pd.to_datetime(days).astype("datetime64[s]")})
    for name in ("open", "high", "low", "close"):
        frame[name] = closes or [10.0] * len(days)
    frame["volume"] = 1000
    frame["amount"] = frame["close"] * 1000
    return frame


def store(frame: pd.DataFrame, *, symbol: str = SYMBOL, source: str = "sina", **options: Any) -> int:
    stock_id = ensure_stocks([symbol])[symbol]
    store_bars(stock_id, frame, source=source, simulated=False, **{"covered": None, **options})
    Stock.objects.filter(pk=stock_id).update(listed_on=date(2000, 1, 4))
    return stock_id


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    with at(TODAY):
        return give_command(capsys, "check_bars", *arguments)


pytestmark = pytest.mark.django_db(transaction=True)


def test_sound_bars_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS))

    shown = check(capsys)

    assert (shown.status, shown.err) == (0, "")
    assert shown.out_lines == ["5 bars of 1 stock were checked.", "Nothing was found."]


def test_a_missing_day_ends_with_3_and_names_the_repair(capsys: pytest.CaptureFixture[str]) -> None:
    stored = store(bars_of([DAYS[0], *DAYS[2:]]))
    before = what_is_stored()

    shown = check(capsys)

    assert shown.status == 3
    assert shown.out_lines[0] == "600000.SH  2024-03-05  missing: 1 trading day without a bar"
    assert "repair_bars --symbols 600000.SH --start 2024-03-05 --end 2024-03-05" in shown.out_lines[1]
    assert shown.out_lines[-1] == "Findings: 1 (missing 1)."
    assert what_is_stored() == before
    remember_absent(stored, [DAYS[1]], source="sina")
    assert check(capsys).status == 0


def test_a_day_that_a_source_was_asked_for_counts_as_suspended(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of([DAYS[0], *DAYS[2:]]), covered=(DAYS[0], TODAY))

    shown = check(capsys)

    assert shown.status == 0
    assert "1 trading days without a bar count as suspended" in shown.out


def test_an_impossible_bar_is_found_by_the_rules_of_an_import(capsys: pytest.CaptureFixture[str]) -> None:
    frame = bars_of(DAYS)
    frame.loc[2, "volume"] = 100_000
    store(frame)

    shown = check(capsys)

    assert shown.status == 3
    assert "2024-03-06  impossible: amount / shares is outside low..high (10 10 10 10 100000 10000)" in shown.out


def test_a_bar_of_a_closed_day_is_taken_away_by_what_the_finding_says(capsys: pytest.CaptureFixture[str]) -> None:
    saturday = date(2024, 3, 2)
    store(bars_of([saturday, *DAYS]))

    shown = check(capsys)

    assert (shown.status, shown.out.count("impossible: ")) == (3, 1)
    assert "2024-03-02  impossible: the exchange is closed at weekends" in shown.out
    assert "no import takes it away" in shown.out
    (program,) = re.findall(r'manage\.py shell -c "(.*)"', shown.out)
    call_command("shell", command=program)
    assert check(capsys).status == 0
    assert Stock.objects.get(symbol=SYMBOL).first_bar == DAYS[0]


def test_a_jump_is_explained_by_its_corporate_action(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS, [10.0, 10.0, 5.0, 5.0, 5.0]))

    assert "2024-03-06  beyond the limit: close 5.00 after 10.00" in check(capsys).out
    save_actions([ListedAction(SYMBOL, Action(DAYS[2], new_shares_per_share=1.0))], source="file")
    assert check(capsys).status == 0


def test_an_ex_right_without_a_known_action_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS, [10.0, 10.0, 9.5, 9.5, 9.5]))
    save_actions([ListedAction(SYMBOL, Action(DAYS[2], previous_close=9.5))], source="sina")

    shown = check(capsys)

    assert shown.status == 3
    assert shown.out_lines[0].startswith(
        f"600000.SH  {DAYS[2]}  corporate action in doubt: ex-right without a known action"
    )
    assert "import_actions adds or corrects one; prove_prices 600000.SH shows" in shown.out_lines[1]


def test_an_action_that_explains_the_exchanges_price_is_in_no_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS, [10.0, 10.0, 9.5, 9.5, 9.5]))
    explained = Action(DAYS[2], cash_per_share=0.5, previous_close=9.5)
    save_actions([ListedAction(SYMBOL, explained)], source="sina")

    assert check(capsys).status == 0


def test_a_stock_that_stopped_is_out_of_date_until_it_is_delisted(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS[:3]))

    shown = check(capsys)

    assert shown.status == 3
    assert shown.out_lines[0].startswith("600000.SH  2024-03-07–2024-03-08  out of date: the newest bar is of")
    Stock.objects.update(delisted_on=DAYS[3])
    assert check(capsys).status == 0


def test_only_the_days_and_stocks_that_are_named_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of([DAYS[0], *DAYS[2:]]))
    store(bars_of([*DAYS[:3], TODAY]), symbol="000001.SZ")

    assert "Findings: 2" in check(capsys).out
    assert "Findings: 1" in check(capsys, "--symbols", "000001").out
    assert "Findings: 1" in check(capsys, "--start", "2024-03-06").out
    assert check(capsys, "--start", "2024-03-08", "--end", "2024-03-08").status == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--symbols", "abc"], "is not a stock symbol"),
        (["--symbols", "600519"], "600519.SH is not in the database"),
        (["--start", "2024-3-1"], "is not a date"),
        (["--start", "2024-03-08", "--end", "2024-03-04"], "is before the start"),
        (["--source", "sina"], "--source and --seed need --sample."),
        (["--sample", "0"], "It has to be at least 1"),
    ],
)
def test_bad_input_is_a_sentence_and_ends_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store(bars_of(DAYS))

    shown = check(capsys, *arguments)

    assert shown.status == 2
    assert sentence in shown.err


def test_an_empty_database_is_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    shown = check(capsys)

    assert (shown.status, shown.err) == (2, "There are no bars to check. Import some first (import_bars).\n")


class Other:
    """A source that says what it is told to; it reads nothing."""

    paced = local = simulated = False

    def __init__(self, name: str, frame: pd.DataFrame | None) -> None:
        self.name = name
        self.frame = frame
        self.asked: list[str] = []

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        self.asked.append(symbol)
        if self.frame is None:
            raise SourceUnavailable(source=self.name, symbol=symbol, detail="down")
        return self.frame


def others(monkeypatch: pytest.MonkeyPatch, *sources: Other) -> None:
    by_name = {source.name: source for source in sources}
    monkeypatch.setattr(bar_sample, "auto_order", lambda: list(by_name))
    monkeypatch.setattr(bar_sample, "get_source", by_name.__getitem__)


def test_a_sample_asks_a_source_that_did_not_deliver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(bars_of(DAYS))
    sina, tencent = Other("sina", bars_of(DAYS)), Other("tencent", bars_of(DAYS))
    others(monkeypatch, sina, tencent)

    shown = check(capsys, "--sample", "5", "--seed", "7")

    assert (shown.status, shown.err) == (0, "")
    assert (sina.asked, tencent.asked) == ([], [SYMBOL])
    assert shown.out_lines[1:3] == [
        "Sample of 1 stocks (--seed 7):",
        "1 of 1 stocks were compared on 5 days.",
    ]


def test_what_differs_by_more_than_a_tick_or_a_lot_is_listed_and_not_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(bars_of(DAYS[:4]))
    Stock.objects.update(covered_from=DAYS[0], covered_until=TODAY)
    frame = bars_of(DAYS[:4], [10.0, 10.01, 10.02, 10.0])
    frame.loc[0, "volume"], frame.loc[3, "volume"] = 1100, 1101
    frame["amount"] = frame["close"] * frame["volume"]
    others(monkeypatch, Other("tencent", frame))
    before = what_is_stored()

    shown = check(capsys, "--sample", "1")

    assert shown.status == 3
    listed = [line for line in shown.out_lines if "another source differs" in line]
    assert [line.split()[1] for line in listed[:-1]] == ["2024-03-06", "2024-03-07"]
    assert "open 10 here, 10.02 from" in listed[0]
    assert "volume 1000 here, 1101 from" in listed[1]
    assert what_is_stored() == before


def test_a_day_that_another_source_has_and_we_have_not_is_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(bars_of([DAYS[0], *DAYS[2:]]), covered=(DAYS[0], TODAY))
    others(monkeypatch, Other("tencent", bars_of(DAYS)))

    shown = check(capsys, "--sample", "1")

    assert shown.status == 3
    assert "2024-03-05  another source differs: no bar here" in shown.out


def test_a_sample_of_which_nothing_could_be_compared_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(bars_of(DAYS))
    others(monkeypatch, Other("tencent", None))

    shown = check(capsys, "--sample", "1")

    assert shown.status == 2
    assert "600000.SH was not compared:" in shown.err
    others(monkeypatch, Other("sina", bars_of(DAYS)))
    assert "no other source is left" in check(capsys, "--sample", "1").err


def test_days_whose_index_differs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of(DAYS))
    amounts = [10_000.0, 10_000.0, 20_000.0, 10_000.0, 10_000.0]
    days = [IndexDayBar(day, 3000.0, amount) for day, amount in zip(DAYS, amounts, strict=True)]
    save_index_days("000001.SH", days, source="eastmoney")

    shown = check(capsys)

    assert shown.status == 3
    assert f"{DAYS[2]}  the index differs: Shanghai: the stocks' turnover is" in shown.out
    assert f"repair_bars --start {DAYS[2]} --end {DAYS[2]}" in shown.out
    assert "the index differs 1" in shown.out
    assert "the index" not in check(capsys, "--symbols", SYMBOL).out


def notices() -> list[list[str]]:
    """Return the lines of each message about findings, oldest first."""
    found = Notice.objects.filter(event=Event.FINDINGS).order_by("id")
    return [[str(Text(line["msgid"], line["values"])) for line in notice.lines] for notice in found]


def test_what_no_earlier_check_had_found_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of([DAYS[0], *DAYS[2:]]))
    store(bars_of(DAYS[:-1]), symbol="600001.SH")

    check(capsys)
    again = check(capsys)

    with override("en"):
        told = notices()
    assert told == [["2 new findings.", "missing: 1 (600000.SH).", "out of date: 1 (600001.SH)."]]
    assert again.status == 3
    assert again.out_lines[-2:] == ["Findings: 2 (missing 1; out of date 1).", "New since earlier checks: 0."]


def test_a_finding_that_was_gone_and_comes_back_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    stored = store(bars_of([DAYS[0], *DAYS[2:]]))
    check(capsys)
    remember_absent(stored, [DAYS[1]], source="sina")
    check(capsys)
    forget_absent(stored, DAYS[1], DAYS[1])
    check(capsys)
    assert len(notices()) == 2


def test_a_check_of_some_stocks_forgets_nothing_about_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    store(bars_of([DAYS[0], *DAYS[2:]]))
    store(bars_of(DAYS), symbol="600001.SH")
    check(capsys)
    assert check(capsys, "--symbols", "600001").status == 0
    check(capsys)
    assert len(notices()) == 1
