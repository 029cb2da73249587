from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.adjustment import (
    Action,
    Adjust,
    Event,
    Factors,
    ImpossibleAction,
    Occurrence,
    Status,
    compose,
    factors,
    locate,
    round_half_up,
    theoretical_ex_price,
)

MONDAY = date(2020, 6, 1)


def days(count: int, start: date = MONDAY) -> np.ndarray:
    return np.array([start + timedelta(days=at) for at in range(count)], dtype="datetime64[D]")


def events_on(closes: Sequence[float], actions: Sequence[Action], *, as_of: date | None = None) -> tuple[Event, ...]:
    prices = np.array(closes)
    return compose(locate(days(len(closes)), prices, prices, actions), as_of=as_of)


def adjusted(closes: Sequence[float], actions: Sequence[Action], adjust: Adjust) -> np.ndarray:
    return factors(events_on(closes, actions), adjust).prices(days(len(closes)), np.array(closes))


def test_cash_new_shares_and_rights_enter_the_theoretical_ex_price() -> None:
    action = Action(MONDAY, cash_per_share=0.5, new_shares_per_share=0.2, rights_per_share=0.3, rights_price=8.0)

    assert theoretical_ex_price(12.0, action) == pytest.approx((12.0 - 0.5 + 8.0 * 0.3) / 1.5)


@pytest.mark.parametrize(("price", "rounded"), [(15.795, 15.80), (15.7949, 15.79), (2.675, 2.68), (10.0, 10.0)])
def test_prices_are_rounded_half_up(price: float, rounded: float) -> None:
    assert round_half_up(price) == rounded


@pytest.mark.parametrize(
    "action",
    [
        Action(MONDAY, cash_per_share=12.0),
        Action(MONDAY, cash_per_share=15.0),
        Action(MONDAY, new_shares_per_share=-1.0),
        Action(MONDAY, rights_per_share=0.3),
        Action(MONDAY, cash_per_share=float("nan")),
    ],
)
def test_facts_that_cannot_be_right_are_refused(action: Action) -> None:
    with pytest.raises(ImpossibleAction):
        theoretical_ex_price(12.0, action)


def test_an_impossible_action_is_flagged_and_not_applied() -> None:
    (event,) = events_on([12.0, 12.1], [Action(MONDAY + timedelta(days=1), cash_per_share=12.0)])

    assert (event.status, event.step, event.flag) == (Status.IMPOSSIBLE, 1.0, "impossible_action")


def test_an_action_applies_from_its_ex_date_on() -> None:
    prices = adjusted([10.0, 5.0, 5.5], [Action(MONDAY + timedelta(days=1), new_shares_per_share=1.0)], Adjust.QFQ)

    assert list(prices) == [5.0, 5.0, 5.5]


def test_hfq_leaves_the_first_bar_and_qfq_the_last_one() -> None:
    actions = [Action(MONDAY + timedelta(days=1), cash_per_share=1.0)]

    assert list(adjusted([10.0, 9.0], actions, Adjust.HFQ)) == pytest.approx([10.0, 10.0])
    assert list(adjusted([10.0, 9.0], actions, Adjust.QFQ)) == pytest.approx([9.0, 9.0])


def test_an_ex_date_inside_a_suspension_applies_from_the_next_bar() -> None:
    dates = np.array(["2020-06-01", "2020-06-10"], dtype="datetime64[D]")
    prices = np.array([10.0, 5.0])

    (event,) = compose(locate(dates, prices, prices, [Action(date(2020, 6, 4), new_shares_per_share=1.0)]))

    assert (event.status, event.applies_on, event.step) == (Status.APPLIED, date(2020, 6, 10), 2.0)


def test_ex_dates_inside_one_suspension_start_from_each_other() -> None:
    dates = np.array(["2020-06-01", "2020-06-10"], dtype="datetime64[D]")
    prices = np.array([10.0, 4.0])
    actions = [Action(date(2020, 6, 5), cash_per_share=1.0), Action(date(2020, 6, 3), new_shares_per_share=1.0)]

    events = compose(locate(dates, prices, prices, actions))

    assert [event.theoretical for event in events] == [5.0, 4.0]
    assert factors(events, Adjust.HFQ).scale[-1] == pytest.approx(10.0 / 4.0)


