"""Sentences that are made when they are read: a template and its values, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext


@dataclass(frozen=True)
class Text:
    """A sentence as it is stored: ``msgid`` (English, ``%(name)s`` placeholders) and JSON-able ``values``.

    ``str()`` renders it in the language that is active now. Whole numbers get thousands separators; a value
    made by ``seconds()``, ``moment()``, ``word()``, ``counted()``, ``listed()`` or ``sentence()`` is put into words
    only then.
    """

    msgid: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.msgid:
            return ""
        return gettext(self.msgid) % {name: _presented(value) for name, value in self.values.items()}


class ExplainedError(Exception):
    """Base of our errors: one sentence for the user, with the identifiers and what to do.

    Raise with a msgid marked by ``gettext_noop`` and its values; ``code`` never changes between versions.
    """

    code = "error"
    default_msgid = ""

    def __init__(self, msgid: str = "", /, **values: Any) -> None:
        self.text = Text(msgid or self.default_msgid, values)
        super().__init__(self.text.msgid, values)

    def __str__(self) -> str:
        return str(self.text)


def seconds(value: float) -> dict[str, Any]:
    """Return a value for a Text that reads as a duration."""
    return {"seconds": value}


def moment(value: datetime) -> dict[str, Any]:
    """Return a value for a Text that reads as a time of day in exchange time (with the date if not today's)."""
    return {"moment": value.isoformat()}


def word(msgid: str) -> dict[str, Any]:
    """Return a value for a Text that is itself translated."""
    return {"msgid": msgid, "values": {}}


def counted(number: int, one: str, many: str) -> dict[str, Any]:
    """Return a value for a Text that is a number with what it counts: ``1 stock``, ``37 stocks``.

    ``one`` and ``many`` are msgids with the placeholder ``%(count)s``; catalogues find them here, as in ngettext.
    """
    return {"count": number, "one": one, "many": many}


def sentence(text: Text) -> dict[str, Any]:
    """Return a value for a Text that is another Text."""
    return {"msgid": text.msgid, "values": dict(text.values)}


def sentences(texts: Sequence[Text]) -> dict[str, Any]:
    """Return a value for a Text that is several others, one after the other."""
    return {"all": [sentence(text) for text in texts]}


def listed(parts: Sequence[str], *, more: bool = False) -> dict[str, Any]:
    """Return a value for a Text that is a list, as the reader's language writes one; ``more``: it goes on."""
    return {"list": list(parts), "more": more}


def listed_text(parts: Sequence[str], *, more: bool = False) -> str:
    """Put a list into words, in the language that is active now."""
    return gettext(gettext_noop(", ")).join(parts) + (" …" if more else "")


def duration_text(value: float) -> str:
    """Put a duration in seconds into words, in the language that is active now: the two largest units."""
    whole = max(0, round(value))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return gettext(gettext_noop("%(hours)s h %(minutes)s min")) % {"hours": hours, "minutes": minute}
    if minutes:
        return gettext(gettext_noop("%(minutes)s min %(seconds)s s")) % {"minutes": minute, "seconds": second}
    return gettext(gettext_noop("%(seconds)s s")) % {"seconds": second}


def about_text(value: float) -> str:
    """Put an estimated duration in seconds into words, no finer than an estimate is: whole minutes from ten on."""
    whole = max(1, round(value))
    minutes = round(whole / 60)
    if 10 <= minutes < 60 or whole in (60 * minute for minute in range(1, 10)):
        return gettext(gettext_noop("%(minutes)s min")) % {"minutes": minutes}
    return duration_text(whole)


def moment_text(value: datetime, now: datetime | None = None) -> str:
    """Put a moment into words: ``12:05``, or ``2026-11-24 12:05`` when it is not today (exchange time)."""
    local = timezone.localtime(value)
    today = timezone.localtime(now or timezone.now()).date()
    return local.strftime("%H:%M" if local.date() == today else "%Y-%m-%d %H:%M")


def _presented(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | dict):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if "seconds" in value:
        return duration_text(value["seconds"])
    if "moment" in value:
        return moment_text(datetime.fromisoformat(value["moment"]))
    if "one" in value:
        one, many, count = value["one"], value["many"], value["count"]
        return ngettext(one, many, count) % {"count": f"{count:,}"}
    if "list" in value:
        return listed_text(value["list"], more=value["more"])
    if "all" in value:
        return " ".join(str(_presented(part)) for part in value["all"])
    return str(Text(value["msgid"], value["values"]))
