"""Why a row was not stored, by the code that its finding has; light to import."""

from __future__ import annotations

from django.utils.translation import gettext_noop

# In the order in which they are looked for: a row is listed with the first one.
REASONS = {
    "no_date": gettext_noop("its date cannot be read"),
    "future": gettext_noop("the day is not over yet"),
    "outside_range": gettext_noop("the day was not asked for"),
    "weekend": gettext_noop("the exchange is closed at weekends"),
    "closed_day": gettext_noop("the exchange was closed"),
    "not_finite": gettext_noop("a number is missing"),
    "not_positive": gettext_noop("a number is below zero, or a price is zero"),
    "no_volume": gettext_noop("there are prices or an amount, but no shares"),
    "too_large": gettext_noop("a number is too large to be true"),
    "not_whole": gettext_noop("the volume is not a whole number of shares"),
    "high_low": gettext_noop("open, high, low and close contradict one another"),
    "off_tick": gettext_noop("a price has more than two decimals"),
    "amount": gettext_noop("amount / shares is outside low..high"),
    "duplicate": gettext_noop("the day is there twice, with different values"),
}
