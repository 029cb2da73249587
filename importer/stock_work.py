"""A lane's work on one chunk: decide, fetch ahead, store, move the cursor."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from django.db import DatabaseError, DataError, InterfaceError, transaction
from django.db.models import Max, Min
from django.utils import timezone
from django.utils.translation import gettext_noop

from config.log_lines import log_time
from importer import slots
from importer.asking import AllSourcesRest, Answer, NoSourceAnswered, ask
from importer.chunks import Claim, advance, put_off
from importer.day_work import market_day, store_decided
from importer.dbtime import db_now
from importer.exceptions import LostLease, StopRequested
from importer.models import Failure, ImportTask, Kind
from importer.planning import Work, repair_range, work_for
from importer.recording import stock_failure
from importer.sources.base import NetworkDown, UnknownSymbol
from importer.sources.labels import label_of
from importer.sources.registry import auto_order, get_source
from importer.stock_writing import Job, Ready, StockWriter
from importer.task_requests import request_of
from marketdata.absences import absent_days
from marketdata.exceptions import MarketDataError
from marketdata.models import Stock
from marketdata.reading import read_bars
from marketdata.recoding import known_stocks
from marketdata.texts import Text, word
from marketdata.trading_days import known_calendar, trading_days

if TYPE_CHECKING:
    from importer.lanes import Lane

logger = logging.getLogger(__name__)

# A run of stocks that need nothing is counted in one transaction, at most so many at once.
SKIPS_AT_ONCE = 100
# Stocks from files are stored several in one transaction, as long as others who write need not wait long for it.
FILES_TOGETHER = 8
BARS_TOGETHER = 10_000


@dataclass(frozen=True)
class StockDone:
    """What was finished: ``stocks`` of them (a run of skipped ones counts as one event), ``rows`` written."""

    symbol: str
    stocks: int
    rows: int = 0
    failed: bool = False


class ChunkWork:
    """The work on a task's chunks in one lane; sources are made once."""

    def __init__(self, lane: Lane, task: ImportTask) -> None:
        self.lane = lane
        self.task = task
        self.request = request_of(task)
        names = auto_order() if self.request.source == "auto" else [self.request.source]
        self.sources = [get_source(name, path=self.request.path) for name in names]
        self.local = all(source.local for source in self.sources)
        self.list_known = bool(task.parameters.get("list_known"))
        self.today = timezone.localdate()
        # A data site may send a day that never was; a file that somebody made is taken at its word.
        self.open_days = None if self.local else np.array(known_calendar().days, "datetime64[D]")
        self.market = market_day(task)
        self.writer = StockWriter(task, local=self.local, today=self.today, market=self.market)

    def run(self, claimed: Claim) -> None:
        """Work through the chunk until its end, or until the lane has to leave.

        What a snapshot of the market decides is stored first, at once. Then, while one stock is stored, the next one
        is being fetched from the network; files are read, and stored, several at a time. Raises LostLease,
        StopRequested, or what the database raises; every other trouble is the stock's and is listed.
        """
        claimed = self._store_decided(claimed)
        # Reading a file takes this process's time, not a server's: done while others are stored, it prolongs their
        # transaction, and with it every other lane's wait.
        read_ahead = self.local and slots.is_alone(self.lane.hold)
        stocks = known_stocks(list(claimed.symbols[claimed.cursor :]))
        self.writer.by_source = claimed.by_source
        # Up to ``cursor`` stocks are counted; those from there to ``at`` need nothing.
        cursor = at = claimed.cursor
        ahead: Job | None = None
        while at < len(claimed.symbols):
            if ahead is None and self.lane.has_to_leave():
                break
            job = ahead or self._start(claimed, at, stocks)
            ahead, at = None, at + 1
            if job.work is None and job.failure is None:
                if at - cursor >= SKIPS_AT_ONCE:
                    cursor = self._count_skips(claimed, cursor, at)
                continue
            jobs = deque([job])
            if self.local:
                jobs.extend(self._files_after(claimed, at, stocks))
            elif self._may_look_ahead(claimed, job) and at < len(claimed.symbols):
                ahead = self._start(claimed, at, stocks)
            try:
                while jobs:
                    if read_ahead and len(jobs) <= FILES_TOGETHER and not self.lane.has_to_leave():
                        jobs.extend(self._files_after(claimed, jobs[-1].at + 1, stocks))
                    together = self._store_together(claimed, cursor, list(islice(jobs, FILES_TOGETHER)))
                    if not together and not self._finish(claimed, cursor, jobs[0]):
                        return
                    for _stored in range(together or 1):
                        cursor = at = jobs.popleft().at + 1
            except StopRequested:
                self._count_skips(claimed, cursor, jobs[0].at)
                raise
        self._count_skips(claimed, cursor, at)

    def _store_decided(self, claimed: Claim) -> Claim:
        # After a death at the cursor one stock at a time is worked on: a further death is blamed on the right one.
        if self.market is None or claimed.careful:
            return claimed
        decided = store_decided(self.market, claimed)
        if decided is None:
            return claimed
        self.lane.finished(StockDone(decided.symbol, decided.stocks, decided.rows))
        return decided.claimed

    def _may_look_ahead(self, claimed: Claim, job: Job) -> bool:
        # Whether sources that rested answer again is tried with one stock.
        alone = (claimed.careful or claimed.put_off) and job.at == claimed.cursor
        return not alone and not self.lane.has_to_leave()

    def _files_after(self, claimed: Claim, at: int, stocks: dict[str, Stock]) -> Iterator[Job]:
        """Yield the stocks from ``at`` on that are to be stored together with the one before; none after a death."""
        last = at if claimed.careful else min(at + FILES_TOGETHER - 1, len(claimed.symbols))
        for place in range(at, last):
            job = self._start(claimed, place, stocks)
            if job.future is None:
                return
            yield job

    def _start(self, claimed: Claim, at: int, stocks: dict[str, Stock]) -> Job:
        symbol = claimed.symbols[at]
        stock = stocks.get(symbol)
        if stock is None and self.list_known:
            error = UnknownSymbol(source=word(label_of(self.request.source)), symbol=symbol)
            failure = stock_failure(self.task, symbol, error.code, error.text, source=self.request.source)
            return Job(at, symbol, None, None, None, None, failure)
        facts = stock or Stock(symbol=symbol)
        missing = self._missing(facts)
        work = work_for(self.request, facts, local=self.local, missing=missing)
        if work is None:
            return Job(at, symbol, stock, None, None, None)
        if missing:
            work = _with_neighbour(facts, work)
        stored = self._stored(facts, work)
        has_history = facts.first_bar is not None and work.start is not None and facts.first_bar < work.start
        listing_known = facts.listed_on is not None
        future = self.lane.submit(self._ask, symbol, work, stored, has_history, listing_known)
        return Job(at, symbol, stock, work, stored, future, missing=missing)

    def _ask(
        self, symbol: str, work: Work, stored: pd.DataFrame | None, has_history: bool, listing_known: bool
    ) -> Answer:
        return ask(
            self.sources,
            symbol,
            work.start,
            work.end,
            today=self.today,
            has_history=has_history,
            stored=stored,
            replacing=self.request.refresh,
            open_days=self.open_days,
            each_day=self.request.kind == Kind.REPAIR,
            listing_known=listing_known,
        )

    def _missing(self, stock: Stock) -> Sequence[date]:
        if self.request.kind != Kind.REPAIR:
            return ()
        bounds = repair_range(self.request, stock)
        if bounds is None:
            return ()
        have = set(stock.bars.filter(date__range=bounds).values_list("date", flat=True))
        if not self.request.refresh:
            have |= absent_days(stock.pk, *bounds)
        return [day for day in trading_days(*bounds).days if day not in have]

    def _stored(self, stock: Stock, work: Work) -> pd.DataFrame | None:
        if not stock.bar_count or stock.last_bar is None or stock.first_bar is None:
            return None
        if work.end < stock.first_bar or (work.start is not None and work.start > stock.last_bar):
            return None
        return read_bars(stock.pk, work.start, work.end)

    def _finish(self, claimed: Claim, cursor: int, job: Job) -> bool:
        """Store the stock's bars, list it as a failure, or put it off; False when the whole chunk was put off."""
        self._begin(job)
        failure = job.failure
        if job.future is not None:
            try:
                ready = self.writer.prepare(job, self.lane.wait(job.future))
                rows = self.writer.write(claimed, cursor, [ready])
            except (StopRequested, LostLease, InterfaceError):
                raise
            except AllSourcesRest as error:
                self.lane.sources_rest(error.until)
                raise StopRequested from error
            except NetworkDown as error:
                self.lane.sources_rest(error.until, error.text)
                raise StopRequested from error
            except NoSourceAnswered as error:
                if (until := error.next_try(claimed.put_off)) is not None:
                    return self._put_off(claimed, cursor, job, until)
                failure = stock_failure(
                    self.task, job.symbol, error.code, error.text, refusals=error.refusals, attempts=error.attempts
                )
            except DataError as error:
                failure = _unexpected(self.task, job.symbol, error)
            except DatabaseError:
                raise
            except MarketDataError as error:
                failure = stock_failure(self.task, job.symbol, error.code, error.text)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this stock's: listed, and the rest goes on
                failure = _unexpected(self.task, job.symbol, error)
            else:
                self._report(cursor, [ready], rows)
                return True
        assert failure is not None
        skips = job.at - cursor
        with transaction.atomic():
            failure.save()
            advance(claimed, cursor, db_now(), failed=1, skipped=skips)
        self.lane.finished(StockDone(job.symbol, 1 + skips, failed=True))
        return True

    def _put_off(self, claimed: Claim, cursor: int, job: Job, until: datetime) -> bool:
        """Have the stock asked for again when a source that may have it does not rest; others go on meanwhile."""
        logger.info("task %s: %s is asked for again after %s", self.task.pk, job.symbol, log_time(until))
        skips = job.at - cursor
        go_on = put_off(claimed, cursor, db_now(), until, skipped=skips)
        if skips:
            self.lane.finished(StockDone(job.symbol, skips))
        return go_on

    def _store_together(self, claimed: Claim, cursor: int, jobs: Sequence[Job]) -> int:
        """Store the first of these stocks in one transaction; return how many, 0 if they have to go one by one.

        Only such as nothing is wrong with: what is wrong with one is found again, and said, when it goes alone.
        """
        ready: list[Ready] = []
        for job in jobs if len(jobs) > 1 else ():
            if job.future is None or sum(len(each.bars) for each in ready) >= BARS_TOGETHER:
                break
            self._begin(job)
            try:
                ready.append(self.writer.prepare(job, self.lane.wait(job.future)))
            except (StopRequested, LostLease, InterfaceError):
                raise
            except Exception:  # noqa: BLE001 - see above
                break
        if len(ready) < 2:
            return 0
        try:
            rows = self.writer.write(claimed, cursor, ready)
        except DataError:
            return 0
        except (DatabaseError, InterfaceError, LostLease):
            raise
        except Exception:  # noqa: BLE001 - see above
            return 0
        self._report(cursor, ready, rows)
        return len(ready)

    def _begin(self, job: Job) -> None:
        self.lane.doing = f"{job.stock.name if job.stock else ''} {job.symbol}".strip()
        self.lane.heartbeat()

    def _report(self, cursor: int, stocks: Sequence[Ready], rows: Sequence[int]) -> None:
        for each, written in zip(stocks, rows, strict=True):
            self.lane.finished(StockDone(each.job.symbol, each.job.at + 1 - cursor, written))
            cursor = each.job.at + 1

    def _count_skips(self, claimed: Claim, cursor: int, at: int) -> int:
        """Count the stocks from the cursor to ``at``, which needed nothing; return the new cursor."""
        if at > cursor:
            advance(claimed, cursor, db_now(), skipped=at - cursor)
            self.lane.finished(StockDone(claimed.symbols[at - 1], at - cursor))
        return at


def _with_neighbour(stock: Stock, work: Work) -> Work:
    """Let a repair ask for a stored bar beside the missing days: an answer that holds it is about this stock."""
    if work.start is None:
        return work
    before = stock.bars.filter(date__lt=work.start).aggregate(day=Max("date"))["day"]
    if before is not None:
        return replace(work, start=before)
    after = stock.bars.filter(date__gt=work.end).aggregate(day=Min("date"))["day"]
    return work if after is None else replace(work, end=after)


def _unexpected(task: ImportTask, symbol: str, error: Exception) -> Failure:
    logger.error("task %s: %s: unexpected error", task.pk, symbol, exc_info=error)
    text = Text(
        gettext_noop("Unexpected error at %(symbol)s: %(detail)s. The log has more; please report it."),
        {"symbol": symbol, "detail": f"{type(error).__name__}: {error}"[:300]},
    )
    return stock_failure(task, symbol, "unexpected", text)
