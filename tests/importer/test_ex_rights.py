"""Does a known action explain the exchange's previous close? From values alone."""

from __future__ import annotations

from datetime import date

from importer.ex_rights import explains
from marketdata.adjustment import Action

DAY = date(2024, 6, 13)


def test_a_dividend_explains_the_close_less_its_cash() -> None:
    assert explains([Action(DAY, cash_per_share=0.3)], 10.0, 9.7)
    assert not explains([Action(DAY, cash_per_share=0.3)], 10.0, 9.5)


def test_new_shares_and_rights_explain_what_the_exchange_computes() -> None:
    assert explains([Action(DAY, 0.515, new_shares_per_share=0.1)], 17.89, 15.8)
    assert explains([Action(DAY, rights_per_share=0.3, rights_price=5.0)], 10.0, 8.85)


def test_a_tick_and_a_thousandth_are_no_difference() -> None:
    assert explains([Action(DAY, cash_per_share=0.3)], 10.0, 9.71), "a company's own shares get no dividend"
    assert explains([Action(DAY, cash_per_share=5.0)], 1500.0, 1496.0)


def test_actions_inside_a_suspension_follow_each_other() -> None:
    both = [Action(DAY, new_shares_per_share=1.0), Action(date(2024, 6, 3), cash_per_share=2.0)]
    assert explains(both, 22.0, 10.0)


def test_nothing_and_a_mere_previous_close_explain_nothing() -> None:
    assert not explains([], 10.0, 10.0)
    assert not explains([Action(DAY, previous_close=9.7)], 10.0, 9.7)


def test_an_impossible_action_explains_nothing() -> None:
    assert not explains([Action(DAY, cash_per_share=20.0)], 10.0, 9.0)
