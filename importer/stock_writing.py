"""What a stock's answer does to the database: its bars, what is found wrong, the cursor's move and the counters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date

import pandas as pd
from django.conf import settings
from django.db import transaction

from importer.asking import Answer
from importer.chunks import Claim, advance
from importer.day_work import MarketDay
from importer.dbtime import db_now
from importer.ex_rights import note_open
from importer.models import Failure, ImportTask, Kind
from importer.overlap import differences
from importer.planning import Work
from importer.recording import DIFFERENCES_LISTED, differing_days, dropped_row, unconfirmed_gap
from importer.sources.base import UnknownSymbol
from importer.sources.labels import label_of
from importer.task_requests import request_of
from marketdata.absences import remember_absent
from marketdata.bar_columns import BarColumns, from_frame
from marketdata.models import Stock
from marketdata.store import ensure_stocks, store_bars
from marketdata.texts import word
from marketdata.trading_days import previous_trading_day


@dataclass(frozen=True)
class Job:
    """A stock of a chunk, at place ``at``: what is to be fetched, what is stored of it, and the answer that is awaited.

    Without ``work`` and ``failure`` it needs nothing.
    """

    at: int
    symbol: str
    stock: Stock | None
    work: Work | None
    stored: pd.DataFrame | None
    future: Future[Answer] | None
    failure: Failure | None = None
    missing: Sequence[date] = ()


@dataclass(frozen=True)
class Ready:
    """A stock's answer as it is to be written: what can be made ready before the transaction is."""

    job: Job
    answer: Answer
    bars: BarColumns
    covers: tuple[date, date] | None
    findings: Sequence[Failure]


class StockWriter:
    """Writes a task's answers in one lane. ``local``: they come from this machine's files."""

    def __init__(self, task: ImportTask, *, local: bool, today: date, market: MarketDay | None) -> None:
        self.task = task
        self.request = request_of(task)
        self.local = local
        self.today = today
        self.market = market
        # The chunk's counts, from its beginning on.
        self.by_source: Mapping[str, int] = {}
        self.published = False

    def prepare(self, job: Job, answer: Answer) -> Ready:
        """Make ready what is to be written. Not in a transaction: nobody else can write while one is open.

        An answer without a bar of a stock that nobody lists is a listed failure.
        """
        if job.stock is None and answer.frame.empty:
            raise UnknownSymbol(source=word(label_of(answer.source)), symbol=job.symbol)
        assert job.work is not None
        bars = from_frame(self._rows_to_write(answer.frame, job.stored))
        covers = job.work.covers
        if covers is None and self.request.kind != Kind.REPAIR and not answer.frame.empty:
            days = answer.frame["date"].to_numpy().astype("datetime64[D]")
            covers = (days[0].item(), days[-1].item())
        covers = self._as_far_as_published(_without_gap(covers, answer), answer.frame)
        replaced = self.request.refresh or settings.ON_DIFFERENCE == "replace"
        findings = [dropped_row(self.task, job.symbol, answer.source, finding) for finding in answer.findings]
        findings += self._differences(job, answer, replaced=replaced)
        if answer.gap is not None:
            findings.append(unconfirmed_gap(self.task, job.symbol, answer.source, answer.gap))
        return Ready(job, answer, bars, covers, findings)

    def write(self, claimed: Claim, cursor: int, stocks: Sequence[Ready]) -> list[int]:
        """Store the stocks' bars, the cursor's move beyond them and the counters in one transaction.

        Those between them and the cursor needed nothing, and are counted as skipped. Returns the rows written of
        each. Raises LostLease, or what the database raises; then nothing was written.
        """
        by_source = dict(self.by_source)
        findings: list[Failure] = []
        rows, unchanged = [], 0
        with transaction.atomic():
            for each in stocks:
                rows.append(self._write_bars(each, findings))
                if not rows[-1] and each.job.stored is not None and not self.request.refresh:
                    unchanged += 1
                else:
                    by_source[each.answer.source] = by_source.get(each.answer.source, 0) + 1
            if findings:
                Failure.objects.bulk_create(findings)
            moved = stocks[-1].job.at + 1 - cursor
            advance(
                claimed,
                cursor,
                db_now(),
                done=len(stocks) - unchanged,
                skipped=moved - len(stocks) + unchanged,
                rows=sum(rows),
                by_source=by_source,
            )
        self.by_source = by_source
        return rows

    def _write_bars(self, ready: Ready, findings: list[Failure]) -> int:
        """Store one stock's part in the transaction that is open; return the rows written, and add what was found."""
        job, answer = ready.job, ready.answer
        stock_id = job.stock.pk if job.stock else ensure_stocks([job.symbol])[job.symbol]
        result = store_bars(
            stock_id, ready.bars, source=answer.source, simulated=answer.simulated, covered=ready.covers
        )
        if absent := self._absent(job, answer):
            remember_absent(stock_id, absent, source=answer.source)
        findings += ready.findings
        if (finding := self._ex_right(job, answer)) is not None:
            findings.append(finding)
        return result.inserted + result.changed

    def _differences(self, job: Job, answer: Answer, *, replaced: bool) -> list[Failure]:
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

    def _absent(self, job: Job, answer: Answer) -> list[date]:
        """Return the days that a repair asked for and the source has no bar of.

        It has to know the stock: its answer holds a bar that is stored. A day whose row was dropped has one; of a long
        stretch one source alone proves nothing.
        """
        if not job.missing or job.stored is None:
            return []
        if not (answer.frame["date"].isin(job.stored["date"]).any()):
            return []
        shown = {day.date() for day in answer.frame["date"]} | {finding.date for finding in answer.findings}
        if answer.gap is not None:
            shown |= set(answer.gap.days.tolist())
        # A source may be late with today.
        return [day for day in job.missing if day not in shown and (self.local or day < self.today)]

    def _ex_right(self, job: Job, answer: Answer) -> Failure | None:
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


def _without_gap(covers: tuple[date, date] | None, answer: Answer) -> tuple[date, date] | None:
    """Leave a gap at the beginning or the end out of what counts as asked for: the next import asks again."""
    gap = answer.gap
    if covers is None or gap is None or not (gap.leading or gap.trailing):
        return covers
    days = answer.frame["date"].to_numpy().astype("datetime64[D]")
    first, last = days[0].item(), days[-1].item()
    return (max(covers[0], first), covers[1]) if gap.leading else (covers[0], min(covers[1], last))
