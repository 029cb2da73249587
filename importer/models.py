"""Tasks, their chunks and lanes, and what is remembered about hosts and sources.

Only ``lifecycle.py`` changes a task's status. Times that are compared (leases, slots) are the database's own.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

# Django looks for models here.
from importer.notify import models as _notices  # noqa: F401
from importer.schedule_rules import Rule, When
from marketdata.texts import Text


class Kind(models.TextChoices):
    IMPORT = "import", _("full import")
    UPDATE = "update", _("update")
    REPAIR = "repair", _("repair")


class Status(models.TextChoices):
    PENDING = "pending", _("pending")  # waits for its turn, for the first time or after it stepped aside
    RUNNING = "running", _("running")  # its chunks are being worked on; at most one task is
    PAUSED = "paused", _("paused")  # somebody asked for it; resume makes it pending
    COMPLETED = "completed", _("completed")  # every stock is done, skipped or a listed failure
    FAILED = "failed", _("failed")  # nothing more could be done; resume tries again
    CANCELLED = "cancelled", _("cancelled")  # somebody asked for it; what was stored stays


ACTIVE = (Status.PENDING, Status.RUNNING, Status.PAUSED)
FINISHED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Action(models.TextChoices):
    """What was asked of a running task and takes effect between two stocks."""

    NONE = "", _("nothing")
    PAUSE = "pause", _("pause")
    CANCEL = "cancel", _("cancel")
    STEP_ASIDE = "step_aside", _("step aside")


class Reasoned(models.Model):
    """A row with a reason, which is kept as a Text and read in the reader's language."""

    reason_id = models.TextField(blank=True)
    reason_values = models.JSONField(default=dict)

    class Meta:
        abstract = True

    @property
    def reason(self) -> str:
        return str(Text(self.reason_id, self.reason_values))