def test_an_announced_ex_date_waits_for_its_bar() -> None:
    (event,) = events_on([10.0, 10.1], [Action(MONDAY + timedelta(days=2), cash_per_share=1.0)])

    assert (event.status, event.step) == (Status.WAITS, 1.0)


def test_an_action_before_the_first_bar_changes_nothing() -> None:
    (event,) = events_on([10.0, 10.1], [Action(MONDAY, cash_per_share=1.0)])

    assert (event.status, event.step) == (Status.BEFORE_FIRST_BAR, 1.0)


def test_an_action_after_as_of_does_not_exist() -> None:
    actions = [Action(MONDAY + timedelta(days=at), cash_per_share=1.0) for at in (1, 2)]

    events = events_on([10.0, 9.0, 8.0], actions, as_of=MONDAY + timedelta(days=1))

    assert [event.action.ex_date for event in events] == [MONDAY + timedelta(days=1)]


def test_an_ex_date_in_a_suspension_that_lasts_at_as_of_waits() -> None:
    occurrence = Occurrence(Action(date(2020, 6, 4), cash_per_share=1.0), MONDAY, 10.0, date(2020, 6, 10), 9.0)

    assert compose([occurrence], as_of=date(2020, 6, 5))[0].status == Status.WAITS
    assert compose([occurrence], as_of=date(2020, 6, 10))[0].status == Status.APPLIED


def reform(*, open_: float, resumed: date, ex_date: date, previous_close: float | None = None) -> Event:
    action = Action(ex_date, new_shares_per_share=0.3, previous_close=previous_close)
    return compose([Occurrence(action, date(2006, 3, 20), 10.86, resumed, open_)])[0]


def test_the_reform_is_told_by_an_open_beyond_the_price_limit() -> None:
    event = reform(open_=10.06, resumed=date(2006, 3, 21), ex_date=date(2006, 3, 21))

    assert (event.status, event.step, event.flag) == (Status.NOT_EX, 1.0, "not_ex_in_the_market")


def test_the_reform_is_told_by_the_suspension_before_it() -> None:
    assert reform(open_=8.5, resumed=date(2006, 5, 12), ex_date=date(2006, 5, 12)).status == Status.NOT_EX


def test_new_shares_in_the_years_of_the_reform_are_applied_when_the_price_followed() -> None:
    assert reform(open_=8.5, resumed=date(2006, 3, 21), ex_date=date(2006, 3, 21)).status == Status.APPLIED


def test_the_exchanges_previous_close_overrules_every_guess_about_the_reform() -> None:
    day = date(2006, 5, 12)

    assert reform(open_=10.06, resumed=day, ex_date=day, previous_close=8.35).status == Status.APPLIED
    assert reform(open_=8.40, resumed=day, ex_date=day, previous_close=10.86).status == Status.NOT_EX


def test_a_high_open_outside_the_years_of_the_reform_is_no_reform() -> None:
    action = Action(date(2014, 6, 3), new_shares_per_share=0.3)
    event = compose([Occurrence(action, date(2014, 6, 2), 10.86, date(2014, 6, 3), 10.06)])[0]

    assert event.status == Status.APPLIED


def test_an_ex_right_without_a_known_action_follows_the_exchange_and_is_flagged() -> None:
    (event,) = events_on([10.0, 5.1], [Action(MONDAY + timedelta(days=1), previous_close=5.0)])

    assert (event.status, event.step, event.flag) == (Status.UNKNOWN_ACTION, 2.0, "ex_right_without_known_action")


def test_prices_before_an_ex_right_without_a_known_action_are_adjusted_in_every_form() -> None:
    actions = [Action(MONDAY + timedelta(days=1), previous_close=5.0)]

    assert list(adjusted([10.0, 5.1], actions, Adjust.QFQ)) == [5.0, 5.1]
    assert list(adjusted([10.0, 5.1], actions, Adjust.BROKER)) == [5.0, 5.1]


