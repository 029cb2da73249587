"""For supervisors: ``/healthz`` says that the process answers, ``/readyz`` whether imports can run."""

from __future__ import annotations

import logging
from typing import Literal

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from django_q.brokers import get_broker

from importer.api_answers import answer, problem
from importer.hosts import live_workers
from importer.status import data_status
from importer.storage_trouble import storage_errors

logger = logging.getLogger(__name__)

State = Literal["ok", "missing"]


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing else is looked at, so that a busy database does not get it killed."""
    return answer({"status": "ok"})


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when database, queue and workers are there; 503 with what is missing. Only words: it needs no login."""
    checks: dict[str, State] = {"database": _database(), "queue": "missing", "workers": "missing"}
    if checks["database"] == "ok":
        checks["workers"] = "ok" if live_workers() else "missing"
        checks["queue"] = _queue()
    sentences = {
        "database": _("The database does not answer, or its tables are not there."),
        "queue": _("The queue does not answer."),
        "workers": _("No worker is alive."),
    }
    missing = [name for name, state in checks.items() if state != "ok"]
    if not missing:
        return answer({"status": "ok", "checks": checks})
    # The first one explains the others.
    return problem(503, "not_ready", sentences[missing[0]], missing=missing, checks=checks)


def _database() -> State:
    try:
        data_status()
    except storage_errors() as error:
        logger.warning("Not ready: %s", error)
        return "missing"
    return "ok"


def _queue() -> State:
    if not settings.BROKER_URL:
        # The queue is a table of the database that has just answered.
        return "ok"
    try:
        return "ok" if get_broker().ping() else "missing"
    except storage_errors() as error:
        logger.warning("Not ready: %s", error)
        return "missing"