class ImportTask(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PENDING)
    priority = models.SmallIntegerField(_("priority"), default=0)
    progress = models.PositiveSmallIntegerField(_("progress"), default=0)
    message_id = models.TextField(blank=True)
    message_values = models.JSONField(default=dict)
    parameters = models.JSONField(_("parameters"), default=dict)
    fingerprint = models.CharField(_("fingerprint of the request"), max_length=64)
    requested_action = models.CharField(_("requested"), max_length=10, choices=Action, default=Action.NONE, blank=True)
    # Who asked for the requested action: the change of state that follows later is theirs.
    action_by = models.CharField(_("requested action by"), max_length=80, blank=True, default="", db_default="")
    waiting_until = models.DateTimeField(_("waiting until"), null=True, blank=True)
    retry_of = models.ForeignKey(
        "self", verbose_name=_("retry of"), null=True, blank=True, on_delete=models.SET_NULL, related_name="retries"
    )
    planned_at = models.DateTimeField(_("planned"), null=True, blank=True)
    total = models.PositiveIntegerField(_("stocks"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    failed = models.PositiveIntegerField(_("failed stocks"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    rows_written = models.BigIntegerField(_("rows written"), default=0)
    stocks_per_second = models.FloatField(_("stocks per second"), null=True, blank=True)
    requested_by = models.CharField(_("requested by"), max_length=80, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    # How many lanes died in a row, and how many stocks were finished then (null: not planned yet).
    lane_deaths = models.PositiveSmallIntegerField(default=0, db_default=0)
    reached_at_death = models.PositiveIntegerField(null=True, blank=True)
    pruned_at = models.DateTimeField(_("details forgotten"), null=True, blank=True)
    # What was known of chunks and failures when they were forgotten.
    summary = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        verbose_name = _("import task")
        verbose_name_plural = _("import tasks")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["status"], condition=Q(status="running"), name="one_running_task"),
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=Q(status__in=["pending", "running", "paused"]),
                name="one_active_task_per_request",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "-priority", "created_at"], name="task_turn"),
            models.Index(fields=["-created_at"], name="task_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.id}"

    @property
    def message(self) -> str:
        """The sentence that says where the task stands, in the language that is active now."""
        return str(Text(self.message_id, self.message_values))


class ImportChunk(models.Model):
    """A slice of a task's stocks; ``cursor`` is the place of the next one.

    ``generation`` fences: a lane that was thought dead holds an older one and writes nothing.
    ``deaths`` counts the lanes that died at this cursor; an ``isolated`` chunk holds one suspected stock.
    ``by_source`` says how many of the ``done`` stocks each source gave. ``not_before``: its stocks were set aside
    because sources rest, ``put_off`` times by now; nobody claims it earlier.
    """

    task = models.ForeignKey(ImportTask, verbose_name=_("import task"), on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField(_("number"))
    symbols = models.JSONField(_("stocks"))
    size = models.PositiveIntegerField(_("size"))
    cursor = models.PositiveIntegerField(_("cursor"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    failed = models.PositiveIntegerField(_("failed stocks"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    set_aside = models.PositiveIntegerField(_("set aside"), default=0)
    rows = models.BigIntegerField(_("rows written"), default=0)
    by_source = models.JSONField(_("by source"), default=dict)
    isolated = models.BooleanField(_("tried alone"), default=False)
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    put_off = models.PositiveSmallIntegerField(_("put off"), default=0)
    deaths = models.PositiveSmallIntegerField(_("deaths of lanes"), default=0)
    generation = models.PositiveIntegerField(_("generation"), default=0)
    lane = models.PositiveSmallIntegerField(_("lane"), null=True, blank=True)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["task", "number"]
        verbose_name = _("chunk")
        verbose_name_plural = _("chunks")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "number"], name="one_chunk_per_number"),
            models.CheckConstraint(condition=Q(cursor__lte=models.F("size")), name="cursor_within_chunk"),
        ]

    def __str__(self) -> str:
        return f"{self.task_id} #{self.number} {self.cursor}/{self.size}"


class LaneSlot(models.Model):
    """One lane of the running task. ``token`` changes with each message and each taking: an old one is void.

    ``pid`` is set while a lane holds the slot, null while its message is on the way.
    """

    task = models.ForeignKey(ImportTask, verbose_name=_("import task"), on_delete=models.CASCADE, related_name="slots")
    number = models.PositiveSmallIntegerField(_("number"))
    token = models.CharField(max_length=32)
    leased_until = models.DateTimeField(_("leased until"))
    host = models.CharField(_("host"), max_length=100, blank=True)
    pid = models.PositiveIntegerField(_("process"), null=True, blank=True)
    doing = models.CharField(_("does"), max_length=40, blank=True)

    class Meta:
        ordering: ClassVar = ["task", "number"]
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        constraints: ClassVar = [models.UniqueConstraint(fields=["task", "number"], name="one_slot_per_number")]

    def __str__(self) -> str:
        return f"{self.task_id} lane {self.number}"


class Host(models.Model):
    """A machine that runs a cluster: seen every few seconds by its main process."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    workers = models.PositiveSmallIntegerField(_("workers"), default=0)
    pid = models.PositiveIntegerField(_("process"), null=True)
    started_at = models.DateTimeField(_("started"))
    seen_at = models.DateTimeField(_("last sign of life"))
    restarts = models.PositiveIntegerField(_("restarts"), default=0)
    trouble = models.TextField(_("trouble"), blank=True)
    version = models.CharField(_("version"), max_length=40, blank=True)

    class Meta:
        verbose_name = _("host")
        verbose_name_plural = _("hosts")

    def __str__(self) -> str:
        return self.name


class Seal(models.Model):
    """The one row that says to whom this database belongs: which secret key, and the newest version that worked on it.

    Of the key only a fingerprint is kept. Host processes of every version read these columns: they stay.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    key_salt = models.CharField(max_length=64)
    key_fingerprint = models.CharField(max_length=64)
    version = models.CharField(max_length=40)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="only_one_seal")]

    def __str__(self) -> str:
        return self.version


class Transition(Reasoned):
    """One change of a task's state: what, why, who, from where, when."""

    task = models.ForeignKey(
        ImportTask, verbose_name=_("import task"), on_delete=models.CASCADE, related_name="transitions"
    )
    old = models.CharField(_("old state"), max_length=10, choices=Status, blank=True)
    new = models.CharField(_("new state"), max_length=10, choices=Status)
    by = models.CharField(_("by"), max_length=80, blank=True)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        verbose_name = _("state change")
        verbose_name_plural = _("state changes")

    def __str__(self) -> str:
        return f"{self.task_id} {self.old} → {self.new}"


class Failure(Reasoned):
    """A stock (or a row of it) that was not stored, with the reason; ``finding`` ones do not fail the stock."""

    task = models.ForeignKey(
        ImportTask, verbose_name=_("import task"), on_delete=models.CASCADE, related_name="failures"
    )
    symbol = models.CharField(_("symbol"), max_length=9)
    source = models.CharField(_("source"), max_length=40, blank=True)
    code = models.CharField(_("code"), max_length=30)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)
    finding = models.BooleanField(_("finding"), default=False)
    at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        verbose_name = _("failure")
        verbose_name_plural = _("failures")
        indexes: ClassVar = [models.Index(fields=["task", "symbol"], name="failure_task_symbol")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.code}"


class SnapshotPart(models.Model):
    """What a source showed of a part of the market on ``day``: kept as soon as it is there, for whoever plans next.

    ``rows``: a list for each stock, with the values of SNAPSHOT_COLUMNS. Taken after the day's end.
    """

    source = models.CharField(_("source"), max_length=12)
    day = models.DateField(_("date"))
    part = models.CharField(_("part"), max_length=8, blank=True)
    rows = models.JSONField(_("rows"))
    taken_at = models.DateTimeField(_("taken"))

    class Meta:
        ordering: ClassVar = ["day", "source", "part"]
        verbose_name = _("part of a snapshot")
        verbose_name_plural = _("parts of snapshots")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "day", "part"], name="one_snapshot_per_part"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.day} {self.part}".strip()


