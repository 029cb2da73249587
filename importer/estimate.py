"""What an import will take, before it starts: stocks, requests, time at today's pace, room on the disk.

An estimate: sources are asked nothing. Too little room is refused before a task is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Count, F, Sum
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer import pacing
from importer.models import ImportTask, Kind, Status
from importer.planning import StockFacts
from importer.sizing import DayCounter, Size, UnknownStockFacts, size_of
from importer.snapshot_due import PROBES, Lacking, lacking, snapshot_is_due
from importer.sources.registry import AUTO, SOURCES, auto_order, get_source
from importer.status import Space, space
from importer.task_requests import DEFAULT_START, TaskRequest
from marketdata.models import Stock
from marketdata.symbols import share_symbol
from marketdata.texts import ExplainedError
from marketdata.trading_days import FIRST_DAY, known_calendar, previous_trading_day

# How many A-shares there are, for a database that does not know their list yet.
ASSUMED_STOCKS = 5400
# Measured on SQLite and PostgreSQL with the tables as they are: docs/decisions/001-storage.md
BYTES_PER_BAR = 120
# Beside the bars: the queue, the log of a database, whatever else the machine does.
RESERVE = 200_000_000
BYTES_OF_A_BAR_IN_FILES = {".day": 32, ".csv": 70, ".parquet": 25}
# What one lane imports where nobody has to be polite, until the first import has been measured.
STOCKS_PER_SECOND = 60.0
# Requests for each stock beside those for its years, and how many years an answer holds: Tencent tells in one of its
# own when a stock begins, and of the pages of a quote server the last is half empty on the average.
ANSWERS = {"tencent": (1.0, 1.0), "tdxquotes": (0.5, 800 / 243)}


class NotEnoughSpace(ExplainedError):
    code = "disk_space"
    default_msgid = gettext_noop(
        "The import needs about %(needed)s GB and %(free)s GB are free on the database's disk. "
        "Make room, or import fewer stocks or days."
    )


@dataclass(frozen=True)
class Estimate:
    """What a request will take. ``seconds`` is None where nothing is known; ``bytes_free`` where a server keeps it.

    ``stocks`` to fetch, ``skipped`` ones that are complete; ``bars`` are those to come, at most.
    """

    stocks: int
    skipped: int
    requests: int
    bars: int
    seconds: float | None
    bytes_needed: int
    bytes_free: int | None

    @property
    def fits(self) -> bool:
        return fits(self.bytes_needed, self.bytes_free)


@dataclass(frozen=True)
class _Pages:
    source: str
    count: int
    sleep: float
    lacking: Lacking


def estimate(request: TaskRequest, now: datetime | None = None) -> Estimate:
    """Return what ``request`` will take, as things stand."""
    now = now or timezone.now()
    room = space()
    if request.path is not None:
        return _of_files(request, room)
    stocks = _stocks_of(request)
    size = size_of(request, stocks, _day_counter())
    if snapshot_is_due(request, now) and (pages := _pages(request, stocks)) is not None:
        return _of_a_snapshot(request, size, pages, now, room)
    source = _first_source(request.source)
    requests = _requests(source, size)
    seconds = _seconds(source, request.source, requests, size, now)
    needed = round(size.new * _bytes_per_bar(room))
    return Estimate(size.stocks, size.skipped, requests, size.new, seconds, needed, room.free)


def _requests(source: str, size: Size) -> int:
    for_each, years_at_once = ANSWERS.get(source, (1.0, math.inf))
    return max(size.stocks, round(size.stocks * for_each + size.years / years_at_once))


def check_space(request: TaskRequest) -> None:
    """Raise NotEnoughSpace when the bars of ``request`` will not fit on the database's disk.

    Reads the stocks, or looks at the files, only where it could be tight.
    """
    room = space()
    if room.free is None:
        return
    if fits(_at_most(request, room), room.free):
        return
    needed = estimate(request).bytes_needed
    if not fits(needed, room.free):
        raise NotEnoughSpace(needed=_gigabytes(needed), free=_gigabytes(room.free))


def fits(needed: int, free: int | None) -> bool:
    """Say whether ``needed`` bytes may be written where ``free`` are left: what needs nothing always may."""
    return needed == 0 or free is None or needed + RESERVE <= free


def _stocks_of(request: TaskRequest) -> list[StockFacts]:
    fields = tuple(each.name for each in dataclass_fields(UnknownStockFacts))
    known = Stock.objects.order_by()
    if request.symbols is not None:
        of_symbol = {row.symbol: row for row in known.values_list("symbol", *fields, named=True)}
        return [of_symbol.get(symbol, UnknownStockFacts()) for symbol in request.symbols]
    if request.kind == Kind.REPAIR:
        known = known.annotate(absent=Count("absent_days"))
        fields = (*fields, "absent")
    if request.kind != Kind.IMPORT:
        return list(known.filter(bar_count__gt=0).values_list(*fields, named=True))
    return list(known.values_list(*fields, named=True)) or [UnknownStockFacts()] * _assumed_stocks(request.source)


def _of_a_snapshot(request: TaskRequest, size: Size, pages: _Pages, now: datetime, room: Space) -> Estimate:
    """Return the estimate of an update by snapshot: its pages, the probes, and the stocks that it leaves open."""
    single = PROBES + pages.lacking.asked_singly
    shown = _seconds(pages.source, request.source, pages.count, size, now)
    seconds = None if shown is None else shown + pages.count * pages.sleep
    if seconds is not None and pacing.pace_of(pages.source) is not None:
        seconds += single * _gap(pages.source)
    needed = round(size.new * _bytes_per_bar(room))
    return Estimate(size.stocks, size.skipped, pages.count + single, size.new, seconds, needed, room.free)


def _pages(request: TaskRequest, stocks: Sequence[StockFacts]) -> _Pages | None:
    """Return what a snapshot asks for; None when the update goes stock by stock."""
    found = lacking(stocks, request.end, previous_trading_day(request.end) or request.end)
    if not found.worth_a_snapshot:
        return None
    names = auto_order() if request.source == AUTO else [request.source]
    with_pages = [name for name, entry in SOURCES.items() if name in names and entry.stocks_per_page]
    if not with_pages:
        return None
    source = next((name for name in with_pages if pacing.earliest_retry([name]) is None), with_pages[0])
    entry = SOURCES[source]
    listed = sum(stock.delisted_on is None for stock in stocks)
    return _Pages(source, math.ceil(listed / entry.stocks_per_page), entry.sleep, found)


def _assumed_stocks(source: str) -> int:
    return int(settings.SIMULATED_STOCKS) if source == "simulated" else ASSUMED_STOCKS


def _day_counter() -> DayCounter:
    calendar = known_calendar()
    return DayCounter(calendar.days, calendar.known_until)


def _at_most(request: TaskRequest, room: Space) -> int:
    if request.symbols is not None:
        stocks = len(request.symbols)
    else:
        stocks = max(Stock.objects.count(), _assumed_stocks(request.source))
    # Files may go back to the first day of the exchange.
    first = request.start or (DEFAULT_START if request.path is None else FIRST_DAY)
    days = _day_counter().count(first, request.end)
    return round(stocks * days * _bytes_per_bar(room))


def _bytes_per_bar(room: Space) -> float:
    bars: int = Stock.objects.aggregate(bars=Sum("bar_count", default=0))["bars"]
    # A young database is mostly other things; one that was emptied is mostly holes.
    return min(2 * BYTES_PER_BAR, max(BYTES_PER_BAR, room.used / bars)) if bars > 1_000_000 else BYTES_PER_BAR


def _first_source(name: str) -> str:
    """Return the source that will be asked first: with ``auto`` the first one that does not rest."""
    if name != AUTO:
        return name
    order = auto_order()
    return next((each for each in order if pacing.earliest_retry([each]) is None), order[0])


def _seconds(source: str, asked: str, requests: int, size: Size, now: datetime) -> float | None:
    if requests == 0:
        return 0.0
    pace = pacing.pace_of(source)
    if pace is None:
        speed = _speed_of_last_task(asked) or STOCKS_PER_SECOND
        latency: float = settings.SIMULATED_LATENCY if source == "simulated" else 0.0
        return max(size.stocks / speed, size.stocks * latency / max(1, int(settings.WORKERS)))
    state = next((state for state in pacing.states() if state.source == source), None)
    rest = max(0.0, (state.next_try - now).total_seconds()) if state is not None and state.next_try else 0.0
    return rest + requests * _gap(source)


def _gap(source: str) -> float:
    """Return the seconds between two requests of a paced source, as they are now."""
    state = next((state for state in pacing.states() if state.source == source), None)
    pace = pacing.pace_of(source)
    return state.interval if state is not None else pace.mean if pace is not None else 0.0


def _speed_of_last_task(source: str) -> float | None:
    """Return the stocks per second of the newest finished import from ``source`` that was long enough to tell."""
    ended = ImportTask.objects.filter(
        status=Status.COMPLETED, kind=Kind.IMPORT, parameters__source=source, done__gte=100, started_at__isnull=False
    )
    row = ended.order_by("-created_at").annotate(took=F("finished_at") - F("started_at")).first()
    if row is None or row.took is None or row.took.total_seconds() <= 0:
        return None
    return int(row.done) / float(row.took.total_seconds())


def _of_files(request: TaskRequest, room: Space) -> Estimate:
    """Return the estimate for a source that reads files: only they know what they hold, their size tells roughly."""
    listed = len(list(get_source(request.source, path=request.path).stocks()))
    stocks = len(request.symbols) if request.symbols is not None else listed
    share = min(1.0, stocks / listed) if listed else 0.0
    held = share * sum(_bars_in(file) for file in _files_below(Path(request.path or "")))
    known = Stock.objects.order_by()
    if request.symbols is not None:
        known = known.filter(symbol__in=request.symbols)
    stored: int = known.aggregate(bars=Sum("bar_count", default=0))["bars"]
    bars = max(0, round(held) - stored)
    seconds = stocks / (_speed_of_last_task(request.source) or STOCKS_PER_SECOND)
    return Estimate(stocks, 0, 0, bars, seconds, bars * BYTES_PER_BAR, room.free)


def _files_below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, _folders, names in os.walk(path):
        yield from (Path(folder, name) for name in names)


def _bars_in(file: Path) -> float:
    size_of_bar = BYTES_OF_A_BAR_IN_FILES.get(file.suffix.lower())
    if size_of_bar is None or (file.suffix.lower() == ".day" and share_symbol(file.stem) is None):
        return 0.0
    try:
        return file.stat().st_size / size_of_bar
    except OSError:
        # It was there a moment ago; the import will say what it finds.
        return 0.0


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f}"
