from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from marketdata.actions import ListedAction, save_actions
from marketdata.adjustment import Action, Event, compose, locate
from marketdata.exceptions import UnknownStock
from marketdata.proof import BadFactorFile, Proof, proof_of, prove, read_factors, steps_from_factors
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.bars import bars
from tests.marketdata.real_bars import csv_bars, day_bars, market_actions, per_ten_actions

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 5)
EX_DATE = date(2024, 1, 3)


def events_of(frame: pd.DataFrame, actions: list[Action]) -> tuple[Event, ...]:
    return compose(locate(frame["date"].to_numpy(), frame["open"].to_numpy(), frame["close"].to_numpy(), actions))


def proof(action: Action, vendor_steps: dict[date, float] | None = None) -> Proof:
    days = pd.DataFrame({"date": pd.to_datetime([FIRST, EX_DATE, LAST]), "open": 10.0, "close": [10.0, 9.0, 9.0]})
    events = events_of(days, [action])
    return proof_of("600000.SH", events, first_bar=FIRST, last_bar=LAST, vendor_steps=vendor_steps or {})


def test_000002_is_proved_by_sinas_factors(real_data: Path) -> None:
    frame = csv_bars(real_data / "000002_raw_1993_2011.csv")
    events = events_of(frame, per_ten_actions(real_data / "000002_events_with_sina_factor.csv"))
    steps = steps_from_factors(read_factors(real_data / "000002_sina_hfq_factor.csv"))

    shown = proof_of(
        "000002.SZ", events, first_bar=date(1993, 1, 4), last_bar=frame["date"].iloc[-1].date(), vendor_steps=steps
    )

    assert len(shown.rows) == 21
    assert all(row.difference is not None and abs(row.difference) < 1e-5 for row in shown.rows)
    assert (shown.flagged_count, shown.vendor_only) == (0, {})


def test_300027_is_proved_by_the_exchanges_previous_close(real_data: Path) -> None:
    frame = csv_bars(real_data / "300027_raw_preclose_sina_hfq.csv")
    published = dict(zip(frame["date"].dt.date, frame["exchange_preclose"], strict=True))
    actions = [
        replace(action, previous_close=published[action.ex_date])
        for action in per_ten_actions(real_data / "300027_events.csv")
    ]

    shown = proof_of("300027.SZ", events_of(frame, actions), first_bar=None, last_bar=None, vendor_steps={})

    assert [row.difference for row in shown.rows] == [0.0] * 9


def test_a_vendor_who_differs_by_more_than_a_thousandth_is_flagged() -> None:
    action = Action(EX_DATE, cash_per_share=1.0)

    (near,) = proof(action, {EX_DATE: 10 / 9 * 1.0009}).rows
    (far,) = proof(action, {EX_DATE: 10 / 9 * 1.0011}).rows

    assert (near.is_flagged, far.is_flagged) == (False, True)


def test_a_previous_close_that_differs_by_more_than_a_thousandth_is_flagged() -> None:
    both = proof(Action(EX_DATE, cash_per_share=1.0, previous_close=9.1), {EX_DATE: 10 / 9 * 0.9}).rows
    (same,) = proof(Action(EX_DATE, cash_per_share=0.996, previous_close=9.0)).rows
    (other,) = proof(Action(EX_DATE, cash_per_share=1.0, previous_close=9.1)).rows

    assert both[0].difference == pytest.approx(-0.1)
    assert (same.difference, same.is_flagged) == (0.0, False)
    assert (other.difference, other.is_flagged) == (pytest.approx(9.1 / 9.0 - 1), True)
    assert str(other.note).startswith("600000.SH: the corporate action of 2024-01-03 does not explain")


def test_an_ex_right_without_a_known_action_is_flagged() -> None:
    (row,) = proof(Action(EX_DATE, previous_close=9.0)).rows

    assert row.is_flagged
    assert str(row.status) == "ex-right without a known action"


def test_a_step_that_only_the_vendor_has_is_listed_and_counted() -> None:
    shown = proof(Action(EX_DATE, cash_per_share=1.0), {EX_DATE: 10 / 9, LAST: 1.02, date(2023, 1, 5): 1.5})

    assert shown.vendor_only == {LAST: 1.02}
    assert shown.flagged_count == 1


def test_a_step_that_the_vendor_does_not_have_is_flagged() -> None:
    (row,) = proof(Action(EX_DATE, cash_per_share=1.0), {date(2020, 1, 2): 1.1, LAST: 1.1}).rows

    assert (row.vendor_step, row.is_flagged) == (1.0, True)