def test_an_action_that_was_not_followed_leaves_nothing_to_the_next_one_in_a_suspension() -> None:
    dates = np.array(["2006-03-20", "2006-05-12"], dtype="datetime64[D]")
    prices = np.array([10.0, 9.8])
    actions = [Action(date(2006, 5, 10), new_shares_per_share=0.3), Action(date(2006, 5, 11), cash_per_share=1.0)]

    events = compose(locate(dates, prices, prices, actions))

    assert [(event.status, event.reference) for event in events] == [(Status.NOT_EX, 10.0), (Status.APPLIED, 10.0)]


def test_a_previous_close_that_is_explained_already_changes_nothing() -> None:
    dates = np.array(["2020-06-01", "2020-06-10"], dtype="datetime64[D]")
    prices = np.array([10.0, 5.0])
    actions = [Action(date(2020, 6, 3), new_shares_per_share=1.0), Action(date(2020, 6, 10), previous_close=5.0)]

    events = compose(locate(dates, prices, prices, actions))

    assert [event.status for event in events] == [Status.APPLIED, Status.NO_EFFECT]


def test_facts_that_disagree_with_the_exchange_by_more_than_a_thousandth_are_flagged() -> None:
    day = MONDAY + timedelta(days=1)
    (wrong,) = events_on([10.0, 9.0], [Action(day, cash_per_share=1.0, previous_close=9.10)])
    (right,) = events_on([10.0, 9.0], [Action(day, cash_per_share=1.0, previous_close=9.00)])

    assert (wrong.flag, right.flag) == ("differs_from_exchange", "")


def test_rights_without_a_price_follow_the_exchange_where_it_is_known() -> None:
    day = MONDAY + timedelta(days=1)
    (known,) = events_on([10.0, 9.0], [Action(day, rights_per_share=0.3, previous_close=9.0)])
    (unknown,) = events_on([10.0, 9.0], [Action(day, rights_per_share=0.3)])

    assert (known.status, known.step) == (Status.UNKNOWN_ACTION, pytest.approx(10 / 9))
    assert (unknown.status, unknown.step) == (Status.IMPOSSIBLE, 1.0)


def test_the_affine_form_takes_later_cash_off_and_divides_by_later_shares() -> None:
    actions = [
        Action(MONDAY + timedelta(days=1), cash_per_share=1.0),
        Action(MONDAY + timedelta(days=2), cash_per_share=0.5, new_shares_per_share=1.0),
    ]

    prices = adjusted([10.0, 9.0, 4.25], actions, Adjust.BROKER)

    assert list(prices) == [(10.0 - 1.0 - 0.5) / 2, (9.0 - 0.5) / 2, 4.25]


def test_the_affine_form_can_be_negative() -> None:
    closes = [0.5, 10.0, 9.0]
    prices = adjusted(closes, [Action(MONDAY + timedelta(days=2), cash_per_share=1.0)], Adjust.BROKER)

    assert prices[0] == -0.5


def test_unadjusted_prices_stay_as_they_are_and_have_no_anchor() -> None:
    result = factors(
        events_on([10.0, 5.0], [Action(MONDAY + timedelta(days=1), new_shares_per_share=1.0)]), Adjust.NONE
    )

    assert list(result.prices(days(2), np.array([10.0, 5.0]))) == [10.0, 5.0]
    assert result.anchor is None


def test_a_form_names_the_bar_it_is_anchored_at() -> None:
    first, last = date(2000, 1, 4), date(2020, 6, 2)

    anchors = {adjust: factors([], adjust, first_bar=first, last_bar=last).anchor for adjust in Adjust}

    assert anchors == {Adjust.NONE: None, Adjust.HFQ: first, Adjust.QFQ: last, Adjust.BROKER: last}


