"""Learn from an update which days the exchange is going to be open. What cannot be had fails no update."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

from importer.models import ImportTask, Kind
from importer.sources.base import Source, SourceError
from importer.verdict import calendar_ends_soon
from marketdata.exceptions import BadCalendar
from marketdata.trading_days import extend_calendar, last_known_day

logger = logging.getLogger(__name__)

# Where the task whose plan fetched the published days says on which day that was.
FETCHED_ON = "calendar_on"


def follow_calendar(sources: Sequence[Source], *, today: date) -> bool:
    """Store the trading days that the exchange has published since; say whether its list was fetched and believed.

    It is one request to Sina, whichever website the update asks, and is made while the known days end soon, until
    one succeeded on ``today``. What cannot be had, or be right, is logged: the data page and ``doctor`` say that
    the calendar ends soon anyhow. Raises StopRequested.
    """
    asks_websites = any(not (source.local or source.simulated) for source in sources)
    if not asks_websites or not calendar_ends_soon(last_known_day(), today) or _was_fetched(today):
        return False
    # AKShare takes a second to import, and most of the year nobody needs it for this.
    from importer.sources.akshare.sina import published_trading_days

    try:
        new = extend_calendar(published_trading_days())
    except (SourceError, BadCalendar) as error:
        logger.warning("the exchange's calendar stays as it is: %s", error)
        return False
    logger.info("the exchange's calendar: %s new trading days", new)
    return True


def _was_fetched(today: date) -> bool:
    return ImportTask.objects.filter(kind=Kind.UPDATE, **{f"parameters__{FETCHED_ON}": today.isoformat()}).exists()
