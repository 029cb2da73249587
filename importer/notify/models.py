"""What is to be told, and to whom it was: the outbox. No row holds an address."""

from __future__ import annotations

import json
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from config import events
from marketdata.texts import Text, sentence


class Event(models.TextChoices):
    """What a notice is about; the first six are what BARVAULT_NOTIFY_EVENTS names."""

    COMPLETED = events.COMPLETED, _("a task completed")
    FAILURES = events.FAILURES, _("a task completed with failures")
    FAILED = events.FAILED, _("a task failed")
    SOURCE = events.SOURCE, _("a source refuses for long")
    MISSING = events.MISSING, _("the newest day is missing")
    FINDINGS = events.FINDINGS, _("new findings")
    DIGEST = "digest", _("digest of a day")
    PING_GOOD = "ping_good", _("sign of life after a good update")
    PING_FAILED = "ping_failed", _("sign of life after a failed update")


PINGS = (Event.PING_GOOD, Event.PING_FAILED)
# They do not wait for the digest.
ALARMS = (Event.FAILED, Event.MISSING)


class Notice(models.Model):
    """Something to tell. ``key`` makes it one message however often it is noticed.

    ``lines`` are Texts as JSON (``{"msgid", "values"}``), put into words when they are sent. ``shared_at``: when it
    was turned into deliveries, or left out.
    """

    key = models.CharField(_("key"), max_length=100, unique=True)
    event = models.CharField(_("event"), max_length=12, choices=Event)
    task = models.ForeignKey(
        "importer.ImportTask",
        verbose_name=_("import task"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="notices",
    )
    lines = models.JSONField(default=list)
    created_at = models.DateTimeField(_("created"))
    shared_at = models.DateTimeField(_("handed out"), null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        indexes: ClassVar = [
            models.Index(fields=["created_at"], condition=models.Q(shared_at=None), name="notice_to_share"),
        ]

    def __str__(self) -> str:
        return self.key


class DeliveryState(models.TextChoices):
    WAITING = "waiting", _("waits")  # is sent at next_try_at
    SENT = "sent", _("sent")  # the receiver took it
    GIVEN_UP = "given_up", _("given up")  # the receiver was down for a day, or is not configured any more


class Delivery(models.Model):
    """A notice on its way to one receiver, known by ``receiver``: a keyed hash of its address.

    Who sends holds ``token`` until ``leased_until``. ``error`` is what the receiver said last, masked, as
    ``kept_error`` keeps it.
    """

    notice = models.ForeignKey(Notice, verbose_name=_("notice"), on_delete=models.CASCADE, related_name="deliveries")
    receiver = models.CharField(_("receiver"), max_length=20)
    label = models.CharField(_("kind of receiver"), max_length=40)
    state = models.CharField(_("state"), max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_try_at = models.DateTimeField(_("next try"))
    give_up_at = models.DateTimeField(_("given up at"))
    token = models.CharField(max_length=32, blank=True)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["notice", "id"]
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notice", "receiver"], name="one_delivery_per_receiver"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_try_at"], condition=models.Q(state="waiting"), name="delivery_due"),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} → {self.label}"

    @property
    def said(self) -> str:
        """What the receiver said last, or why it was not asked, in the language that is active now."""
        try:
            kept = json.loads(self.error)
            return str(Text(kept["msgid"], kept["values"]))
        except (ValueError, KeyError, TypeError):
            # Of an earlier version, or of none that failed.
            return self.error


def kept_error(error: Text) -> str:
    """Return why a delivery failed as its row keeps it: to be put into words for whoever reads it."""
    return json.dumps(sentence(error), ensure_ascii=False)