class Breaker(models.TextChoices):
    CLOSED = "closed", _("normal")
    OPEN = "open", _("resting")
    HALF_OPEN = "half_open", _("being tried again")


class SourceState(Reasoned):
    """The shared pace and circuit breaker of one source, for all workers on all hosts."""

    source = models.CharField(_("source"), max_length=12, primary_key=True)
    next_slot_at = models.DateTimeField(_("next free slot"), null=True, blank=True)
    interval = models.FloatField(_("gap (s)"), default=0.0)
    breaker = models.CharField(_("state"), max_length=10, choices=Breaker, default=Breaker.CLOSED)
    open_until = models.DateTimeField(_("rests until"), null=True, blank=True)
    opened_times = models.PositiveSmallIntegerField(_("rests in a row"), default=0)
    probe_until = models.DateTimeField(_("tried again until"), null=True, blank=True)
    refusals = models.PositiveIntegerField(_("refusals in a row"), default=0)
    counted_on = models.DateField(_("counted on"), null=True, blank=True)
    requests_today = models.PositiveIntegerField(_("requests today"), default=0)
    requests = models.BigIntegerField(_("requests"), default=0)
    successes = models.BigIntegerField(_("answers"), default=0)
    troubles = models.BigIntegerField(_("troubles"), default=0)
    last_success_at = models.DateTimeField(_("last answer"), null=True, blank=True)
    last_trouble_at = models.DateTimeField(_("last trouble"), null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["source"]
        verbose_name = _("source")
        verbose_name_plural = _("sources")

    def __str__(self) -> str:
        return self.source


class Outcome(models.TextChoices):
    """What became of a schedule's last run."""

    NONE = "", _("has not run yet")
    STARTED = "started", _("started a task")
    JOINED = "joined", _("joined a task that was there already")
    REFUSED = "refused", _("could not start")


class TaskSchedule(Reasoned):
    """A schedule: when, and what. Only ``schedules.py`` and ``schedule_firing.py`` change it.

    ``bell`` is django-q2's row: it rings, once a minute, from ``due_at`` on until that is moved. ``due_at`` is the
    moment of the rule for which the next run is meant, null while paused and after the last run. ``revision``
    counts the edits and runs by hand. ``order_values`` is what an Order keeps. ``reason``: why the last run could
    not start.
    """

    bell = models.OneToOneField(
        "django_q.Schedule", primary_key=True, on_delete=models.CASCADE, related_name="task_schedule"
    )
    name = models.CharField(_("name"), max_length=80, blank=True)
    when = models.CharField(_("when"), max_length=12, choices=When)
    at = models.TimeField(_("time"), null=True, blank=True)
    weekday = models.PositiveSmallIntegerField(_("weekday"), null=True, blank=True)
    day = models.DateField(_("date"), null=True, blank=True)
    cron = models.CharField(_("cron expression"), max_length=100, blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    order_values = models.JSONField(_("parameters"), default=dict)
    fingerprint = models.CharField(_("fingerprint of the schedule"), max_length=64, unique=True)
    due_at = models.DateTimeField(_("next run"), null=True, blank=True)
    paused = models.BooleanField(_("paused"), default=False)
    revision = models.PositiveIntegerField(_("revision"), default=0)
    last_task = models.ForeignKey(
        ImportTask, verbose_name=_("last task"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    last_run_at = models.DateTimeField(_("last run"), null=True, blank=True)
    last_meant_at = models.DateTimeField(_("last run was meant for"), null=True, blank=True)
    last_outcome = models.CharField(_("last result"), max_length=8, choices=Outcome, default=Outcome.NONE, blank=True)
    created_by = models.CharField(_("made by"), max_length=80, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["created_at", "bell_id"]
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")

    def __str__(self) -> str:
        return self.name or f"{self.get_kind_display()}, {self.get_when_display()}"

    @property
    def rule(self) -> Rule:
        return Rule(When(self.when), self.at, self.weekday, self.day, self.cron)


class KnownFinding(models.Model):
    """What a check of the stored bars found: the next one tells what is new. Without a symbol: a day of all stocks."""

    symbol = models.CharField(_("symbol"), max_length=12, blank=True)
    day = models.DateField(_("day"))
    rule = models.CharField(_("rule"), max_length=20)
    first_seen_at = models.DateTimeField(_("first seen"))

    class Meta:
        verbose_name = _("known finding")
        verbose_name_plural = _("known findings")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["symbol", "day", "rule"], name="known_finding_once"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.day} {self.rule}".strip()
