"""A request as the stand-in sees it, and the answer that a page makes of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from tests.sources.standin.bars import Market


@dataclass(frozen=True)
class Seen:
    """``form`` holds the query's and the body's fields; ``symbol`` is canonical, "" where none is asked for."""

    host: str
    path: str
    form: dict[str, str]
    symbol: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, host: str, target: str, body: str, headers: dict[str, str]) -> Seen:
        parts = urlsplit(target)
        form = dict(parse_qsl(parts.query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))
        return cls(host, parts.path, form, _symbol(parts.path, form), headers)


@dataclass(frozen=True)
class Answer:
    body: bytes
    content_type: str = "application/json; charset=UTF-8"

    @classmethod
    def text(cls, text: str, content_type: str = "application/json; charset=UTF-8") -> Answer:
        return cls(text.encode(), content_type)


@dataclass(frozen=True)
class Page:
    """What a page may look at: the market, the request, and the kinds of the faults that it has."""

    market: Market
    seen: Seen
    faults: Collection[str] = ()


def _symbol(path: str, form: dict[str, str]) -> str:
    if secid := form.get("secid"):
        market, _, code = secid.partition(".")
        exchange = "SH" if market == "1" else "BJ" if code[:2] in ("43", "83", "87", "92") else "SZ"
        return f"{code}.{exchange}"
    wanted = form.get("code") or form.get("param") or form.get("symbol") or path
    if match := re.search(r"\b(sh|sz|bj)(\d{6})", wanted):
        return f"{match[2]}.{match[1].upper()}"
    return ""
