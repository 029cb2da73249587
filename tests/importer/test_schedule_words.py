"""What somebody is told who plans a schedule."""

from __future__ import annotations

from datetime import time

import pytest

from importer.models import Kind
from importer.schedule_orders import Order
from importer.schedule_rules import Rule, When
from importer.schedule_words import note_text

BEFORE_THE_END = "Bars of a day are final from 16:00 on: a run at 09:30 brings those of the day before."


@pytest.mark.parametrize("rule", [Rule(When.TRADING_DAY, at=time(9, 30)), Rule(When.CRON, cron="30 9 * * 1-5")])
def test_an_update_before_the_day_is_over_is_said_to_bring_the_day_before(rule: Rule) -> None:
    assert str(note_text(rule, Order(Kind.UPDATE))) == BEFORE_THE_END


@pytest.mark.parametrize(
    "rule",
    [
        Rule(When.TRADING_DAY, at=time(16, 30)),
        Rule(When.CRON, cron="30 16 * * 1-5"),
        Rule(When.CRON, cron="*/30 9-17 * * *"),
        Rule(When.CRON, cron="30 9,17 * * *"),
    ],
)
def test_an_update_after_the_end_or_several_times_a_day_needs_no_note(rule: Rule) -> None:
    assert note_text(rule, Order(Kind.UPDATE)) is None


def test_a_repair_may_run_at_any_time() -> None:
    assert note_text(Rule(When.TRADING_DAY, at=time(9, 30)), Order(Kind.REPAIR)) is None
