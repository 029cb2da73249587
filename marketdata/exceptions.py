"""What can go wrong with what is stored and how it is read."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from marketdata.texts import ExplainedError


class MarketDataError(ExplainedError):
    code = "market_data_error"


class BadSymbol(MarketDataError):
    code = "bad_symbol"
    default_msgid = gettext_noop("“%(symbol)s” is not a stock symbol. Write it as 600519, 600519.SH or sh600519.")


class UnknownStock(MarketDataError):
    code = "unknown_stock"
    default_msgid = gettext_noop("%(symbol)s is not in the database. Import it first.")


class MixedOrigins(MarketDataError):
    """Simulated bars were to be stored beside real ones, or the other way round."""

    code = "mixed_origins"
    default_msgid = gettext_noop(
        "This database holds %(stored)s market data; %(offered)s data are not stored beside it. "
        "Use another database (DATABASE_URL), or BARVAULT_DEMO=1 for the simulated market."
    )


class BadCalendar(MarketDataError):
    """A published list of trading days that cannot be right."""

    code = "bad_calendar"
    default_msgid = gettext_noop("The list of trading days cannot be right. It was not stored.")


class IncompleteDay(MarketDataError):
    """A day was to be read only if every bar that is expected of it is there."""

    code = "incomplete_day"
    default_msgid = gettext_noop(
        "%(day)s is not complete: %(figures)s. Run: python manage.py update_bars, or for a day of the past "
        "python manage.py repair_bars --start %(day)s --end %(day)s"
    )
