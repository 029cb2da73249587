"""Each source and each fault: what the user sees, and that nothing wrong is in the database afterwards.

The tables in ``docs/sources.md`` are made from what really happened here. When they are out of date:
``BARVAULT_TEST_WRITE_DOCS=1 pytest tests/sources/test_fault_matrix.py``
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.test import override_settings
from django.utils import translation

from importer.models import SourceState
from importer.pace_memory import memory
from importer.sources.akshare.eastmoney import Eastmoney
from importer.sources.akshare.sina import Sina
from importer.sources.akshare.tencent import Tencent
from importer.sources.baostock import Baostock
from importer.sources.base import SourceError
from importer.sources.rows import Precision
from importer.sources.tdxquotes import TdxQuotes
from importer.sources.validation import validate_bars
from marketdata.models import Bar
from marketdata.store import ensure_stocks, store_bars
from tests.importer.simulated_clock import at
from tests.sources.conftest import close_connections
from tests.sources.standin import StandIn, running_standin
from tests.sources.standin.bars import StandInBar

# The clock stands at the last day of the stand-in's market, which urllib3 takes for a broken one.
pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.SystemTimeWarning")

SYMBOL, START, END = "600519.SH", date(2024, 1, 2), date(2024, 6, 28)
SOURCES = {
    "eastmoney": Eastmoney(),
    "sina": Sina(),
    "tencent": Tencent(),
    "baostock": Baostock(),
    "tdxquotes": TdxQuotes(),
}
# Instead of the ten seconds that a request really has, where the fault is that it never ends. Every other one ends by
# itself, on a busy machine later.
ENDLESS = {"silence", "drip", "drip_headers", "truncated"}
LIMIT = 1.0
DOCS = Path(project_settings.BASE_DIR) / "docs" / "sources.md"


@dataclass(frozen=True)
class Case:
    words: str
    kind: str
    seconds: float = 0.0


CASES = [
    Case("connection reset", "reset"),
    Case("silence for ever", "silence"),
    Case("slow drip", "drip"),
    Case("slow drip from the first byte on", "drip_headers"),
    Case("answer broken off", "broken_off"),
    Case("403", "403"),
    Case("429 with Retry-After: 600", "429", 600),
    Case("502", "502"),
    Case("404", "404"),
    Case("redirect to another site", "redirect"),
    Case("redirect in a circle", "redirect_loop"),
    Case("HTML with status 200", "html"),
    Case("empty body", "empty"),
    Case("truncated answer", "truncated"),
    Case("packed answer that is cut", "gzip_cut"),
    Case("`data: null`, no data", "null"),
    Case("another stock's data", "wrong_symbol"),
    Case("a day in the future", "future_day"),
    Case("a day without trading", "weekend_day"),
    Case("high below low", "high_below_low"),
    Case("a number is missing", "nan"),
    Case("a day twice, with different prices", "duplicate_days"),
    Case("other columns", "changed_columns"),
    Case("volumes a hundred times too small", "lots"),
    Case("adjusted prices", "adjusted"),
    Case("certificate not trusted", "certificate"),
]
# Of the sources that speak a protocol of their own over TCP: the same words, where they mean something there.
_OF_THE_WEB = {"403", "429", "502", "404", "redirect", "redirect_loop", "html", "empty", "truncated", "gzip_cut"}
_OF_THE_WEB |= {"certificate", "drip_headers"}
TCP_CASES = [
    *(case for case in CASES if case.kind not in _OF_THE_WEB),
    Case("connection closed without an answer", "close"),
    Case("a web page where an answer belongs", "html"),
    Case("truncated answer", "truncated"),
    Case("bytes that mean nothing", "garbage"),
    Case("the answer to another request", "mixed_up"),
]
CASES_OF = {
    "baostock": [
        *TCP_CASES,
        Case("a wrong checksum", "checksum"),
        Case("an error of the service", "refused"),
        Case("this address is on its blacklist", "blacklisted"),
        Case("the service forgets each login", "logged_out"),
    ],
    "tdxquotes": [
        # An answer holds no stock's code and no names of columns.
        *(case for case in TCP_CASES if case.kind not in ("wrong_symbol", "changed_columns")),
        Case("damaged data", "checksum"),
        Case("a number that is too large to be one", "overflow"),
        Case("a server that sends no bars to strangers", "count_only"),
    ],
}


@dataclass(frozen=True)
class Outcome:
    """What came of a fault: the error's code ("" for none), the user's sentence, and what the breaker made of it."""

    code: str
    sentence: str
    stored: int
    wrong: int
    troubles: int
    opened: bool


def outcome(standin: StandIn, name: str, case: Case) -> Outcome:
    source = SOURCES[name]
    code, sentence = "", ""
    standin.fault(case.kind, host=name, seconds=case.seconds)
    # A quote server has to be up to date, and this market ends there.
    clock = at(END) if name == "tdxquotes" else nullcontext()
    limit = override_settings(REQUEST_TIMEOUT=LIMIT) if case.kind in ENDLESS else nullcontext()
    with translation.override("en"), clock, limit:
        try:
            frame = source.daily_bars(SYMBOL, START, END)
            checked = validate_bars(
                frame, symbol=SYMBOL, source=name, start=START, end=END, today=END, precision=source.precision
            )
            stock_id = ensure_stocks([SYMBOL])[SYMBOL]
            store_bars(stock_id, checked.frame, source=name, simulated=False, covered=None)
            sentence = " ".join(str(finding.text) for finding in checked.findings)
        except SourceError as error:
            code, sentence = error.code, str(error)
    row = SourceState.objects.filter(pk=name).first()
    troubles = row.troubles if row else 0
    stored, wrong = stored_rows(standin, source.precision)
    return Outcome(code, sentence, stored, wrong, troubles, row is not None and row.breaker == "open")


def stored_rows(standin: StandIn, precision: Precision) -> tuple[int, int]:
    """Return how many bars the database holds, and how many of them are not what the market really was."""
    true = {bar.day: bar for bar in standin.market.bars(SYMBOL, START, END)}
    rows = list(Bar.objects.all())
    wrong = [row for row in rows if row.date not in true or not _is(row, true[row.date], precision)]
    return len(rows), len(wrong)


def _is(row: Bar, true: StandInBar, precision: Precision) -> bool:
    prices = all(round(getattr(row, name) * 100) == getattr(true, name) for name in ("open", "high", "low", "close"))
    volume = abs(row.volume - true.volume) < max(precision.volume_step, 1)
    # An amount may come as a 32-bit float.
    return prices and volume and abs(row.amount - true.amount) <= max(precision.amount_step, true.amount * 1e-6)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_standin(tmp_path_factory.mktemp("matrix"), until=END) as standin:
        yield standin


@pytest.fixture
def clean(standin: StandIn, market: StandIn, settings: Any) -> Iterator[StandIn]:
    settings.TDX_SERVERS = [("quotes.example", 7709)]
    with market.redirected():
        market.clear_faults()
        forget()
        yield market


def forget() -> None:
    Bar.objects.all().delete()
    SourceState.objects.all().delete()
    memory.forget()
    close_connections()


def cases_of(name: str) -> list[Case]:
    return CASES_OF.get(name, CASES)


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{case.kind}") for name in SOURCES for case in cases_of(name)],
)
def test_nothing_wrong_is_ever_stored(clean: StandIn, name: str, case: Case) -> None:
    found = outcome(clean, name, case)
    assert found.wrong == 0
    assert found.code or found.stored or case.kind == "null"


def test_the_tables_in_the_docs_say_what_really_happens(clean: StandIn) -> None:
    made = {name: table(clean, name) for name in SOURCES}
    text = DOCS.read_text(encoding="utf-8")
    if os.environ.get("BARVAULT_TEST_WRITE_DOCS"):
        for name, lines in made.items():
            text = replaced(text, name, lines)
        DOCS.write_text(text, encoding="utf-8")
    for name, lines in made.items():
        assert replaced(text, name, lines) == text, f"the table of {name} is out of date: see this file's first lines"


def table(standin: StandIn, name: str) -> str:
    lines = ["| what happens | what the user sees | stored | breaker |", "| --- | --- | --- | --- |"]
    for case in cases_of(name):
        standin.clear_faults()
        forget()
        found = outcome(standin, name, case)
        lines.append(f"| {case.words} | {seen(found)} | {stored(found)} | {breaker(found)} |")
    return "\n".join(lines)


def seen(found: Outcome) -> str:
    sentence = found.sentence.replace(f"within {LIMIT:g} s", "within 10 s")
    sentence = sentence.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return f"`{found.code}` {sentence}" if found.code else sentence or "–"


def stored(found: Outcome) -> str:
    everything = len(expected_range)
    if found.stored == everything:
        return "all"
    return "nothing" if not found.stored else f"all but {everything - found.stored}"


def breaker(found: Outcome) -> str:
    if found.opened:
        return "opens"
    return "counts" if found.troubles else "–"


expected_range: list[Any] = []


@pytest.fixture(autouse=True, scope="module")
def _expected_range(market: StandIn) -> None:
    expected_range[:] = market.market.bars(SYMBOL, START, END)


def replaced(text: str, name: str, lines: str) -> str:
    begin, end = f"<!-- faults of {name}: made by tests/sources/test_fault_matrix.py -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    assert rest, f"docs/sources.md has no place for the table of {name}"
    return f"{before}{begin}\n{lines}\n{end}{after}"
