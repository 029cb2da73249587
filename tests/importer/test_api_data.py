"""What is stored, read through the API: status, stocks, bars in three formats, estimates; and health."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from importer.dbtime import db_now
from importer.models import Breaker, Host, SourceState, Status
from importer.pace_rules import REFUSED
from marketdata.index_days import forget_sums, save_index_days
from marketdata.market_index import IndexDayBar
from marketdata.models import CorporateAction, Stock
from marketdata.reading import load_bars
from marketdata.store import store_bars
from marketdata.trading_days import newest_finished_day
from tests.importer.api_caller import API, Caller, error_of
from tests.importer.factories import make_task
from tests.importer.simulated_clock import at

pytestmark = pytest.mark.django_db

DAYS = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"])


@pytest.fixture
def api() -> Caller:
    return Caller()


@pytest.fixture
def moutai() -> Stock:
    """A stock with four days, ex-dividend on the third."""
    stock = make_stock("600519.SH", "贵州茅台", listed_on=date(2001, 8, 27))
    frame = pd.DataFrame(
        {
            "date": DAYS,
            "open": [10.0, 10.5, 9.6, 9.9],
            "high": [10.6, 10.9, 10.0, 10.2],
            "low": [9.9, 10.4, 9.5, 9.8],
            "close": [10.5, 10.8, 9.9, 10.1],
            "volume": np.array([1000, 1200, 900, 1100], np.int64),
            "amount": [10250.0, 12780.0, 8775.0, 11000.0],
        }
    )
    store_bars(stock.pk, frame, source="sina", simulated=False, covered=(date(2024, 1, 2), date(2024, 1, 5)))
    CorporateAction.objects.create(stock=stock, ex_date=date(2024, 1, 4), cash_per_share=0.8)
    return stock


def make_stock(symbol: str, name: str = "", **values: Any) -> Stock:
    code, exchange = symbol.split(".")
    return Stock.objects.create(symbol=symbol, code=code, exchange=exchange, name=name, **values)


def test_the_status_of_an_empty_database(api: Caller) -> None:
    content = api.get("/status").json()
    data = content["data"]
    assert content["success"] is True
    assert (data["stock_count"], data["bar_count"], data["stocks_up_to_date"]) == (0, 0, 0)
    assert (data["first_date"], data["last_date"], data["active_task"], data["origin"]) == (None, None, None, None)
    assert (data["workers"], data["hosts"], data["sources"]) == (0, [], [])
    assert date.fromisoformat(data["newest_finished_day"]) <= date.today()
    assert data["bytes_used"] > 0


def test_the_status_tells_what_is_stored_who_works_and_how_the_sources_are(api: Caller, moutai: Stock) -> None:
    now = db_now()
    Host.objects.create(name="here", workers=3, pid=1, started_at=now, seen_at=now, version="1")
    Host.objects.create(name="gone", workers=3, pid=2, started_at=now, seen_at=now - timedelta(minutes=5))
    SourceState.objects.create(
        source="eastmoney", breaker=Breaker.OPEN, open_until=now + timedelta(minutes=5), refusals=5, requests=70
    )
    running = make_task(status=Status.RUNNING)
    make_task()
    data = api.get("/status").json()["data"]
    assert (data["stock_count"], data["stocks_with_bars"], data["bar_count"]) == (1, 1, 4)
    assert (data["first_date"], data["last_date"], data["origin"]) == ("2024-01-02", "2024-01-05", "real")
    assert (data["active_task"]["task_id"], data["waiting_tasks"]) == (str(running.pk), 1)
    assert (data["workers"], [host["name"] for host in data["hosts"]]) == (3, ["here"])
    (source,) = data["sources"]
    assert (source["source"], source["breaker"], source["refusals"], source["requests"]) == ("eastmoney", "open", 5, 70)
    assert source["next_try"].endswith("+08:00")
    SourceState.objects.update(
        open_until=now - timedelta(seconds=1),
        reason_id=REFUSED,
        reason_values={"source": "Eastmoney", "count": 5, "time": ""},
    )
    (source,) = api.get("/status").json()["data"]["sources"]
    assert (source["breaker"], source["next_try"]) == ("open", None)
    assert source["reason"].endswith(("the next request tries it again", "下次请求时再试"))


def test_the_status_tells_how_complete_the_newest_day_is(api: Caller) -> None:
    newest = newest_finished_day(db_now())
    make_stock("600000.SH", bar_count=9, first_bar=date(2024, 1, 2), last_bar=newest)
    make_stock("600001.SH", bar_count=9, first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 5))
    make_stock(
        "600002.SH", bar_count=9, first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 5),
        covered_from=date(2024, 1, 2), covered_until=newest,
    )  # fmt: skip
    assert api.get("/status").json()["data"]["newest_day"] == {
        "date": newest.isoformat(), "complete": False, "expected": 2, "present": 1, "missing": 1, "suspended": 1,
        "index": "unknown", "turnovers": [],
    }  # fmt: skip


def test_the_status_takes_few_queries(api: Caller, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    for number in range(20):
        make_stock(f"60{number:04}.SH")
        make_task()
    with django_assert_max_num_queries(10):
        api.get("/status")


def test_stocks_are_listed_by_symbol_a_page_at_a_time(api: Caller, moutai: Stock) -> None:
    make_stock("000001.SZ", "平安银行")
    content = api.get("/stocks").json()
    assert ([row["symbol"] for row in content["data"]], content["total"]) == (["000001.SZ", "600519.SH"], 2)
    assert content["data"][1] == {
        "symbol": "600519.SH", "code": "600519", "exchange": "SH", "name": "贵州茅台", "board": "",
        "listed_on": "2001-08-27", "delisted_on": None, "first_bar": "2024-01-02", "last_bar": "2024-01-05",
        "bar_count": 4, "covered_from": "2024-01-02", "covered_until": "2024-01-05",
    }  # fmt: skip
    second = api.get("/stocks", limit=1, offset=1).json()
    assert ([row["symbol"] for row in second["data"]], second["total"]) == (["600519.SH"], 2)


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ({"search": "茅台"}, ["600519.SH"]),
        ({"search": "0051"}, ["600519.SH"]),
        ({"search": " sh600519 "}, ["600519.SH"]),
        ({"search": "600519.XSHG"}, ["600519.SH"]),
        ({"search": "%"}, []),
        ({"search": "_"}, []),
        ({"search": "'; DROP TABLE marketdata_stock; --"}, []),
        ({"search": "1"}, ["000001.SZ", "600519.SH"]),
        ({"exchange": "SZ"}, ["000001.SZ"]),
        ({"exchange": "SZ", "search": "茅台"}, []),
        ({"search": ""}, ["000001.SZ", "600519.SH"]),
    ],
)
def test_stocks_are_found_by_symbol_and_name(
    api: Caller, moutai: Stock, query: dict[str, str], symbols: list[str]
) -> None:
    make_stock("000001.SZ", "平安银行")
    content = api.get("/stocks", **query).json()
    assert [row["symbol"] for row in content["data"]] == symbols
    assert content["total"] == len(symbols)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"exchange": "sh"}, "exchange"),
        ({"search": "x" * 41}, "search"),
        ({"search": "a\x00"}, "search"),
        ({"limit": "1000"}, "limit"),
    ],
)
def test_a_search_that_makes_no_sense_is_named(api: Caller, query: dict[str, str], field: str) -> None:
    assert error_of(api.get("/stocks", **query)) == (422, "bad_request", field)


def test_bars_are_as_traded_unless_asked_otherwise(api: Caller, moutai: Stock) -> None:
    content = api.get("/bars/600519").json()
    assert {name: content[name] for name in content if name != "data"} == {
        "success": True, "symbol": "600519.SH", "adjust": "none", "anchor": None, "as_of": None,
        "adjust_volume": False, "notes": [], "total": 4,
    }  # fmt: skip
    assert content["data"][0] == {
        "date": "2024-01-02", "open": 10.0, "high": 10.6, "low": 9.9, "close": 10.5, "volume": 1000, "amount": 10250.0,
    }  # fmt: skip
    assert [row["date"] for row in content["data"]] == [f"2024-01-0{day}" for day in (2, 3, 4, 5)]


@pytest.mark.parametrize("symbol", ["600519", "600519.SH", "sh600519", "SH.600519", "600519.ss"])
def test_a_stock_may_be_written_in_any_common_way(api: Caller, moutai: Stock, symbol: str) -> None:
    assert api.get(f"/bars/{symbol}").json()["symbol"] == "600519.SH"
    assert api.get(f"/bars/{symbol}.csv").status_code == 200


def test_a_range_of_bars(api: Caller, moutai: Stock) -> None:
    content = api.get("/bars/600519", start="2024-01-03", end="2024-01-04").json()
    assert [row["date"] for row in content["data"]] == ["2024-01-03", "2024-01-04"]
    assert api.get("/bars/600519", start="2025-01-01").json()["data"] == []


@pytest.mark.parametrize("adjust", ["none", "qfq", "hfq", "broker"])
def test_the_first_and_the_last_day_that_there_is_may_be_asked_for(api: Caller, moutai: Stock, adjust: str) -> None:
    everything = api.get("/bars/600519", start="0001-01-01", end="9999-12-31", as_of="9999-12-31", adjust=adjust)
    assert everything.json()["total"] == 4
    for query in ({"end": "0001-01-01"}, {"start": "9999-12-31"}, {"as_of": "0001-01-01"}):
        assert api.get("/bars/600519", adjust=adjust, **query).json()["total"] == 0


@pytest.mark.parametrize(("adjust", "anchor"), [("qfq", "2024-01-05"), ("hfq", "2024-01-02"), ("broker", "2024-01-05")])
def test_adjusted_bars_name_their_anchor_and_are_those_of_load_bars(
    api: Caller, moutai: Stock, adjust: str, anchor: str
) -> None:
    content = api.get("/bars/600519", adjust=adjust).json()
    assert (content["adjust"], content["anchor"]) == (adjust, anchor)
    frame = load_bars("600519", adjust=adjust)
    assert [row["close"] for row in content["data"]] == frame["close"].tolist()
    assert frame["close"].tolist() != load_bars("600519")["close"].tolist()


def test_prices_as_they_were_known_on_a_day(api: Caller, moutai: Stock) -> None:
    content = api.get("/bars/600519", adjust="qfq", as_of="2024-01-03").json()
    assert (content["as_of"], content["anchor"]) == ("2024-01-03", "2024-01-03")
    assert [row["close"] for row in content["data"]] == [10.5, 10.8]


def test_csv_is_what_pandas_reads(api: Caller, moutai: Stock) -> None:
    response = api.get("/bars/600519.SH.csv", adjust="qfq")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="600519.SH-qfq-2024-01-05.csv"'
    assert (response.headers["X-Barvault-Adjust"], response.headers["X-Barvault-Anchor"]) == ("qfq", "2024-01-05")
    frame = pd.read_csv(io.BytesIO(response.content), parse_dates=["date"], index_col="date")
    pd.testing.assert_frame_equal(frame, load_bars("600519", adjust="qfq"), check_index_type=False, check_flags=False)


def test_parquet_is_what_pandas_reads(api: Caller, moutai: Stock) -> None:
    response = api.get("/bars/600519.SH.parquet")
    assert response.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert response.headers["Content-Disposition"] == 'attachment; filename="600519.SH.parquet"'
    frame = pd.read_parquet(io.BytesIO(response.content))
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume", "amount"]
    pd.testing.assert_frame_equal(frame.set_index("date"), load_bars("600519"), check_index_type=False)


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
def test_a_stock_without_bars_has_an_empty_table(api: Caller, suffix: str) -> None:
    make_stock("000001.SZ")
    response = api.get(f"/bars/000001{suffix}", adjust="qfq")
    assert response.status_code == 200
    if suffix == ".csv":
        assert response.content == b"date,open,high,low,close,volume,amount\n"


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
def test_a_stock_that_is_not_stored_is_a_404_and_no_stock_a_422(api: Caller, suffix: str) -> None:
    assert error_of(api.get(f"/bars/600519{suffix}")) == (404, "unknown_stock", None)
    for symbol in ("AAPL", "000001.SH", "600519.SZ", "900901", "..", "%00", "6" * 300):
        assert error_of(api.get(f"/bars/{symbol}{suffix}")) == (422, "bad_symbol", "symbol")


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start": "2024"}, "start"),
        ({"end": "2024-02-30"}, "end"),
        ({"adjust": "front"}, "adjust"),
        ({"as_of": "x"}, "as_of"),
        ({"start": "2024-01-05", "end": "2024-01-04"}, "end"),
    ],
)
def test_a_range_that_makes_no_sense_is_named(
    api: Caller, moutai: Stock, suffix: str, query: dict[str, str], field: str
) -> None:
    assert error_of(api.get(f"/bars/600519{suffix}", **query)) == (422, "bad_request", field)


def test_an_estimate_says_what_an_import_would_take(api: Caller, settings: Settings) -> None:
    settings.PACE_MIN, settings.PACE_MAX = 0.1, 0.3
    data = api.get("/estimate", start_date="2024-01-01", end_date="2024-12-25", symbols="600519,000001").json()["data"]
    assert (data["stocks"], data["skipped"], data["requests"], data["fits"]) == (2, 0, 2, True)
    # 240 trading days from 2024-01-02 to 2024-12-25, and 0.2 s between two requests.
    assert data["bars"] == 476
    assert data["bytes_needed"] == 476 * 120
    assert data["seconds"] == 0


def test_an_estimate_is_refused_for_the_reasons_of_the_import(api: Caller) -> None:
    assert error_of(api.get("/estimate", kind="update")) == (409, "empty_database", None)
    assert error_of(api.get("/estimate", start_date="2090-01-01")) == (422, "bad_request", "start_date")
    assert error_of(api.get("/estimate", kind="export")) == (422, "bad_request", "kind")
    assert error_of(api.get("/estimate", symbols="600519,AAPL")) == (422, "bad_request", "symbols")


def test_the_process_is_healthy_also_without_a_database(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    break_database(monkeypatch)
    response = api.call("GET", "/healthz")
    assert (response.status_code, response.json()) == (200, {"success": True, "status": "ok"})
    assert api.call("HEAD", "/healthz").status_code == 200


def test_a_server_without_workers_is_not_ready(api: Caller) -> None:
    response = api.call("GET", "/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "success": False, "error": "not_ready", "message": response.json()["message"],
        "missing": ["workers"], "checks": {"database": "ok", "queue": "ok", "workers": "missing"},
    }  # fmt: skip


def test_a_server_with_workers_is_ready(api: Caller) -> None:
    Host.objects.create(name="here", workers=2, pid=1, started_at=db_now(), seen_at=db_now())
    response = api.call("GET", "/readyz")
    assert response.status_code == 200
    assert response.json()["checks"] == {"database": "ok", "queue": "ok", "workers": "ok"}


def test_a_server_without_a_database_is_not_ready(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    break_database(monkeypatch)
    response = api.call("GET", "/readyz")
    assert response.status_code == 503
    assert response.json()["missing"] == ["database", "queue", "workers"]


def break_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OperationalError("the disk with /private/barvault.sqlite3 is gone")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)


def test_a_database_that_does_not_answer_is_a_503_that_tells_no_details(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_database(monkeypatch)
    response = api.get("/status")
    assert error_of(response) == (503, "unavailable", None)
    assert "private" not in response.content.decode()


def test_an_unexpected_error_is_a_500_that_tells_no_details(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.api_data.data_status", lambda: 1 / 0)
    response = api.get("/status")
    assert error_of(response) == (500, "server_error", None)
    assert "division" not in response.content.decode()


@pytest.mark.parametrize("suffix", ["", ".csv", ".parquet"])
def test_who_has_the_bars_already_gets_them_again_only_when_they_changed(
    api: Caller, moutai: Stock, suffix: str
) -> None:
    first = api.get(f"/bars/600519{suffix}", adjust="qfq")
    client = Client(headers={"Host": "localhost:5000", "Accept-Language": "en", "If-None-Match": first["ETag"]})
    address = f"{API}/bars/600519{suffix}?adjust=qfq"
    again = client.get(address)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address.replace("qfq", "hfq")).status_code == 200
    CorporateAction.objects.filter(stock=moutai).update(cash_per_share=0.7)
    corrected = client.get(address)
    assert (corrected.status_code, corrected["ETag"] == first["ETag"]) == (200, False)


def test_bars_are_compressed_for_who_takes_it(api: Caller, moutai: Stock) -> None:
    client = Client(headers={"Host": "localhost:5000", "Accept-Encoding": "gzip"})
    compressed = client.get(f"{API}/bars/600519.csv")
    assert compressed["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.content) == api.get("/bars/600519.csv").content
    assert "Content-Encoding" not in client.get(f"{API}/bars/600519.parquet")
    unchanged = Client(headers={"Host": "localhost:5000", "If-None-Match": compressed["ETag"]})
    assert unchanged.get(f"{API}/bars/600519.csv").status_code == 304


def test_an_answer_that_says_unchanged_may_be_kept_as_long_as_the_whole_one(api: Caller, moutai: Stock) -> None:
    whole = api.get("/bars/600519.csv")
    unchanged = Client(headers={"Host": "localhost:5000", "If-None-Match": whole["ETag"]}).get(f"{API}/bars/600519.csv")
    assert (unchanged["ETag"], unchanged["Cache-Control"]) == (whole["ETag"], whole["Cache-Control"])


def test_json_may_be_asked_for_by_its_ending(api: Caller, moutai: Stock) -> None:
    named = api.get("/bars/600519.json", adjust="qfq")
    assert (named.content, named["ETag"]) == (
        api.get("/bars/600519", adjust="qfq").content,
        api.get("/bars/600519", adjust="qfq")["ETag"],
    )


def test_volumes_are_adjusted_where_that_is_asked_for_and_the_answer_says_so(api: Caller, moutai: Stock) -> None:
    CorporateAction.objects.filter(stock=moutai).update(new_shares_per_share=1)
    plain = api.get("/bars/600519", adjust="qfq").json()
    content = api.get("/bars/600519", adjust="qfq", adjust_volume="true").json()
    assert [row["volume"] for row in content["data"]] == [2000, 2400, 900, 1100]
    assert (plain["adjust_volume"], content["adjust_volume"]) == (False, True)
    as_file = api.get("/bars/600519.parquet", adjust="qfq", adjust_volume="true")
    assert as_file["X-Barvault-Adjust-Volume"] == "true"
    assert pd.read_parquet(io.BytesIO(as_file.content)).attrs["adjust_volume"] is True
    panel = api.get("/panel.parquet", adjust="qfq", adjust_volume="true")
    assert pd.read_parquet(io.BytesIO(b"".join(panel.streaming_content)))["volume"].tolist() == [2000, 2400, 900, 1100]


def test_a_panel_has_the_fields_that_are_asked_for(api: Caller, moutai: Stock) -> None:
    def panel(**query: str) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(b"".join(api.get("/panel.parquet", **query).streaming_content)))

    whole = panel(adjust="hfq")
    some = panel(adjust="hfq", fields="volume, close,close")
    pd.testing.assert_frame_equal(some, whole[["symbol", "date", "volume", "close"]])
    assert some.attrs == whole.attrs
    for fields in ("", "Close", "close,", "symbol"):
        assert error_of(api.get("/panel.parquet", fields=fields)) == (422, "bad_request", "fields")


@pytest.mark.parametrize("address", ["/bars/600519", "/panel.parquet"])
def test_volumes_cannot_be_adjusted_without_prices(api: Caller, moutai: Stock, address: str) -> None:
    assert error_of(api.get(address, adjust_volume="true")) == (422, "bad_request", "adjust_volume")


@pytest.mark.parametrize("address", ["/bars/600519.csv", "/bars/600519.parquet", "/panel.parquet"])
def test_a_file_says_what_is_in_doubt(api: Caller, moutai: Stock, address: str) -> None:
    CorporateAction.objects.filter(stock=moutai).update(cash_per_share=0, previous_close=9.0)
    response = api.get(address, adjust="qfq")
    assert response["X-Barvault-Flags"] == "600519.SH 2024-01-04 ex_right_without_known_action"
    assert response["X-Barvault-Anchor"] == "2024-01-05"
    unadjusted = api.get(address)
    assert "X-Barvault-Flags" not in unadjusted
    for each in (response, unadjusted):
        each.close()


def test_who_has_the_panel_already_gets_it_again_only_when_it_changed(
    api: Caller, moutai: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = api.get("/panel.parquet", adjust="hfq")
    assert int(first["Content-Length"]) == len(b"".join(first.streaming_content))
    client = Client(headers={"Host": "localhost:5000", "If-None-Match": first["ETag"]})
    again = client.get(f"{API}/panel.parquet?adjust=hfq")
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert list(tmp_path.iterdir()) == []
    CorporateAction.objects.filter(stock=moutai).update(cash_per_share=0.7)
    corrected = client.get(f"{API}/panel.parquet?adjust=hfq")
    assert (corrected.status_code, corrected["ETag"] == first["ETag"]) == (200, False)
    corrected.close()


def test_a_panel_is_a_parquet_file_that_leaves_nothing_behind(
    api: Caller, moutai: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    response = api.get("/panel.parquet", start="2024-01-03", adjust="hfq")
    assert response.streaming
    frame = pd.read_parquet(io.BytesIO(b"".join(response.streaming_content)))
    assert set(frame["symbol"]) == {"600519.SH"}
    assert len(frame) == 3
    assert frame["close"].tolist() == load_bars("600519", "2024-01-03", adjust="hfq")["close"].tolist()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "answered"),
    [
        ({"symbols": "AAPL"}, (422, "bad_symbol", "symbol")),
        ({"symbols": "600000"}, (404, "unknown_stock", None)),
        ({"start": "2024-01-05", "end": "2024-01-04"}, (422, "bad_request", "end")),
        ({"start": "2030-01-01"}, (404, "export_error", None)),
    ],
    ids=lambda each: str(each),
)
def test_a_panel_that_cannot_be_is_a_sentence(
    api: Caller, moutai: Stock, query: dict[str, str], answered: tuple[int, str, str | None]
) -> None:
    assert error_of(api.get("/panel.parquet", **query)) == answered


def test_the_proof_of_a_stock_names_each_ex_date(api: Caller, moutai: Stock) -> None:
    proof = api.get("/bars/600519/proof").json()
    (row,) = proof["data"]
    assert (proof["symbol"], proof["total"], proof["flagged"]) == ("600519.SH", 1, 0)
    assert (row["ex_date"], row["code"], row["flagged"], row["flag"]) == ("2024-01-04", "applied", False, None)
    assert row["step"] > 1
    CorporateAction.objects.update(cash_per_share=99_999.0)
    (row,) = api.get("/bars/600519/proof").json()["data"]
    assert (row["code"], row["flagged"], row["flag"]) == ("impossible_action", True, "impossible_action")
    assert error_of(api.get("/bars/600000/proof")) == (404, "unknown_stock", None)


def test_a_day_says_what_is_missing(api: Caller, moutai: Stock) -> None:
    day = api.get("/days/2024-01-03").json()["data"]
    assert (day["complete"], day["expected"], day["present"], day["missing_symbols"]) == (True, 1, 1, [])
    assert day["message"] == "1 expected, 1 there, 0 missing"
    assert error_of(api.get("/days/2024-13-03"))[0] == 422


def test_an_incomplete_day_is_refused_where_that_is_asked_for(api: Caller, moutai: Stock) -> None:
    assert api.get("/days/2024-01-03", incomplete="refuse").json()["data"]["complete"]
    make_stock("000001.SZ", bar_count=1, first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 2))
    assert api.get("/days/2024-01-03").json()["data"]["missing_symbols"] == ["000001.SZ"]
    assert error_of(api.get("/days/2024-01-03", incomplete="refuse")) == (409, "incomplete_day", None)
    assert error_of(api.get("/days/2024-01-03", incomplete="ignore"))[0] == 422


def test_an_incomplete_panel_is_refused_where_that_is_asked_for(api: Caller, moutai: Stock) -> None:
    day = {"start": "2024-01-03", "end": "2024-01-03"}
    assert b"".join(api.get("/panel.parquet", incomplete="refuse", **day).streaming_content)
    make_stock("000001.SZ", bar_count=1, first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 2))
    assert b"".join(api.get("/panel.parquet", **day).streaming_content)
    assert error_of(api.get("/panel.parquet", incomplete="refuse", **day)) == (409, "incomplete_day", None)
    assert b"".join(api.get("/panel.parquet", incomplete="refuse", symbols="600519", **day).streaming_content)
    assert error_of(api.get("/panel.parquet", incomplete="ignore"))[0] == 422


def keep_index(day: date, amount: float) -> None:
    forget_sums()
    save_index_days("000001.SH", [IndexDayBar(day, 3000.0, amount)], source="eastmoney")


def test_a_day_whose_index_differs_is_incomplete_and_says_so(api: Caller, moutai: Stock) -> None:
    keep_index(date(2024, 1, 3), 12780.0)
    day = api.get("/days/2024-01-03", incomplete="refuse").json()["data"]
    assert (day["complete"], day["index"]) == (True, "agrees")
    keep_index(date(2024, 1, 3), 20000.0)
    day = api.get("/days/2024-01-03").json()["data"]
    assert (day["complete"], day["missing"], day["index"]) == (False, 0, "differs")
    assert day["turnovers"] == [{"exchange": "SH", "of_index": 20000.0, "of_stocks": 12780.0}]
    assert "Shanghai: the stocks' turnover is" in day["message"]
    assert error_of(api.get("/days/2024-01-03", incomplete="refuse")) == (409, "incomplete_day", None)


def test_the_status_tells_whether_the_index_of_the_newest_day_agrees(api: Caller, moutai: Stock) -> None:
    with at(date(2024, 1, 5)):
        keep_index(date(2024, 1, 5), 11000.0)
        newest = api.get("/status").json()["data"]["newest_day"]
        assert (newest["complete"], newest["index"]) == (True, "agrees")
        keep_index(date(2024, 1, 5), 12000.0)
        newest = api.get("/status").json()["data"]["newest_day"]
        assert (newest["complete"], newest["index"]) == (False, "differs")