untimed = settings(deadline=None)
# Properties. Closes follow the theory plus a daily change, as the market does.
cash = st.floats(0.0, 0.5)
shares = st.floats(0.0, 1.0)
drawn_actions = st.lists(
    st.tuples(st.integers(1, 20), cash, shares, st.booleans(), st.floats(1.0, 9.0)),
    max_size=6,
    unique_by=lambda drawn: drawn[0],
).map(
    lambda drawn: [
        Action(
            MONDAY + timedelta(days=at),
            cash_per_share=paid,
            new_shares_per_share=0.0 if rights else new,
            rights_per_share=new if rights else 0.0,
            rights_price=price,
        )
        for at, paid, new, rights, price in sorted(drawn)
    ]
)
changes = st.lists(st.floats(0.9, 1.1), min_size=21, max_size=21)


def market(actions: Sequence[Action], moves: Sequence[float], start: float = 1000.0) -> list[float]:
    """Return closes of a market that goes ex exactly and moves by ``moves``."""
    by_day = {action.ex_date: action for action in actions}
    closes, close = [], start
    for at, move in enumerate(moves):
        action = by_day.get(MONDAY + timedelta(days=at)) if at else None
        if action is not None:
            close = theoretical_ex_price(close, action)
        close *= move
        closes.append(close)
    return closes


def form(actions: Sequence[Action], closes: Sequence[float], adjust: Adjust) -> Factors:
    return factors(events_on(closes, actions), adjust)


@untimed
@given(drawn_actions, changes)
def test_adjusted_returns_are_the_markets_and_do_not_depend_on_the_anchor(
    actions: list[Action], moves: list[float]
) -> None:
    closes = market(actions, moves)
    hfq, qfq = adjusted(closes, actions, Adjust.HFQ), adjusted(closes, actions, Adjust.QFQ)

    assert hfq[1:] / hfq[:-1] == pytest.approx(np.array(moves[1:]), rel=1e-9)
    assert qfq[1:] / qfq[:-1] == pytest.approx(hfq[1:] / hfq[:-1], rel=1e-12)


@untimed
@given(st.lists(shares, min_size=21, max_size=21), changes)
def test_a_split_leaves_market_value_alone(new_shares: list[float], moves: list[float]) -> None:
    actions = [
        Action(MONDAY + timedelta(days=at), new_shares_per_share=new) for at, new in enumerate(new_shares) if new and at
    ]
    closes = np.array(market(actions, moves))
    volumes = np.arange(1, 22) * 100_000

    for adjust in (Adjust.HFQ, Adjust.QFQ, Adjust.BROKER):
        result = form(actions, list(closes), adjust)
        value = result.prices(days(21), closes) * result.volumes(days(21), volumes)
        assert value == pytest.approx(closes * volumes, rel=1e-9)


@untimed
@given(drawn_actions, changes, cash, shares)
def test_a_further_action_changes_qfq_by_one_constant_factor(
    actions: list[Action], moves: list[float], paid: float, new: float
) -> None:
    later = Action(MONDAY + timedelta(days=21), cash_per_share=paid, new_shares_per_share=new)
    closes = market([*actions, later], [*moves, 1.0])

    before = adjusted(closes[:21], actions, Adjust.QFQ)
    after = adjusted(closes, [*actions, later], Adjust.QFQ)[:21]

    assert after / before == pytest.approx(np.full(21, (closes[20] - paid) / (1 + new) / closes[20]), rel=1e-9)


@untimed
@given(drawn_actions, changes)
def test_as_of_gives_what_was_known_on_that_day(actions: list[Action], moves: list[float]) -> None:
    closes = market(actions, moves)
    day = MONDAY + timedelta(days=10)

    then = factors(events_on(closes[:11], [each for each in actions if each.ex_date <= day]), Adjust.QFQ)
    now = factors(events_on(closes, actions, as_of=day), Adjust.QFQ)

    prices = np.array(closes[:11])
    assert list(now.prices(days(11), prices)) == list(then.prices(days(11), prices))


@untimed
@given(drawn_actions, changes, st.randoms())
def test_the_order_of_the_actions_does_not_matter(actions: list[Action], moves: list[float], random: object) -> None:
    closes = market(actions, moves)
    shuffled = list(actions)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert list(adjusted(closes, shuffled, Adjust.QFQ)) == list(adjusted(closes, actions, Adjust.QFQ))
