"""The protocol that every source keeps, and the errors it may raise.

A source is one file in this package and one line in ``registry.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from django.utils.translation import gettext_noop

from marketdata.texts import ExplainedError, sentence

if TYPE_CHECKING:
    # Pages and short commands know sources by name and never see a frame: pandas takes them 0.3 s to load.
    import pandas as pd

    from marketdata.actions import ListedAction
    from marketdata.market_index import IndexDayBar

BAR_COLUMNS = ("date", "open", "high", "low", "close", "volume", "amount")
SNAPSHOT_COLUMNS = ("symbol", "name", "open", "high", "low", "close", "volume", "amount", "prev_close")


class SourceError(ExplainedError):
    """Base of what a source may raise. ``source`` and ``symbol`` are among the values."""

    code = "source_error"


class SourceUnavailable(SourceError):
    """No usable answer: no connection, no answer in time, a server error. Worth another try later."""

    code = "source_unavailable"
    default_msgid = gettext_noop("%(source)s did not answer (%(detail)s).")


class Banned(SourceError):
    """The source refuses us: reset connections, 403, 429, a web page where data belong.

    ``retry_after`` is what the source asked for, in seconds, if it did.
    """

    code = "banned"
    default_msgid = gettext_noop("%(source)s refuses requests from this address (%(detail)s).")

    def __init__(self, msgid: str = "", /, *, retry_after: float | None = None, **values: Any) -> None:
        super().__init__(msgid, **values)
        self.retry_after = retry_after


class NetworkDown(ExplainedError):
    """No data site can be reached: neither a stock nor a source is to blame. To be tried again at ``until``.

    Not a SourceError, so that whoever goes on without one source does not go on without a network.
    """

    code = "network_down"
    default_msgid = gettext_noop("No data site can be reached from this machine. %(reason)s")

    def __init__(self, failure: SourceError, until: datetime) -> None:
        # Where every door is closed nobody refuses.
        reason = failure if isinstance(failure, SourceUnavailable) else SourceUnavailable(**failure.text.values)
        super().__init__(reason=sentence(reason.text))
        self.until = until


class BadData(SourceError):
    """An answer that cannot be right; it was not stored. Another source may do better."""

    code = "bad_data"
    default_msgid = gettext_noop("%(source)s sent data for %(symbol)s that cannot be right: %(detail)s.")


class UnknownSymbol(SourceError):
    """The source has no such stock."""

    code = "unknown_symbol"
    default_msgid = gettext_noop("%(source)s does not know %(symbol)s. Check the symbol.")


@dataclass(frozen=True)
class ListedStock:
    """A stock as a source lists it. ``symbol`` is canonical (``600519.SH``); dates are exchange dates."""

    symbol: str
    name: str = ""
    board: str = ""
    listed_on: date | None = None
    delisted_on: date | None = None


@runtime_checkable
class Source(Protocol):
    """Where bars come from.

    ``name`` is what users type and what is stored with each bar (at most 12 characters).
    ``paced``: each request waits for a slot of the shared pace. ``local``: reads this machine's disk.
    A source that has not all exchanges names its own (``SH``, ``SZ``, ``BJ``) in an attribute ``exchanges``: it is not
    asked for stocks of others, and nobody waits for it.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    paced: ClassVar[bool]
    local: ClassVar[bool]
    simulated: ClassVar[bool]

    def stocks(self) -> Iterable[ListedStock]:
        """Return every stock that the source lists. Raises SourceUnavailable, Banned or BadData."""

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        """Return raw bars of ``symbol`` with start <= date <= end (None: no bound).

        Columns are BAR_COLUMNS: ``date`` datetime64 at midnight (an exchange date, no time zone), prices
        float64 in yuan, ``volume`` int64 in shares, ``amount`` float64 in yuan; sorted by date, no index
        meaning. An empty frame says that the source has no bar in this range.
        Raises SourceUnavailable, Banned, BadData or UnknownSymbol.
        """


@runtime_checkable
class SnapshotSource(Source, Protocol):
    """A source that can show the whole market at once, in one or several parts that are asked for one by one."""

    snapshot_parts: ClassVar[Sequence[str]]

    def snapshot(self, day: date, part: str = "") -> pd.DataFrame:
        """Return what the exchange shows at the end of ``day``, which is today: a row for each stock of the part.

        ``part`` is one of ``snapshot_parts``: an exchange, or "" for all of them at once. Columns are
        SNAPSHOT_COLUMNS: raw prices in yuan, ``volume`` in shares, ``amount`` in yuan, ``prev_close`` the exchange's
        reference for the day, ex-right on an ex-date. Of a stock that does not trade the other numbers are NaN.
        Websites say nowhere which day they show.
        Raises SourceUnavailable, Banned or BadData.
        """


@runtime_checkable
class ActionSource(Source, Protocol):
    """A source that knows corporate actions."""

    def market_actions(self, since: date, *, today: date, symbols: Sequence[str] | None = None) -> list[ListedAction]:
        """Return the corporate actions with ex-dates from ``since`` on, announced ones after ``today`` included.

        ``symbols``: of these stocks only. Of a stock and ex-date there is one action.
        Raises SourceUnavailable, Banned or BadData.
        """


@runtime_checkable
class IndexSource(Source, Protocol):
    """A source that knows the composite indexes of the exchanges."""

    def index_days(self, index: str, start: date, end: date) -> Sequence[IndexDayBar]:
        """Return the days of ``index`` (``000001.SH``, ``399106.SZ``) with start <= day <= end, oldest first.

        One request. An empty answer says that the source has none of them.
        Raises SourceUnavailable, Banned, BadData or UnknownSymbol.
        """
