"""The exchanges' own lists: Shanghai as JSON, Shenzhen as Excel sheets, Beijing page by page."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from openpyxl import Workbook  # type: ignore[import-untyped]

from tests.sources.standin.bars import B_SHARES, DELISTED
from tests.sources.standin.requests_seen import Answer, Page

BEIJING_PAGE_SIZE = 20
# The places of what AKShare reads in the 48 fields that Beijing sends.
_BEIJING_FIELDS = {
    0: "fxssrq",
    11: "xxltgb",
    17: "xxhyzl",
    22: "xxjgrq",
    29: "xxssdq",
    36: "xxzgb",
    38: "xxzqdm",
    40: "xxzqjc",
}


def shanghai(page: Page) -> Answer:
    """The main board (STOCK_TYPE 1), the STAR Market (8); with COMPANY_STATUS 3 the delisted ones, B-shares too."""
    form = page.seen.form
    if form["COMPANY_STATUS"] == "3":
        gone = [symbol for symbol in DELISTED if symbol.endswith("SH")] + [B_SHARES[0]]
        rows = [_shanghai_row(page, symbol) for symbol in gone]
    else:
        star = form["STOCK_TYPE"] == "8"
        wanted = [s for s in page.market.listed() if s.endswith("SH") and s.startswith("68") == star]
        rows = [_shanghai_row(page, symbol) for symbol in wanted]
    if "changed_columns" in page.faults:
        rows = [{f"NEW_{name}": value for name, value in row.items()} for row in rows]
    result = None if "null" in page.faults else rows
    return Answer.text(json.dumps({"result": result, "success": "true"}, ensure_ascii=False))


def shenzhen(page: Page) -> Answer:
    """CATALOGID 1110: the listed ones; 1793_ssgs: the delisted ones, B-shares among them."""
    if page.seen.form["CATALOGID"] == "1110":
        header = ["板块", "公司全称", "A股代码", "A股简称", "A股上市日期", "A股总股本", "A股流通股本", "所属行业"]
        rows = [_shenzhen_row(page, symbol) for symbol in page.market.listed() if symbol.endswith("SZ")]
    else:
        header = ["证券代码", "证券简称", "上市日期", "终止上市日期"]
        gone = [(symbol, day) for symbol, day in DELISTED.items() if symbol.endswith("SZ")]
        rows = [[s[:6], f"退市{s[:6]}", page.market.listed_on(s).isoformat(), day.isoformat()] for s, day in gone]
        rows.append([B_SHARES[1][:6], "某Ｂ", "1993-05-28", "2021-09-01"])
    if "changed_columns" in page.faults:
        header = [f"新{name}" for name in header]
    return Answer(_sheet(header, rows), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


def beijing(page: Page) -> Answer:
    symbols = sorted(s for s in page.market.listed() if s.endswith("BJ"))
    number = int(page.seen.form["page"])
    rows = [_beijing_row(page, s) for s in symbols[number * BEIJING_PAGE_SIZE :][:BEIJING_PAGE_SIZE]]
    content = {"content": rows, "totalPages": -(-len(symbols) // BEIJING_PAGE_SIZE)}
    return Answer.text(f"null([{json.dumps(content, ensure_ascii=False)}])", "text/html;charset=UTF-8")


def _shanghai_row(page: Page, symbol: str) -> dict[str, Any]:
    code = symbol[:6]
    gone = DELISTED.get(symbol)
    return {
        "A_STOCK_CODE": code,
        "B_STOCK_CODE": "-",
        "COMPANY_CODE": code,
        "SEC_NAME_CN": f"股票{code}",
        "SEC_NAME_FULL": f"股票{code}",
        "COMPANY_ABBR": f"股票{code}",
        "FULL_NAME": f"公司{code}",
        "LIST_DATE": page.market.listed_on(symbol).strftime("%Y%m%d"),
        "DELIST_DATE": gone.strftime("%Y%m%d") if gone else "-",
    }


def _shenzhen_row(page: Page, symbol: str) -> list[str]:
    code = symbol[:6]
    board = "创业板" if code.startswith("30") else "主板"
    listed_on = page.market.listed_on(symbol).isoformat()
    return [board, f"公司{code}", code, f"股票{code}", listed_on, "1,000", "800", "C 制造业"]


def _beijing_row(page: Page, symbol: str) -> dict[str, Any]:
    known = {
        "fxssrq": page.market.listed_on(symbol).strftime("%Y%m%d"),
        "xxltgb": 1000000,
        "xxhyzl": "制造业",
        "xxjgrq": "20261120",
        "xxssdq": "北京市",
        "xxzgb": 2000000,
        "xxzqdm": symbol[:6],
        "xxzqjc": f"股票{symbol[:6]}",
    }
    names = [_BEIJING_FIELDS.get(place, f"field{place}") for place in range(48)]
    return {name: known.get(name, "") for name in names}


def _sheet(header: list[str], rows: list[list[str]]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(header)
    for row in rows:
        sheet.append(row)
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()
