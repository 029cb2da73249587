"""How pages write numbers, durations and times."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import zip_longest

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop

from marketdata.texts import about_text, duration_text, moment_text

register = template.Library()

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)")
_UNITS = ("B", "kB", "MB", "GB", "TB")


@register.filter
def number(value: int | float | None) -> str:
    """Write a whole number with thousands separators; nothing for None."""
    return "" if value is None else f"{value:,.0f}"


@register.filter
def duration(value: float | None) -> str:
    """Write seconds as a duration; nothing for None."""
    return "" if value is None else duration_text(value)


@register.filter
def about(value: float | None) -> str:
    """Write seconds that are only estimated; nothing for None."""
    return "" if value is None else about_text(value)


@register.filter
def size(value: int | None) -> str:
    """Write bytes with a unit; nothing for None."""
    if value is None:
        return ""
    amount, unit = float(value), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:,.1f} {unit}" if amount < 10 and unit != "B" else f"{amount:,.0f} {unit}"


@register.filter
def rate(value: float | None) -> str:
    """Write a number of things per second: one decimal below 100."""
    if value is None:
        return ""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


@register.filter
def phrase(value: object) -> SafeString:
    """Write a phrase with a capital at its beginning; a date in it is not broken at the end of a line."""
    pieces = _DATE.split(capfirst(str(value)))
    pairs = zip_longest(pieces[::2], pieces[1::2])
    return format_html_join("", "{}{}", ((words, _unbroken(day)) for words, day in pairs))


@register.filter
def clock(value: datetime | None) -> SafeString | str:
    """Write a moment as a time of day (the date before it when it is not today), the whole of it on hover."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), _whole(local), moment_text(value))


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """Write how long ago a moment was, the whole of it on hover."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    passed = (timezone.now() - value).total_seconds()
    if passed < 10:
        words = gettext(gettext_noop("just now"))
    else:
        words = gettext(gettext_noop("%(time)s ago")) % {
            "time": about_text(passed if passed < 60 else passed // 60 * 60)
        }
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), _whole(local), words)


def _unbroken(text: str | None) -> SafeString | str:
    return format_html('<span class="unbroken">{}</span>', text) if text else ""


def _whole(local: datetime) -> str:
    return local.strftime("%Y-%m-%d %H:%M:%S")
