"""The admin of what is stored: to look at and to search, never to edit."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from marketdata.models import CorporateAction, Stock, TradingDay
from marketdata.store import store_bars
from tests.marketdata.bars import bars, weekdays

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    browser = Client(headers={"accept-language": "en"})
    browser.force_login(User.objects.create_superuser("ada"))
    return browser


@pytest.fixture
def stock() -> Stock:
    return Stock.objects.create(symbol="600519.SH", code="600519", exchange="SH", name="贵州茅台")


def shown(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return " ".join(response.content.decode().split())


def test_stocks_are_listed_and_filtered_by_the_names_of_their_boards(client: Client, stock: Stock) -> None:
    Stock.objects.filter(pk=stock.pk).update(board="main")
    page = shown(client, "/admin/marketdata/stock/")
    assert '<td class="field-on_board">main board</td>' in page
    assert "600519.SH" in shown(client, "/admin/marketdata/stock/?board=main")
    assert "600519.SH" not in shown(client, "/admin/marketdata/stock/?board=star")


@pytest.mark.parametrize("name", ["stock", "corporateaction", "tradingday"])
class TestEachTable:
    def path(self, name: str, stock: Stock) -> str:
        day = date(2026, 12, 31)
        row: Any = {
            "stock": lambda: stock,
            "corporateaction": lambda: CorporateAction.objects.create(stock=stock, ex_date=day, cash_per_share=1.5),
            "tradingday": lambda: TradingDay.objects.create(date=day),
        }[name]()
        return f"/admin/marketdata/{name}/{row.pk}/change/"

    def test_it_is_listed_and_each_row_has_a_page(self, client: Client, stock: Stock, name: str) -> None:
        path = self.path(name, stock)
        assert 'name="_save"' not in shown(client, path)
        shown(client, f"/admin/marketdata/{name}/")

    def test_nothing_is_added_edited_or_deleted_by_hand(self, client: Client, stock: Stock, name: str) -> None:
        path = self.path(name, stock)
        assert client.post(f"/admin/marketdata/{name}/add/", {}).status_code == 403
        assert client.post(path, {"name": "x"}).status_code == 403
        assert client.post(path.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
        assert "delete_selected" not in shown(client, f"/admin/marketdata/{name}/")


@pytest.mark.parametrize("wanted", ["600519", "600519.SH", "茅台"])
def test_a_stock_is_found_by_its_symbol_and_its_name(client: Client, stock: Stock, wanted: str) -> None:
    Stock.objects.create(symbol="000001.SZ", code="000001", exchange="SZ", name="平安银行")
    page = shown(client, f"/admin/marketdata/stock/?q={wanted}")
    assert "贵州茅台" in page
    assert "平安银行" not in page


class TestBars:
    @pytest.fixture
    def path(self, stock: Stock) -> str:
        store_bars(stock.pk, bars(weekdays("2024-01-02", 250)), source="sina", simulated=False, covered=None)
        return f"/admin/marketdata/stock/{stock.pk}/bars/"

    def test_the_list_of_stocks_leads_to_them(self, client: Client, path: str) -> None:
        assert f'<a href="{path}">250</a>' in shown(client, "/admin/marketdata/stock/")

    def test_the_newest_come_first_and_the_older_ones_on_further_pages(self, client: Client, path: str) -> None:
        first, second = shown(client, path), shown(client, path + "?page=2")
        assert (first.count("<td>sina</td>"), second.count("<td>sina</td>")) == (200, 50)
        assert "2024-01-02" not in first
        assert "2024-01-02" in second

    def test_they_are_shown_to_those_alone_who_may_see_stocks(self, path: str) -> None:
        user = User.objects.create_user("bob", is_staff=True)
        browser = Client(headers={"accept-language": "en"})
        browser.force_login(user)
        assert browser.get(path).status_code == 403
        user.user_permissions.add(Permission.objects.get(codename="view_stock"))
        assert "sina" in shown(browser, path)

    def test_a_stock_that_is_not_there_has_none(self, client: Client) -> None:
        assert client.get("/admin/marketdata/stock/99999/bars/").status_code == 404


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        shown(client, path)
    return len(captured)


@pytest.mark.parametrize("path", ["stock/", "stock/?q=600", "corporateaction/"])
def test_a_list_takes_as_many_queries_with_all_stocks_as_with_one(client: Client, stock: Stock, path: str) -> None:
    CorporateAction.objects.create(stock=stock, ex_date=date(2024, 6, 19), cash_per_share=30.876)
    shown(client, f"/admin/marketdata/{path}")
    few = queries(client, f"/admin/marketdata/{path}")
    Stock.objects.bulk_create(
        Stock(symbol=f"{number:06d}.SZ", code=f"{number:06d}", exchange="SZ", name="x") for number in range(5400)
    )
    CorporateAction.objects.bulk_create(
        CorporateAction(stock=each, ex_date=date(2024, 1, 2) + timedelta(days=place % 300))
        for place, each in enumerate(Stock.objects.all())
        if each.pk != stock.pk
    )
    assert queries(client, f"/admin/marketdata/{path}") <= few
    assert few <= 10
