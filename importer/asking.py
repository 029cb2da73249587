"""Ask the sources for one stock's bars: in order, with retries, each answer validated before anybody stores it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
from django.conf import settings
from django.utils.translation import gettext_noop

from importer import pacing
from importer.dbtime import db_now
from importer.overlap import Difference, differences
from importer.partial import LONG_STRETCH, Gap, gap_of
from importer.sources.arrays import Dates
from importer.sources.base import BadData, Banned, NetworkDown, Source, SourceError, SourceUnavailable, UnknownSymbol
from importer.sources.fetching import current_context
from importer.sources.labels import label_of
from importer.sources.rows import precision_of
from importer.sources.validation import Finding, Validated, validate_bars
from marketdata.texts import ExplainedError, Text, word

logger = logging.getLogger(__name__)

# A source that does not answer is asked so often for one stock, as long as that leaves time for those after it.
ATTEMPTS = 3
# When none of several sources gave the stock, those that merely did not answer are asked again so often.
ROUNDS = 4
# A stock that a source has not truly answered for is put off; so often at most while a source rests and another one
# has answered that it cannot give it (two to eight hours), and while sources were asked and kept silent.
PUT_OFF_FOR_REST = 8
PUT_OFF_FOR_SILENCE = 2


@dataclass(frozen=True)
class Answer:
    """A validated answer. An empty frame: no source has a bar in the range."""

    frame: pd.DataFrame
    source: str
    findings: Sequence[Finding]
    simulated: bool
    differences: Sequence[Difference] = ()
    # A stretch of days without bars that no second source has confirmed.
    gap: Gap | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a source gave nothing for the stock."""

    source: str
    code: str
    text: Text


class NoSourceAnswered(ExplainedError):
    """No source gave the stock; each one's reason is in ``refusals``.

    ``ask_again``: a source that might have it rests or was silent, and may be asked then; the stock is to be put off
    unless that was done ``put_off_at_most`` times (None: for as long as it takes) already.
    """

    code = "no_source"

    def __init__(
        self,
        refusals: Sequence[Refusal],
        attempts: int,
        *,
        ask_again: datetime | None = None,
        put_off_at_most: int | None = 0,
    ) -> None:
        last = refusals[-1]
        super().__init__(last.text.msgid, **last.text.values)
        self.refusals = tuple(refusals)
        self.attempts = attempts
        self.ask_again = ask_again
        self.put_off_at_most = put_off_at_most

    def next_try(self, put_off: int) -> datetime | None:
        """Return when the stock, put off ``put_off`` times by now, is to be asked for again; None: it has failed."""
        return self.ask_again if self.put_off_at_most is None or put_off < self.put_off_at_most else None


class AllSourcesRest(ExplainedError):
    """No source may be asked before ``until``; the stock is not to blame and is tried again then."""

    code = "all_sources_rest"
    default_msgid = gettext_noop("Every source rests after refusing requests.")

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


@dataclass
class _Tried:
    """``refusals``: the last one of each source. ``silent``: those that may be asked again, since only they failed.

    ``elsewhere``: those that do not have the stock's exchange, and were not asked. ``network``: some were not reached,
    for no fault of theirs.
    """

    refusals: dict[str, Refusal] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    empty_from: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)
    network: NetworkDown | None = None
    attempts: int = 0


