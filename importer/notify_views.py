"""The page about messages: who is told, whether messages arrive, what was sent and what was given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from importer.notify.models import PINGS, Delivery, DeliveryState, Notice
from importer.notify.receivers import Receiver, ping_receiver, receivers
from importer.notify.sending import send_to_all
from importer.notify.words import link_of, sentence_of, test_message, title_of
from importer.page_data import workers

SHOWN = 30


@dataclass(frozen=True)
class NoticeRow:
    """A notice as the page lists it."""

    at: datetime
    title: str
    text: str
    link: str
    deliveries: list[Delivery]


@never_cache
@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    """The receivers by kind and place, never by address; the newest notices and what became of them."""
    deliveries = Prefetch("deliveries", Delivery.objects.order_by("id"))
    newest = Notice.objects.exclude(event__in=PINGS).select_related("task").prefetch_related(deliveries)[:SHOWN]
    rows = [
        NoticeRow(each.created_at, title_of(each), sentence_of(each), link_of(each), list(each.deliveries.all()))
        for each in newest
    ]
    context = {"receivers": receivers(), "has_switch": ping_receiver() is not None, "rows": rows}
    return render(request, "notifications.html", {**context, "workers": workers(), "states": DeliveryState})


@require_POST
def test(request: HttpRequest) -> HttpResponse:
    """Send a test message to every receiver, or to the one that is named, and say what each of them answered."""
    asked = request.POST.get("receiver", "")
    to = [receiver for receiver in receivers() if asked in ("", receiver.key)]
    for receiver, error in send_to_all(to, test_message()):
        _say(request, receiver, error)
    return redirect("notifications")


def _say(request: HttpRequest, receiver: Receiver, error: object) -> None:
    if error is None:
        messages.success(request, _("%(receiver)s: the test message was sent.") % {"receiver": receiver.label})
    else:
        messages.error(request, _("%(receiver)s: %(error)s") % {"receiver": receiver.label, "error": error})
