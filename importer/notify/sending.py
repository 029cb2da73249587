"""Send one message to one receiver, in a process of its own, within a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.utils.translation import gettext_noop

from importer.notify.masking import masked
from importer.notify.models import Event
from importer.notify.receivers import PING_LABEL, Receiver
from importer.notify.words import Message
from marketdata.texts import Text

LIMIT = 40.0


def send(receiver: Receiver, message: Message) -> Text | None:
    """Send ``message``; return None, or what the receiver said, without any part of its address."""
    url = receiver.address.reveal()
    is_ping = receiver.label == PING_LABEL
    asked = {
        "url": _fail_url(url) if is_ping and message.event == Event.PING_FAILED else url,
        "title": message.title,
        "body": message.body,
        "ping": is_ping,
        "parent": os.getpid(),
    }
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "importer.notify.sender"],
            # By standard input: arguments and variables of a process can be read by others.
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=settings.BASE_DIR,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Text(gettext_noop("The receiver did not answer within %(seconds)s s."), {"seconds": int(LIMIT)})
    try:
        error = str(json.loads(ended.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        return Text(gettext_noop("The process that sends ended with status %(status)s."), {"status": ended.returncode})
    return Text(gettext_noop("%(error)s"), {"error": masked(error, url)}) if error else None


def send_to_all(receivers: Sequence[Receiver], message: Message) -> list[tuple[Receiver, Text | None]]:
    """Send ``message`` to each at the same time; return what became of it, in their order."""
    with ThreadPoolExecutor(max_workers=max(1, len(receivers))) as senders:
        return list(zip(receivers, senders.map(lambda each: send(each, message), receivers), strict=True))


def _fail_url(url: str) -> str:
    """Return where a dead man's switch is told of a failure: the address with /fail at the end of its path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
