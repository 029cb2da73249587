"""One stock and several sources, each asked through the gate: who gives the bars, and what is said of the others."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from django.conf import settings

from importer import run_import, stopping
from importer.asking import AllSourcesRest, Answer, NoSourceAnswered, ask
from importer.dbtime import db_now
from importer.models import Failure, ImportChunk, SourceState
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.akshare.sina import Sina
from importer.sources.akshare.tencent import Tencent
from importer.sources.base import ListedStock, Source, SourceUnavailable
from importer.sources.fetching import FetchContext, fetching
from marketdata.models import Bar, Stock
from marketdata.store import save_listing
from marketdata.trading_days import known_calendar, trading_days
from tests.sources.expected import expected_bars, same_bars
from tests.sources.standin import StandIn

START, END = date(2024, 1, 1), date(2024, 6, 28)
ALL: list[Source] = [Eastmoney(), Sina(), Tencent()]


def fetch(symbol: str = "600519.SH", sources: list[Source] = ALL, seconds: float = 30.0) -> Answer:
    with fetching(FetchContext(time.monotonic() + seconds, lambda: False)):
        return ask(sources, symbol, START, END, today=END, has_history=False)


def test_the_first_source_that_answers_is_the_one_that_is_remembered(standin: StandIn) -> None:
    answer = fetch()
    assert answer.source == "eastmoney"
    assert same_bars(answer.frame, expected_bars(standin, "600519.SH", START, END, lots=True))


@pytest.mark.parametrize("kind", ["reset", "403", "502", "html", "truncated", "wrong_symbol", "adjusted"])
def test_what_one_source_cannot_give_the_next_one_is_asked_for(standin: StandIn, kind: str) -> None:
    standin.fault(kind, host="eastmoney")
    answer = fetch()
    assert answer.source == "sina"
    assert same_bars(answer.frame, expected_bars(standin, "600519.SH", START, END))


def test_the_third_source_is_asked_when_two_do_not_answer(standin: StandIn, settings: Any) -> None:
    # Enough for Tencent on a busy machine.
    settings.REQUEST_TIMEOUT = 2.0
    standin.fault("silence", host="eastmoney")
    standin.fault("drip", host="sina")
    assert fetch().source == "tencent"


def test_a_source_that_refuses_now_and_then_is_asked_again(standin: StandIn) -> None:
    standin.fault("403", host="eastmoney", times=2)
    assert fetch().source == "eastmoney"


def test_a_source_that_refuses_often_costs_no_stock_while_the_others_cannot_help(standin: StandIn) -> None:
    standin.fault("429", host="eastmoney", seconds=600)
    standin.fault("403", host="sina", times=4)
    # Tencent does not know Beijing, and three tries of Sina are not enough.
    assert fetch("430047.BJ").source == "sina"


def test_a_source_that_rests_is_passed_over_without_a_request(standin: StandIn) -> None:
    standin.fault("403", host="eastmoney", seconds=600)
    fetch()
    standin.clear_door()
    assert fetch().source == "sina"
    assert standin.arrivals("eastmoney") == []


def test_each_source_has_its_reason_when_none_can_give_the_stock(standin: StandIn) -> None:
    standin.fault("502", host="eastmoney")
    standin.fault("wrong_symbol", host="sina")
    with pytest.raises(NoSourceAnswered) as caught:
        fetch("600519.SH", [Eastmoney(), Sina()])
    assert [(refusal.source, refusal.code) for refusal in caught.value.refusals] == [
        ("eastmoney", "source_unavailable"),
        ("sina", "bad_data"),
    ]


def test_a_stock_whose_sources_all_want_to_be_left_alone_is_not_to_blame(standin: StandIn) -> None:
    standin.fault("429", seconds=600)
    with pytest.raises(AllSourcesRest):
        fetch()
    standin.clear_door()
    with pytest.raises(AllSourcesRest):
        fetch()
    assert standin.arrivals() == []


def test_an_empty_answer_counts_when_a_second_source_agrees(standin: StandIn) -> None:
    assert fetch("301999.SZ").frame.empty


def test_an_unknown_stock_is_a_failure_with_each_sources_reason(standin: StandIn) -> None:
    with pytest.raises(NoSourceAnswered) as caught:
        fetch("601999.SH")
    assert [refusal.code for refusal in caught.value.refusals] == ["unknown_symbol", "unknown_symbol", "empty_answer"]


def test_a_stock_that_runs_out_of_time_opens_no_breaker(standin: StandIn) -> None:
    standin.fault("slow", seconds=1.0)
    with pytest.raises(NoSourceAnswered):
        fetch(seconds=0.3)
    assert not SourceState.objects.exclude(troubles=0).exists()


def caught(symbol: str, sources: list[Source] = ALL, seconds: float = 30.0, **more: Any) -> NoSourceAnswered:
    with (
        fetching(FetchContext(time.monotonic() + seconds, lambda: False)),
        pytest.raises(NoSourceAnswered) as caught,
    ):
        ask(sources, symbol, START, END, today=END, has_history=False, **more)
    return caught.value


def test_a_stock_that_only_resting_sources_have_is_put_off_for_as_long_as_it_takes(standin: StandIn) -> None:
    standin.fault("429", host="eastmoney", seconds=600)
    standin.fault("429", host="sina", seconds=900)
    error = caught("430047.BJ")
    until = SourceState.objects.get(pk="eastmoney").open_until
    assert error.next_try(put_off=0) == error.next_try(put_off=1000) == until
    assert standin.arrivals("tencent") == []


def test_a_stock_that_one_source_refused_is_put_off_while_another_rests_but_not_for_ever(standin: StandIn) -> None:
    standin.fault("429", host="eastmoney", seconds=600)
    error = caught("601999.SH")
    assert error.next_try(put_off=7) is not None
    assert error.next_try(put_off=8) is None
    assert [refusal.code for refusal in error.refusals] == ["unknown_symbol", "unknown_symbol", "banned"]


def test_a_stock_whose_source_is_silent_is_put_off_twice(standin: StandIn) -> None:
    standin.fault("502", host="eastmoney")
    error = caught("600519.SH", [Eastmoney()])
    assert error.next_try(put_off=1) is not None
    assert error.next_try(put_off=2) is None


def test_a_stock_waits_for_a_silent_source_no_longer_than_that_one_rests_first(standin: StandIn) -> None:
    standin.fault("429", host="eastmoney", seconds=600)
    fetch()
    standin.fault("502", host="sina")
    # No time for a second turn, which would open its breaker.
    error = caught("430047.BJ", seconds=settings.REQUEST_TIMEOUT - 1)
    assert [refusal.source for refusal in error.refusals if refusal.code == SourceUnavailable.code] == ["sina"]
    again = error.next_try(put_off=1000)
    assert again is not None
    assert again <= db_now() + timedelta(seconds=settings.BREAKER_FIRST_REST)


def test_a_stock_that_every_source_has_answered_for_is_not_put_off(standin: StandIn) -> None:
    assert caught("601999.SH").next_try(put_off=0) is None


def test_an_empty_answer_without_a_second_source_is_a_failure_that_says_so(standin: StandIn) -> None:
    error = caught("301999.SZ", [Eastmoney()])
    assert error.next_try(put_off=0) is None
    assert "no second source confirms it" in str(error.refusals[0].text)


def test_an_empty_answer_waits_for_the_second_source_while_that_one_rests(standin: StandIn) -> None:
    standin.fault("429", host="sina", seconds=600)
    standin.fault("429", host="tencent", seconds=600)
    assert caught("301999.SZ").next_try(put_off=0) is not None


def test_an_empty_answer_counts_when_the_exchange_was_closed_throughout(standin: StandIn) -> None:
    days = np.array(known_calendar().days, "datetime64[D]")
    answer = ask(
        [Eastmoney()],
        "600519.SH",
        date(2024, 10, 1),
        date(2024, 10, 7),
        today=END,
        has_history=False,
        open_days=days,
    )
    assert answer.frame.empty


@pytest.mark.parametrize("refresh", [False, True])
def test_no_bars_where_one_is_stored_is_no_answer(standin: StandIn, settings: Any, refresh: bool) -> None:
    settings.AUTO_ORDER = ["eastmoney", "sina"]
    stopping.reset()
    symbols, later = ["600519.SH"], date(2024, 9, 30)
    run_import("import", source="eastmoney", start=START, end=END, symbols=symbols)
    standin.fault("null", host="eastmoney")
    alone = run_import("import", source="eastmoney", start=START, end=later, symbols=symbols, refresh=refresh)
    assert (alone.status, alone.failed) == ("failed", 1)
    assert "though one is stored" in Failure.objects.get(task=alone).reason_id
    assert Stock.objects.get(symbol="600519.SH").covered_until == END
    assert run_import("import", source="auto", start=START, end=later, symbols=symbols).failed == 0
    assert Bar.objects.filter(date__gt=END, source="sina").count() == len(trading_days(date(2024, 6, 29), later).days)


def test_no_bars_before_the_first_one_that_is_stored_need_a_second_source(standin: StandIn) -> None:
    stopping.reset()
    run_import("import", source="eastmoney", start=START, end=END, symbols=["600519.SH"])
    standin.fault("null", host="eastmoney")
    earlier = date(2022, 1, 4), date(2022, 12, 30)
    task = run_import("import", source="eastmoney", start=earlier[0], end=earlier[1], symbols=["600519.SH"])
    assert task.failed == 1
    assert Failure.objects.get(task=task).code == "empty_answer"


def test_a_stock_of_another_exchange_uses_up_no_probe(standin: StandIn, settings: Any) -> None:
    settings.BREAKER_FIRST_REST = 0.1
    standin.fault("429", host="tencent", seconds=0.1, times=1)
    with pytest.raises(AllSourcesRest):
        fetch(sources=[Tencent()])
    time.sleep(0.2)
    standin.fault("429", host="eastmoney", seconds=600)
    caught("430047.BJ", [Eastmoney(), Tencent()])
    assert SourceState.objects.get(pk="tencent").breaker == "open"
    assert fetch(sources=[Tencent()]).source == "tencent"


def test_an_import_sets_a_stock_of_beijing_aside_while_its_sources_rest_and_gets_it_later(
    standin: StandIn, settings: Any
) -> None:
    settings.BREAKER_FIRST_REST = 0.1
    for host in ("push2his.eastmoney.com", "sina"):
        standin.fault("429", host=host, seconds=2, times=1)
    stopping.reset()
    symbols = ["000001.SZ", "000002.SZ", "430047.BJ", "600519.SH", "688981.SH"]
    save_listing([ListedStock(symbol) for symbol in symbols], simulated=False)
    task = run_import("import", source="auto", start=START, end=END, symbols=symbols)
    assert (task.status, task.done, task.failed) == ("completed", 5, 0)
    assert ImportChunk.objects.exclude(not_before=None).values_list("symbols", flat=True)[0] == ["430047.BJ"]
    assert set(Bar.objects.filter(stock__symbol="430047.BJ").values_list("source", flat=True)) <= {"eastmoney", "sina"}
    assert not Failure.objects.filter(finding=False).exists()