def ask(
    sources: Sequence[Source],
    symbol: str,
    start: date | None,
    end: date,
    *,
    today: date,
    has_history: bool,
    stored: pd.DataFrame | None = None,
    replacing: bool = False,
    open_days: Dates | None = None,
    each_day: bool = False,
    listing_known: bool = True,
) -> Answer:
    """Return the bars of ``symbol`` from the first source that gives them.

    1. A source whose breaker is open is passed over; one that does not answer is asked again while that leaves each
       later one the time of a request, then the next.
    2. When none gave the stock, those that did not answer have another turn: one that refuses now and then must not
       cost a stock while the others rest.
    3. An answer that does not validate counts as none; the next source may do better. So does one that has none of
       the ``stored`` bars of the range, empty ones included: there were days of trading, so it is no answer. And,
       unless ``replacing`` what is stored, one that differs from most of them: it is adjusted, or about another stock.
    4. An empty answer counts when the source reads this machine's files or is simulated, when a second source
       agrees, when the stock has bars before the range (``has_history``: it is known, and has been suspended since),
       or when the exchange was closed throughout. (Days before its listing and after its delisting nobody asks for.)
       Where there is no second source it is a failure that says so.
    5. An answer that lacks a stretch of trading days (LONG_STRETCH; with ``each_day`` any of them) is held against
       that of the next source, which may have them. When there is none, it is taken with its ``gap`` if that is long;
       without, when it is the newest days of a stock that is known (it has been suspended since), or the oldest of
       one of which nobody knows when it was listed (``listing_known``).
    6. A source without the stock's exchange is not asked, and nobody waits for it.
    ``open_days`` are the exchange's days as far as they are known: a bar on another day cannot be right.
    Raises NoSourceAnswered, which says when to ask again if a source has not truly answered; AllSourcesRest (every
    source rests, whatever the stock is: try again later); NetworkDown (none was reached); or StopRequested.
    """
    tried = _Tried()
    turn = [source for source in sources if not _is_elsewhere(source, symbol, tried)]
    closed = _never_open(start, end, open_days)
    doubted: Answer | None = None
    shortest = 1 if each_day else LONG_STRETCH
    for _round in range(ROUNDS if len(sources) > 1 else 1):
        for place, source in enumerate(turn):
            later = len(turn) - 1 - place
            answer = _ask_one(source, symbol, start, end, today, stored, replacing, open_days, tried, later)
            if answer is None:
                continue
            counts = source.local or source.simulated or has_history or closed or bool(tried.empty_from)
            if answer.frame.empty:
                if counts and doubted is None:
                    return answer
                tried.empty_from.append(source.name)
                continue
            if not (source.local or source.simulated):
                gap = gap_of(answer.frame, answer.findings, start, end, open_days, shortest=shortest)
                answer = replace(answer, gap=gap)
            settled = _fuller(doubted, answer)
            if settled.gap is None:
                return settled
            doubted = settled
        turn = [source for source in turn if source.name in tried.silent]
        if doubted is not None or not turn or not _has_time():
            break
    if doubted is not None:
        known = not each_day and (has_history or stored is not None)
        began = start if listing_known else doubted.frame["date"].iloc[0].date()
        return _with_long_gap(doubted, began, end, open_days, known=known)
    raise _nothing(symbol, tried)


def _fuller(doubted: Answer | None, other: Answer) -> Answer:
    """Return the answer to take, without a gap when both of them say that there were no bars.

    Where each has bars that the other one lacks, neither is whole.
    """
    if doubted is None or doubted.gap is None:
        return other
    if not doubted.gap.is_filled_by(other.frame):
        return replace(doubted, gap=None)
    if other.gap is None or not other.gap.is_filled_by(doubted.frame):
        return replace(other, gap=None)
    return other if len(other.frame) > len(doubted.frame) else doubted


def _with_long_gap(answer: Answer, start: date | None, end: date, open_days: Dates | None, *, known: bool) -> Answer:
    gap = gap_of(answer.frame, answer.findings, start, end, open_days)
    return replace(answer, gap=None if gap is None or (known and gap.trailing) else gap)


def _nothing(symbol: str, tried: _Tried) -> NoSourceAnswered | AllSourcesRest | NetworkDown:
    """Return the error that says why there is no answer."""
    refusals = list(tried.refusals.values())
    if tried.empty_from:
        name = tried.empty_from[-1]
        text = Text(
            gettext_noop("%(source)s sent no bars for %(symbol)s in this range, and no second source confirms it."),
            {"source": word(label_of(name)), "symbol": symbol},
        )
        refusals.append(Refusal(name, "empty_answer", text))
    answered = {refusal.source for refusal in refusals} - tried.silent - tried.elsewhere - set(tried.resting)
    if tried.network is not None:
        if not answered and not tried.elsewhere:
            return tried.network
        # Those that are asked past the proxy may go on with other stocks.
        refusals.append(Refusal("", NetworkDown.code, tried.network.text))
        until = tried.network.until
        return NoSourceAnswered(refusals, max(1, tried.attempts), ask_again=until, put_off_at_most=None)
    if tried.resting and not tried.elsewhere and all(refusal.source in tried.resting for refusal in refusals):
        return AllSourcesRest(_next_try(tried.resting))
    for name in dict.fromkeys(tried.resting):
        if name in tried.refusals:
            continue
        rests = Text(gettext_noop("%(source)s rests after refusing requests."), {"source": word(label_of(name))})
        refusals.append(Refusal(name, Banned.code, rests))
    attempts = max(1, tried.attempts)
    later = db_now() + timedelta(seconds=settings.BREAKER_FIRST_REST)
    if tried.resting:
        next_try = _next_try(tried.resting)
        if answered:
            return NoSourceAnswered(refusals, attempts, ask_again=next_try, put_off_at_most=PUT_OFF_FOR_REST)
        # Who was merely silent may have it sooner than who rests for an hour.
        ask_again = min(next_try, later) if tried.silent else next_try
        return NoSourceAnswered(refusals, attempts, ask_again=ask_again, put_off_at_most=None)
    if tried.silent:
        return NoSourceAnswered(refusals, attempts, ask_again=later, put_off_at_most=PUT_OFF_FOR_SILENCE)
    return NoSourceAnswered(refusals, attempts)


