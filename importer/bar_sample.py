"""Ask another source for stocks that are stored, and compare. What it answers is never stored."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from django.utils.translation import gettext_noop

from importer.asking import AllSourcesRest, Answer, NoSourceAnswered, ask
from importer.exceptions import BadRequest
from importer.overlap import differences
from importer.sources.base import NetworkDown, Source
from importer.sources.fetching import FetchContext, fetching
from importer.sources.labels import label_of
from importer.sources.registry import auto_order, get_source
from importer.task_requests import TaskRequest
from marketdata.models import Bar, Origin, Stock
from marketdata.origin import current_origin
from marketdata.quality import Finding, Rule, remedy
from marketdata.reading import read_bars
from marketdata.texts import Text, sentence, word
from marketdata.trading_days import known_calendar

# Where no start is named: the last year.
DAYS_COMPARED = 365
# A stock's fetch, all its requests together, by the wall clock.
FETCH_LIMIT = 120.0
# Of a stock that differs throughout, the rest is a number.
LISTED = 10

_DIFFERS = gettext_noop("%(field)s %(stored)s here, %(fetched)s from %(source)s")
_NOT_HERE = gettext_noop("no bar here; %(source)s has one (close %(close)s)")
_MORE = gettext_noop("%(count)s more days differ from %(source)s")
_COMPARE = gettext_noop(
    "a repair leaves stored bars alone; compare with a third source, then import_bars --refresh --symbols %(symbol)s "
    "--start %(start)s --end %(end)s, with --source if you name one"
)
_NO_OTHER = gettext_noop("%(symbol)s was not compared: no other source is left, its bars came from %(sources)s.")
_NOT_ANSWERED = gettext_noop("%(symbol)s was not compared: %(reason)s")
_ONE_SOURCE = gettext_noop("The simulated market has one source: there is nothing to compare it with.")


@dataclass(frozen=True)
class Compared:
    """A stock of the sample: how many days both have, or why it was not compared (``problem``)."""

    symbol: str
    days: int = 0
    findings: tuple[Finding, ...] = ()
    problem: Text | None = None


def sample(stocks: Sequence[Stock], count: int, seed: int) -> list[Stock]:
    """Return ``count`` of the stocks (or all, if they are fewer), chosen by ``seed`` alone."""
    return random.Random(seed).sample(list(stocks), min(count, len(stocks)))


def sample_sources(source: str | None) -> list[Source]:
    """Return the sources to compare with: the one named, or those of ``auto``. Raises BadRequest."""
    if current_origin() == Origin.SIMULATED:
        raise BadRequest("sample", _ONE_SOURCE)
    return [get_source(name) for name in ([source] if source else auto_order())]


def compare_stocks(
    request: TaskRequest, stocks: Sequence[Stock], sources: Sequence[Source], *, today: date
) -> Iterator[Compared]:
    """Ask for one stock after another, each from a source that delivered none of its bars in the range."""
    open_days = np.array(known_calendar().days, "datetime64[D]")
    for stock in stocks:
        if stock.first_bar is None or stock.last_bar is None:
            continue
        end = min(request.end, stock.last_bar)
        start = max(request.start or end - timedelta(days=DAYS_COMPARED), stock.first_bar)
        rows = Bar.objects.filter(stock_id=stock.pk, date__range=(start, end))
        delivered = set(rows.values_list("source", flat=True).distinct())
        others = [source for source in sources if source.name not in delivered]
        if not others:
            names = ", ".join(sorted(delivered))
            yield Compared(stock.symbol, problem=Text(_NO_OTHER, {"symbol": stock.symbol, "sources": names or "?"}))
            continue
        bounds = FetchContext(deadline=time.monotonic() + FETCH_LIMIT, should_stop=lambda: False)
        try:
            with fetching(bounds):
                answer = ask(others, stock.symbol, start, end, today=today, has_history=True, open_days=open_days)
        except (NoSourceAnswered, AllSourcesRest, NetworkDown) as error:
            values = {"symbol": stock.symbol, "reason": sentence(error.text)}
            yield Compared(stock.symbol, problem=Text(_NOT_ANSWERED, values))
            continue
        yield compared(stock.symbol, read_bars(stock.pk, start, end), answer)


def compared(symbol: str, stored: pd.DataFrame, answer: Answer) -> Compared:
    """Return how the answer of another source differs: by more than a tick or a lot, or by days not stored. Pure."""
    source = word(label_of(answer.source))
    both = int(answer.frame["date"].isin(stored["date"]).sum())
    found: dict[date, Text] = {}
    for each in differences(stored, answer.frame):
        values = {"field": each.field, "stored": f"{each.stored:.15g}", "fetched": f"{each.fetched:.15g}"}
        found[each.day] = Text(_DIFFERS, {**values, "source": source})
    strangers = answer.frame[~answer.frame["date"].isin(stored["date"])]
    for day, close in zip(strangers["date"], strangers["close"], strict=True):
        found[day.date()] = Text(_NOT_HERE, {"close": f"{close:.2f}", "source": source})
    days = sorted(found)
    findings = [_finding(symbol, day, day, found[day]) for day in days[:LISTED]]
    if rest := days[LISTED:]:
        findings.append(_finding(symbol, rest[0], rest[-1], Text(_MORE, {"count": len(rest), "source": source})))
    return Compared(symbol, both, tuple(findings))


def _finding(symbol: str, day: date, until: date, values: Text) -> Finding:
    return Finding(symbol, day, Rule.DISAGREES, values, remedy(_COMPARE, symbol, day, until), until)
