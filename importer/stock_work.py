"""A lane's work on one chunk: decide, fetch ahead, store, move the cursor; each stock in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from django.conf import settings
from django.db import DatabaseError, DataError, InterfaceError, transaction
from django.db.models import Max, Min
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer.asking import AllSourcesRest, Answer, NoSourceAnswered, ask
from importer.chunks import Claim, advance, put_off
from importer.day_work import market_day, store_decided
from importer.dbtime import db_now
from importer.ex_rights import note_open
from importer.exceptions import LostLease, StopRequested
from importer.models import Failure, ImportTask, Kind
from importer.overlap import differences
from importer.planning import Work, repair_range, work_for
from importer.recording import DIFFERENCES_LISTED, differing_days, dropped_row, stock_failure
from importer.sources.base import UnknownSymbol
from importer.sources.labels import label_of
from importer.sources.registry import auto_order, get_source
from importer.task_requests import request_of
from marketdata.absences import absent_days, remember_absent
from marketdata.bar_columns import from_frame
from marketdata.exceptions import MarketDataError
from marketdata.models import Stock
from marketdata.reading import read_bars
from marketdata.recoding import known_stocks
from marketdata.store import ensure_stocks, store_bars
from marketdata.texts import Text, word
from marketdata.trading_days import known_calendar, previous_trading_day, trading_days

if TYPE_CHECKING:
    from importer.lanes import Lane

logger = logging.getLogger(__name__)

# A run of stocks that need nothing is counted in one transaction, at most so many at once.
SKIPS_AT_ONCE = 100


@dataclass(frozen=True)
class StockDone:
    """What was finished: ``stocks`` of them (a run of skipped ones counts as one event), ``rows`` written."""

    symbol: str
    stocks: int
    rows: int = 0
    failed: bool = False


@dataclass(frozen=True)
class _Job:
    at: int
    symbol: str
    stock: Stock | None
    work: Work | None
    stored: pd.DataFrame | None
    future: Future[Answer] | None
    failure: Failure | None = None
    missing: Sequence[date] = ()


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
        self.by_source: Mapping[str, int] = {}
        self.market = market_day(task)
        self.published = False

    def run(self, claimed: Claim) -> None:
        """Work through the chunk until its end, or until the lane has to leave.

        What a snapshot of the market decides is stored first, at once. Then, while one stock is stored, the next one
        is being fetched from the network; files are read between two transactions. Raises LostLease, StopRequested,
        or what the database raises; every other trouble is the stock's and is listed.
        """
        claimed = self._store_decided(claimed)
        stocks = known_stocks(list(claimed.symbols[claimed.cursor :]))
        cursor, skips = claimed.cursor, 0
        self.by_source = claimed.by_source
        ahead: _Job | None = None
        while cursor + skips < len(claimed.symbols):
            if ahead is None and self.lane.has_to_leave():
                break
            job = ahead or self._start(claimed, cursor + skips, stocks)
            ahead = None
            if job.work is None and job.failure is None:
                skips += 1
                if skips >= SKIPS_AT_ONCE:
                    cursor, skips = self._count_skips(claimed, cursor, skips, job.symbol), 0
                continue
            # Reading a file takes this process's time, not a server's: done meanwhile, it would prolong the
            # transaction, and with it every other lane's wait. Whether sources that rested answer again is tried with
            # one stock.
            alone = self.local or ((claimed.careful or claimed.put_off) and job.at == claimed.cursor)
            if not alone and job.at + 1 < len(claimed.symbols) and not self.lane.has_to_leave():
                ahead = self._start(claimed, job.at + 1, stocks)
            try:
                if not self._finish(claimed, cursor, skips, job):
                    return
            except StopRequested:
                self._count_skips(claimed, cursor, skips, job.symbol)
                raise
            cursor, skips = job.at + 1, 0
        self._count_skips(claimed, cursor, skips, "")

    def _store_decided(self, claimed: Claim) -> Claim:
        # After a death at the cursor one stock at a time is worked on: a further death is blamed on the right one.
        if self.market is None or claimed.careful:
            return claimed
        decided = store_decided(self.market, claimed)
        if decided is None:
            return claimed
        self.lane.finished(StockDone(decided.symbol, decided.stocks, decided.rows))
        return decided.claimed

    def _start(self, claimed: Claim, at: int, stocks: dict[str, Stock]) -> _Job:
        symbol = claimed.symbols[at]
        stock = stocks.get(symbol)
        if stock is None and self.list_known:
            error = UnknownSymbol(source=word(label_of(self.request.source)), symbol=symbol)
            failure = stock_failure(self.task, symbol, error.code, error.text, source=self.request.source)
            return _Job(at, symbol, None, None, None, None, failure)
        facts = stock or Stock(symbol=symbol)
        missing = self._missing(facts)
        work = work_for(self.request, facts, local=self.local, missing=missing)
        if work is None:
            return _Job(at, symbol, stock, None, None, None)
        if missing:
            work = _with_neighbour(facts, work)
        stored = self._stored(facts, work)
        future = self.lane.submit(self._ask, symbol, work, stored, bool(facts.bar_count))
        return _Job(at, symbol, stock, work, stored, future, missing=missing)

    def _ask(self, symbol: str, work: Work, stored: pd.DataFrame | None, has_history: bool) -> Answer:
        return ask(
            self.sources,
            symbol,
            work.start,
            work.end,
            today=self.today,
            has_history=has_history,
            stored=None if self.request.refresh else stored,
            open_days=self.open_days,
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

    def _finish(self, claimed: Claim, cursor: int, skips: int, job: _Job) -> bool:
        """Store the stock's bars, list it as a failure, or put it off; False when the whole chunk was put off."""
        self.lane.doing = f"{job.stock.name if job.stock else ''} {job.symbol}".strip()
        self.lane.heartbeat()
        failure = job.failure
        if job.future is not None:
            try:
                answer = self.lane.wait(job.future)
                rows = self._store(claimed, cursor, skips, job, answer)
                self.lane.finished(StockDone(job.symbol, 1 + skips, rows))
                return True
            except (StopRequested, LostLease, InterfaceError):
                raise
            except AllSourcesRest as error:
                self.lane.sources_rest(error.until)
                raise StopRequested from error
            except NoSourceAnswered as error:
                if (until := error.next_try(claimed.put_off)) is not None:
                    return self._put_off(claimed, cursor, skips, job, until)
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
        assert failure is not None
        with transaction.atomic():
            failure.save()
            advance(claimed, cursor, db_now(), failed=1, skipped=skips)
        self.lane.finished(StockDone(job.symbol, 1 + skips, failed=True))
        return True

    def _put_off(self, claimed: Claim, cursor: int, skips: int, job: _Job, until: datetime) -> bool:
        """Have the stock asked for again when a source that may have it does not rest; others go on meanwhile."""
        logger.info("task %s: %s is asked for again after %s", self.task.pk, job.symbol, until)
        go_on = put_off(claimed, cursor, db_now(), until, skipped=skips)
        if skips:
            self.lane.finished(StockDone(job.symbol, skips))
        return go_on

    def _store(self, claimed: Claim, cursor: int, skips: int, job: _Job, answer: Answer) -> int:
        """Store one stock's bars, the cursor's move and the counters in one transaction.

        Returns the rows written. An answer without a bar of a stock that nobody lists is a listed failure.
        """
        if job.stock is None and answer.frame.empty:
            raise UnknownSymbol(source=word(label_of(answer.source)), symbol=job.symbol)
        assert job.work is not None
        # Not inside the transaction: nobody else can write while it is open.
        bars = from_frame(self._rows_to_write(answer.frame, job.stored))
        covers = job.work.covers
        if covers is None and self.request.kind != Kind.REPAIR and not answer.frame.empty:
            days = answer.frame["date"].to_numpy().astype("datetime64[D]")
            covers = (days[0].item(), days[-1].item())
        covers = self._as_far_as_published(covers, answer.frame)
        replaced = self.request.refresh or settings.ON_DIFFERENCE == "replace"
        findings = [dropped_row(self.task, job.symbol, answer.source, finding) for finding in answer.findings]
        findings += self._differences(job, answer, replaced=replaced)
        with transaction.atomic():
            stock_id = job.stock.pk if job.stock else ensure_stocks([job.symbol])[job.symbol]
            result = store_bars(stock_id, bars, source=answer.source, simulated=answer.simulated, covered=covers)
            rows = result.inserted + result.changed
            if absent := self._absent(job, answer):
                remember_absent(stock_id, absent, source=answer.source)
            if (finding := self._ex_right(job, answer)) is not None:
                findings.append(finding)
            if findings:
                Failure.objects.bulk_create(findings)
            nothing_new = not rows and job.stored is not None and not self.request.refresh
            by_source = dict(self.by_source)
            if not nothing_new:
                by_source[answer.source] = by_source.get(answer.source, 0) + 1
            advance(
                claimed,
                cursor,
                db_now(),
                done=0 if nothing_new else 1,
                skipped=skips + (1 if nothing_new else 0),
                rows=rows,
                by_source=by_source,
            )
        self.by_source = by_source
        return rows

    def _differences(self, job: _Job, answer: Answer, *, replaced: bool) -> list[Failure]:
        """Return the findings that list where the answer differs from what is stored, also where it was asked to."""
        found = answer.differences
        if self.request.refresh and job.stored is not None:
            found = differences(job.stored, answer.frame)
        if not found or job.stock is None:
            return []
        stored = job.stock.bars.filter(date__in=[each.day for each in found[:DIFFERENCES_LISTED]])
        return differing_days(
            self.task,
            job.symbol,
            answer.source,
            found,
            stored_from=dict(stored.values_list("date", "source")),
            replaced=replaced,
        )

    def _as_far_as_published(self, covers: tuple[date, date] | None, frame: pd.DataFrame) -> tuple[date, date] | None:
        """Return the range that counts as asked for: today counts only once its bars are seen to be out.

        A source that is late answers without today's bar, as for a suspended stock. Bars of any stock tell.
        """
        if covers is None or covers[1] < self.today or self.local or self.published:
            return covers
        has_bar = not frame.empty and frame["date"].iloc[-1].date() >= covers[1]
        self.published = has_bar or Stock.objects.filter(last_bar__gte=covers[1]).exists()
        if self.published:
            return covers
        earlier = previous_trading_day(covers[1])
        return (covers[0], earlier) if earlier is not None and covers[0] <= earlier else None

    def _absent(self, job: _Job, answer: Answer) -> list[date]:
        """Return the days that a repair asked for and the source has no bar of.

        It has to know the stock: its answer holds a bar that is stored. A day whose row was dropped has one.
        """
        if not job.missing or job.stored is None:
            return []
        if not (answer.frame["date"].isin(job.stored["date"]).any()):
            return []
        shown = {day.date() for day in answer.frame["date"]} | {finding.date for finding in answer.findings}
        # A source may be late with today.
        return [day for day in job.missing if day not in shown and (self.local or day < self.today)]

    def _ex_right(self, job: _Job, answer: Answer) -> Failure | None:
        """Note an ex-right that nothing explains, once the stock's own history has confirmed the close before it."""
        market = self.market
        if market is None or job.stock is None or job.stored is None or job.stored.empty:
            return None
        prev_close, last = market.open_ex_rights.get(job.symbol), job.stored.iloc[-1]
        days = answer.frame["date"]
        confirmed = (days == last["date"]).any() and last["date"].date() not in {
            each.day for each in answer.differences
        }
        if prev_close is None or not confirmed or not (days == pd.Timestamp(market.day)).any():
            return None
        return note_open(
            self.task,
            job.symbol,
            day=market.day,
            prev_close=prev_close,
            close=float(last["close"]),
            source=market.source_of(job.symbol),
            simulated=answer.simulated,
        )

    def _rows_to_write(self, frame: pd.DataFrame, stored: pd.DataFrame | None) -> pd.DataFrame:
        """Leave out the days that are stored already, unless they are to be replaced."""
        if stored is None or stored.empty or frame.empty or self.request.refresh:
            return frame
        if settings.ON_DIFFERENCE == "replace":
            return frame
        return frame[~frame["date"].isin(stored["date"])]

    def _count_skips(self, claimed: Claim, cursor: int, skips: int, symbol: str) -> int:
        if skips:
            advance(claimed, cursor, db_now(), skipped=skips)
            self.lane.finished(StockDone(symbol, skips))
        return cursor + skips


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