def test_an_ex_date_outside_the_vendors_table_is_not_compared() -> None:
    (row,) = proof(Action(EX_DATE, cash_per_share=1.0), {date(2020, 1, 2): 1.1}).rows

    assert (row.vendor_step, row.is_flagged) == (None, False)


def test_ex_dates_in_one_suspension_are_compared_by_their_product() -> None:
    days = pd.DataFrame({"date": pd.to_datetime([FIRST, LAST]), "open": 10.0, "close": [10.0, 4.0]})
    actions = [Action(date(2024, 1, 2), new_shares_per_share=1.0), Action(date(2024, 1, 4), cash_per_share=1.0)]

    for published_on in (date(2024, 1, 2), date(2024, 1, 4), LAST):
        shown = proof_of(
            "600000.SH",
            events_of(days, actions),
            first_bar=FIRST,
            last_bar=LAST,
            vendor_steps={date(2020, 1, 2): 1.1, published_on: 2.5, date(2025, 1, 2): 1.1},
        )

        assert [row.difference for row in shown.rows] == [None, 0.0]
        assert shown.vendor_only == {}


def test_steps_are_ratios_of_successive_factors() -> None:
    factors = {date(2020, 1, 2): 2.0, date(1900, 1, 1): 1.0, date(2021, 1, 4): 2.0, date(2022, 1, 4): 3.0}

    assert steps_from_factors(factors) == {date(2020, 1, 2): 2.0, date(2022, 1, 4): 1.5}


@pytest.mark.parametrize(
    "content",
    [
        "day,factor\n2020-01-02,1",
        "date,factor\n2020-01-02,x",
        "date,factor\nx,1",
        "date,factor\n2020-01-02,0",
        "date,factor\n",
        "",
    ],
)
def test_a_table_of_factors_that_cannot_be_read_is_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "factors.csv"
    path.write_text(content)

    with pytest.raises(BadFactorFile, match="columns date and factor"):
        read_factors(path)


@pytest.mark.django_db
def test_a_stock_that_is_not_stored_cannot_be_proved() -> None:
    with pytest.raises(UnknownStock, match=r"600000\.SH is not in the database"):
        prove("600000")


@pytest.mark.django_db
def test_prove_prices_prints_each_ex_date_of_a_real_stock(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stock_id = ensure_stocks(["600000.SH"])["600000.SH"]
    frame = day_bars(real_data / "vipdoc/sh/lday/sh600000.day")
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    actions = market_actions(real_data, "600000.SH")
    save_actions([ListedAction("600000.SH", action) for action in actions], source="file")

    call_command("prove_prices", "600000")

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[:2] in ("19", "20")] == [str(each.ex_date) for each in actions]
    assert next(line for line in lines if line.startswith("2016-06-23")).split() == (
        ["2016-06-23", "0.515", "0.1", "17.89", "15.7955", "1.1326043", "applied"]
    )
    assert any(
        line.startswith("600000.SH: 2006-05-12 is listed as an ex-date, but the market did not") for line in lines
    )


@pytest.mark.django_db
def test_prove_prices_ends_with_3_when_a_vendor_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stock_id = ensure_stocks(["600000.SH"])["600000.SH"]
    frame = bars(["2024-01-01", "2024-01-03", "2024-01-05"])
    frame["close"] = [10.0, 9.0, 9.0]
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    save_actions([ListedAction("600000.SH", Action(EX_DATE, cash_per_share=1.0))], source="file")
    path = tmp_path / "factors.csv"
    path.write_text("date,factor\n1900-01-01,1\n2024-01-03,1.2\n2024-01-05,1.3")

    with pytest.raises(SystemExit) as raised:
        call_command("prove_prices", "600000", factors=path)

    out = capsys.readouterr().out
    assert raised.value.code == 3
    assert "+8.0000% !" in out
    assert "the vendor has a step of 1.083333 on 2024-01-05, where no action is known" in out


@pytest.mark.django_db
def test_prove_prices_says_when_there_is_nothing_to_prove(capsys: pytest.CaptureFixture[str]) -> None:
    ensure_stocks(["600000.SH"])

    call_command("prove_prices", "600000")

    assert capsys.readouterr().out == "600000.SH has no corporate action in the database.\n"


@pytest.mark.django_db
def test_prove_prices_refuses_a_symbol_that_is_none() -> None:
    with pytest.raises(CommandError, match="is not a stock symbol") as raised:
        call_command("prove_prices", "abc")

    assert raised.value.returncode == 2