def _is_elsewhere(source: Source, symbol: str, tried: _Tried) -> bool:
    """Say whether the source has no stock of this exchange; it then has its reason among the refusals."""
    exchanges = getattr(source, "exchanges", None)
    if exchanges is None or symbol.rpartition(".")[2] in exchanges:
        return False
    unknown = UnknownSymbol(source=word(label_of(source.name)), symbol=symbol)
    tried.refusals[source.name] = Refusal(source.name, unknown.code, unknown.text)
    tried.elsewhere.add(source.name)
    return True


def _never_open(start: date | None, end: date, open_days: Dates | None) -> bool:
    """Say whether the known calendar has no trading day in the range."""
    if start is None or open_days is None or not len(open_days) or np.datetime64(end) > open_days[-1]:
        return False
    return not ((open_days >= np.datetime64(start)) & (open_days <= np.datetime64(end))).any()


def _has_time() -> bool:
    context = current_context()
    return context is not None and context.seconds_left() >= settings.REQUEST_TIMEOUT


def _ask_one(
    source: Source,
    symbol: str,
    start: date | None,
    end: date,
    today: date,
    stored: pd.DataFrame | None,
    replacing: bool,
    open_days: Dates | None,
    tried: _Tried,
    later: int,
) -> Answer | None:
    refusal: SourceError | None = None
    tried.silent.discard(source.name)
    for attempt in range(ATTEMPTS):
        context = current_context()
        if context is not None:
            context.raise_if_stopping()
            if attempt and context.seconds_left() < later * settings.REQUEST_TIMEOUT:
                break
        if source.paced and not pacing.can_ask(source.name):
            tried.resting.append(source.name)
            return None
        tried.attempts += 1
        try:
            frame = source.daily_bars(symbol, start, end)
            validated = validate_bars(
                frame,
                symbol=symbol,
                source=source.name,
                start=start,
                end=end,
                today=today,
                precision=precision_of(source),
                open_days=open_days,
            )
            _require_stored_days(stored, validated, symbol, source)
            off = [] if replacing else _compare(stored, validated.frame, symbol, source)
        except NetworkDown as error:
            tried.attempts -= 1
            tried.network = error
            return None
        except pacing.SourceResting:
            # Nothing was sent: another lane was refused meanwhile, or no slot came in time.
            tried.attempts -= 1
            tried.resting.append(source.name)
            return None
        except (Banned, SourceUnavailable) as error:
            logger.info("%s from %s: %s", symbol, source.name, error)
            refusal = error
            continue
        except SourceError as error:
            refusal = error
            break
        return Answer(validated.frame, source.name, validated.findings, source.simulated, off)
    if refusal is not None:
        tried.refusals[source.name] = Refusal(source.name, refusal.code, refusal.text)
    if isinstance(refusal, Banned | SourceUnavailable) and source.paced:
        tried.silent.add(source.name)
    return None


def _require_stored_days(stored: pd.DataFrame | None, validated: Validated, symbol: str, source: Source) -> None:
    """Raise BadData for an answer without any day of which a bar is stored.

    A website that has enough of somebody may send him no bars at all, where it does not refuse. Files hold what they
    hold, and the simulated market has enough of nobody.
    """
    if stored is None or stored.empty or source.local or source.simulated:
        return
    refused = {pd.Timestamp(finding.date) for finding in validated.findings if finding.date is not None}
    if stored["date"].isin(validated.frame["date"]).any() or stored["date"].isin(refused).any():
        return
    raise BadData(
        gettext_noop(
            "%(source)s sent no bar of %(symbol)s on %(day)s, though one is stored: what it sent is no answer, and "
            "nothing was stored."
        ),
        source=word(label_of(source.name)),
        symbol=symbol,
        day=stored["date"].iloc[-1].date().isoformat(),
    )


def _compare(stored: pd.DataFrame | None, fetched: pd.DataFrame, symbol: str, source: Source) -> list[Difference]:
    if stored is None:
        return []
    off = differences(stored, fetched)
    common = int(fetched["date"].isin(stored["date"]).sum())
    if off and 2 * len(off) > common:
        first = off[0]
        raise BadData(
            gettext_noop(
                "%(source)s disagrees with the stored bars of %(symbol)s on %(off)s of %(common)s days, first on "
                "%(day)s (%(fetched)s instead of %(stored)s): nothing was stored. Fetch again what is stored "
                "(refresh) if the source is right."
            ),
            source=word(label_of(source.name)),
            symbol=symbol,
            off=len(off),
            common=common,
            day=first.day.isoformat(),
            fetched=f"{first.fetched:g}",
            stored=f"{first.stored:g}",
        )
    return off


def _next_try(resting: Sequence[str]) -> datetime:
    # A breaker may close, or a probe end, between the look at it and this one.
    soon = db_now() + timedelta(seconds=1)
    until = pacing.earliest_retry(resting)
    return max(soon, until) if until is not None else soon
