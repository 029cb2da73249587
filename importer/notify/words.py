"""A notice in words: title, sentences and a link, in the user's language, made when it is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from django.utils import translation
from django.utils.text import capfirst
from django.utils.translation import gettext_noop

from importer.api_paths import told
from importer.failure_words import code_text
from importer.management.base import command_language
from importer.models import Failure
from importer.notify.models import Event, Notice
from importer.task_words import kind_text, request_text
from marketdata.models import Origin
from marketdata.origin import current_origin
from marketdata.texts import Text, counted, listed, moment, sentence, sentences

_TITLES = {
    Event.COMPLETED: gettext_noop("%(kind)s: completed"),
    Event.FAILURES: gettext_noop("%(kind)s: completed, %(failed)s"),
    Event.FAILED: gettext_noop("%(kind)s: failed"),
    Event.SOURCE: gettext_noop("A source refuses"),
    Event.MISSING: gettext_noop("The newest day is missing"),
    Event.FINDINGS: gettext_noop("New findings"),
    Event.DIGEST: gettext_noop("What happened in a day"),
    Event.PING_GOOD: gettext_noop("%(kind)s: completed"),
    Event.PING_FAILED: gettext_noop("%(kind)s: failed"),
}
_REASONS_SHOWN = 3
_SYMBOLS_SHOWN = 5


@dataclass(frozen=True)
class Message:
    """What a receiver gets: plain text."""

    event: str
    title: str
    body: str


def language() -> str:
    """Return the language of messages: BARVAULT_LANGUAGE, else that of the locale, as commands have it."""
    return command_language(settings.COMMAND_LANGUAGE, os.environ)


def message_of(notice: Notice) -> Message:
    """Return a notice in words."""
    with translation.override(language()):
        lines = [*_lines(notice), "", settings.BASE_URL + link_of(notice)]
        return Message(notice.event, f"Barvault: {title_of(notice)}{_simulated()}", "\n".join(lines))


def test_message() -> Message:
    """Return the message of somebody who wants to know whether messages arrive."""
    with translation.override(language()):
        title = str(Text(gettext_noop("Test message")))
        body = str(Text(gettext_noop("Messages of Barvault arrive here.")))
        return Message("test", f"Barvault: {title}", f"{body}\n\n{settings.BASE_URL}{reverse('data')}")


def outage_message(error: Exception) -> Message:
    """Return the message that the database does not answer; nothing is read for it."""
    with translation.override(language()):
        title = str(Text(gettext_noop("The database does not answer")))
        text = gettext_noop(
            "The database has not answered for ten minutes (%(error)s): nothing can be stored or shown."
        )
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        return Message("outage", f"Barvault: {title}", str(Text(text, {"error": told(said)})))


def title_of(notice: Notice) -> str:
    """Return the title, in the language that is active now."""
    return capfirst(str(_title(notice)))


def digest_line(notice: Notice) -> Text:
    """Return what a digest says of a notice: when, what, and its sentences."""
    values = {
        "at": moment(notice.created_at),
        "title": sentence(_title(notice)),
        "text": sentences([Text(line["msgid"], line["values"]) for line in notice.lines]),
    }
    return Text(gettext_noop("%(at)s %(title)s. %(text)s"), values)


def sentence_of(notice: Notice) -> str:
    """Return what a notice says, in the language that is active now."""
    path = notice.task.parameters.get("path") if notice.task is not None else None
    return told(" ".join(str(Text(line["msgid"], line["values"])) for line in notice.lines), path)


def link_of(notice: Notice) -> str:
    """Return the path of the page that a notice is about."""
    return reverse("task", args=[notice.task_id]) if notice.task_id else reverse("data")


def _title(notice: Notice) -> Text:
    if notice.task is None:
        return Text(_TITLES[Event(notice.event)])
    failed = counted(notice.task.failed, "%(count)s stock failed", "%(count)s stocks failed")
    return Text(_TITLES[Event(notice.event)], {"kind": sentence(kind_text(notice.task)), "failed": failed})


def _lines(notice: Notice) -> Iterator[str]:
    if notice.event == Event.DIGEST:
        yield from (f"- {Text(line['msgid'], line['values'])}" for line in notice.lines)
        return
    if notice.task is not None:
        yield capfirst(str(request_text(notice.task)))
    yield sentence_of(notice)
    if notice.task is not None and notice.event in (Event.FAILURES, Event.FAILED):
        yield from _reasons(notice)


def _reasons(notice: Notice) -> Iterator[str]:
    failures = Failure.objects.filter(task=notice.task_id, finding=False).order_by()
    for row in failures.values("code").annotate(count=Count("pk")).order_by("-count")[:_REASONS_SHOWN]:
        symbols = failures.filter(code=row["code"]).order_by("pk").values_list("symbol", flat=True)[:_SYMBOLS_SHOWN]
        values = {
            "reason": sentence(code_text(row["code"])),
            "count": row["count"],
            "symbols": listed(list(symbols), more=row["count"] > _SYMBOLS_SHOWN),
        }
        yield capfirst(str(Text(gettext_noop("%(reason)s: %(count)s (%(symbols)s)"), values)))


def _simulated() -> str:
    return str(Text(gettext_noop(" (simulated data)"))) if current_origin() == Origin.SIMULATED else ""
