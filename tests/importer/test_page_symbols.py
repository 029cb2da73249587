"""Stocks typed into a form by name."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from importer.exceptions import BadRequest
from importer.models import ImportTask, TaskSchedule
from importer.page_symbols import typed_symbols
from importer.schedule_orders import order_of
from marketdata.models import Stock
from tests.importer.pages import english_browser, post

pytestmark = pytest.mark.django_db

NAMES = {
    "600519.SH": "贵州茅台",
    "000001.SZ": "平安银行",
    "601318.SH": "中国平安",
    "000858.SZ": "五 粮 液",
    "000002.SZ": "万  科Ａ",
    "600000.SH": "XD浦发银",
    "300999.SZ": "",
}


@pytest.fixture(autouse=True)
def _stocks() -> None:
    Stock.objects.bulk_create(
        Stock(symbol=symbol, code=symbol[:6], exchange=symbol[7:], name=name) for symbol, name in NAMES.items()
    )


@pytest.fixture
def browser() -> Client:
    return english_browser()


@pytest.mark.parametrize(
    ("typed", "symbols"),
    [
        ("", None),
        ("  ", None),
        ("贵州茅台", ["600519.SH"]),
        ("茅台、五粮液", ["600519.SH", "000858.SZ"]),
        ("万科a；sz300999", ["000002.SZ", "sz300999"]),
        ("浦发银", ["600000.SH"]),
        ("平安银行", ["000001.SZ"]),
        ("a", ["a"]),
        ("600519\t000001", ["600519", "000001"]),
    ],
)
def test_a_name_stands_for_its_stock(typed: str, symbols: list[str] | None) -> None:
    assert typed_symbols(typed) == symbols


def test_a_name_that_several_have_names_them() -> None:
    with pytest.raises(BadRequest, match="“平安” may be") as refused:
        typed_symbols("平安")
    assert refused.value.field == "symbols"
    with translation.override("zh-hans"):
        assert str(refused.value) == "“平安”可能是 平安银行 000001.SZ、中国平安 601318.SH。请写明代码。"


def test_a_name_that_no_stock_has_is_said_and_not_taken_for_a_code() -> None:
    with pytest.raises(BadRequest, match="No stored stock is called “没有这只”"):
        typed_symbols("没有这只")


def test_codes_need_no_look_at_the_names(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        typed_symbols("600519, 000001.SZ, 60051")


def test_both_forms_take_names(browser: Client) -> None:
    Stock.objects.update(bar_count=1)
    assert post(browser, "/data/import/", range="year", symbols="贵州茅台")[0] == 302
    assert ImportTask.objects.get().parameters["symbols"] == ["600519.SH"]
    typed = {"when": "trading_day", "time": "16:30", "kind": "update", "symbols": "茅台"}
    assert post(browser, "/data/schedules/", **typed)[0] == 302
    assert order_of(TaskSchedule.objects.get()).symbols == ("600519.SH",)


def test_what_was_pasted_by_mistake_is_not_repeated_at_length(browser: Client) -> None:
    status, page = post(browser, "/data/import/", range="year", symbols="x" * 5000)
    assert status == 422
    assert f"“{'x' * 40}…” is not a stock symbol" in page
