"""Ask the sources for one stock's bars: in order, with retries, each answer validated before anybody stores it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pandas as pd
from django.conf import settings
from django.utils.translation import gettext_noop

from importer import pacing
from importer.dbtime import db_now
from importer.overlap import Difference, differences
from importer.sources.arrays import Dates
from importer.sources.base import BadData, Banned, Source, SourceError, SourceUnavailable
from importer.sources.fetching import current_context
from importer.sources.labels import label_of
from importer.sources.rows import EXACT
from importer.sources.validation import Finding, validate_bars
from marketdata.texts import ExplainedError, Text, word

logger = logging.getLogger(__name__)

# A source that does not answer is asked so often for one stock, as long as that leaves time for those after it.
ATTEMPTS = 3
# When none of several sources gave the stock, those that merely did not answer are asked again so often.
ROUNDS = 4


@dataclass(frozen=True)
class Answer:
    """A validated answer. An empty frame: no source has a bar in the range."""

    frame: pd.DataFrame
    source: str
    findings: Sequence[Finding]
    simulated: bool
    differences: Sequence[Difference] = ()


@dataclass(frozen=True)
class Refusal:
    """Why a source gave nothing for the stock."""

    source: str
    code: str
    text: Text


class NoSourceAnswered(ExplainedError):
    """Every source was asked and none could give the stock; each one's reason is in ``refusals``."""

    code = "no_source"

    def __init__(self, refusals: Sequence[Refusal], attempts: int) -> None:
        last = refusals[-1]
        super().__init__(last.text.msgid, **last.text.values)
        self.refusals = tuple(refusals)
        self.attempts = attempts


class AllSourcesRest(ExplainedError):
    """No source may be asked before ``until``; the stock is not to blame and is tried again then."""

    code = "all_sources_rest"
    default_msgid = gettext_noop("Every source rests after refusing requests.")

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


@dataclass
class _Tried:
    """``refusals``: the last one of each source. ``silent``: those that may be asked again, since only they failed."""

    refusals: dict[str, Refusal] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    empty_from: list[str] = field(default_factory=list)
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
    open_days: Dates | None = None,
) -> Answer:
    """Return the bars of ``symbol`` from the first source that gives them.

    1. A source whose breaker is open is passed over; one that does not answer is asked again while that leaves each
       later one the time of a request, then the next.
    2. When none gave the stock, those that did not answer have another turn: one that refuses now and then must not
       cost a stock while the others rest.
    3. An answer that does not validate counts as none; the next source may do better. So does one that differs
       from most of the ``stored`` bars of the same days: it is adjusted, or about another stock.
    4. An empty answer counts when the source reads this machine's files or is simulated, when a second source
       agrees, or when the stock has bars before the range (it is known, and has been suspended since).
    ``open_days`` are the exchange's days as far as they are known: a bar on another day cannot be right.
    Raises NoSourceAnswered, AllSourcesRest (nothing was learnt: try again later) or StopRequested.
    """
    tried = _Tried()
    turn = list(sources)
    for _round in range(ROUNDS if len(sources) > 1 else 1):
        for place, source in enumerate(turn):
            answer = _ask_one(source, symbol, start, end, today, stored, open_days, tried, len(turn) - 1 - place)
            if answer is None:
                continue
            if not answer.frame.empty or source.local or source.simulated or has_history or tried.empty_from:
                return answer
            tried.empty_from.append(source.name)
        turn = [source for source in turn if source.name in tried.silent]
        if not turn or not _has_time():
            break
    raise _nothing(symbol, tried)


def _nothing(symbol: str, tried: _Tried) -> NoSourceAnswered | AllSourcesRest:
    """Return the error that says why there is no answer."""
    refusals = list(tried.refusals.values())
    if tried.empty_from:
        name = tried.empty_from[-1]
        text = Text(
            gettext_noop("%(source)s sent no bars for %(symbol)s in this range, and no second source confirms it."),
            {"source": word(label_of(name)), "symbol": symbol},
        )
        refusals.append(Refusal(name, "empty_answer", text))
    if all(refusal.source in tried.resting for refusal in refusals):
        return AllSourcesRest(_next_try(tried.resting))
    for name in dict.fromkeys(tried.resting):
        if name in tried.refusals:
            continue
        rests = Text(gettext_noop("%(source)s rests after refusing requests."), {"source": word(label_of(name))})
        refusals.append(Refusal(name, Banned.code, rests))
    return NoSourceAnswered(refusals, max(1, tried.attempts))


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
                precision=getattr(source, "precision", EXACT),
                open_days=open_days,
            )
            off = _compare(stored, validated.frame, symbol, source)
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
    if isinstance(refusal, Banned | SourceUnavailable):
        tried.silent.add(source.name)
    return None


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
