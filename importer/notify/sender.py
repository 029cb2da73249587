"""Sends one message and says what became of it: ``python -m importer.notify.sender``, a process of its own.

A process, because apprise takes 45 MB, may wait for long, and puts addresses into its logs: here nothing that it
logs goes anywhere but into the answer, which whoever started this masks. Needs no Django.

Reads a JSON object from standard input: ``url``, ``title``, ``body``, ``parent``; with ``ping`` true the url is asked
by itself. Writes ``{"error": ""}``, or what went wrong.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from importer.leaving import end_process
from importer.parents import die_with_parent

TIMEOUT = 10.0
# Services that answer 200 and say in the answer that they took nothing; apprise believes the 200 of some.
_CODES = ("errcode", "code", "errno")
_WORDS = ("errmsg", "message", "msg")
_CODE_IS_STATUS = 200

logger = logging.getLogger(__name__)


class _Log(logging.Handler):
    """Keeps what apprise says: warnings, and the cause, which it tells only at the level of debugging."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = _readable(record)
        if record.levelno >= logging.WARNING or line.startswith(("Socket Exception:", "Response Details:")):
            self.lines.append(line)


def _readable(record: logging.LogRecord) -> str:
    """Return what a record says; an answer, which apprise logs as bytes, as the text that it is."""
    args = record.args
    if isinstance(args, tuple) and any(isinstance(arg, bytes) for arg in args) and isinstance(record.msg, str):
        texts = tuple(arg.decode(errors="replace") if isinstance(arg, bytes) else arg for arg in args)
        return record.msg.replace("%r", "%s") % texts
    return record.getMessage()


def send(url: str, title: str, body: str) -> str:
    """Send a message through apprise; return what went wrong, or ''."""
    log = _Log()
    root = logging.getLogger("apprise")
    root.handlers, root.propagate = [log], False
    root.setLevel(logging.DEBUG)
    from apprise import Apprise, NotifyFormat

    answers = _watch_answers()
    service = Apprise.instantiate(url)
    if service is None:
        return "apprise cannot read this address: check its beginning and its parts. " + " ".join(log.lines)
    service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT
    group = Apprise()
    group.add(service)
    if not group.notify(title=title, body=body, body_format=NotifyFormat.TEXT):
        return " ".join(log.lines) or "the receiver did not take the message"
    return next((refusal for refusal in map(_refusal, answers) if refusal), "")


def ping(url: str, body: str) -> str:
    """Ask a dead man's switch; return what went wrong, or ''."""
    import requests

    try:
        answer = requests.post(url, data=body.encode(), timeout=TIMEOUT)
    except requests.RequestException as error:
        return f"{type(error).__name__}: {error}"
    return "" if answer.ok else f"HTTP {answer.status_code} {answer.text[:200]}"


def _watch_answers() -> list[Any]:
    """From now on keep what servers answer, in this process."""
    import requests

    answers: list[Any] = []
    original = requests.Session.send

    def send_and_keep(self: Any, request: Any, **options: Any) -> Any:
        answer = original(self, request, **options)
        answers.append(answer)
        return answer

    setattr(requests.Session, "send", send_and_keep)  # noqa: B010 mypy lets nobody assign to a method
    return answers


def _refusal(answer: Any) -> str:
    """Return what a service says that answered 200 and took nothing; '' when it took the message."""
    try:
        content = answer.json()
    except ValueError:
        return ""
    if not isinstance(content, dict):
        return ""
    code = next((content[name] for name in _CODES if isinstance(content.get(name), int)), 0)
    if code in (0, _CODE_IS_STATUS) or isinstance(code, bool):
        return ""
    words = next((str(content[name]) for name in _WORDS if content.get(name)), "")
    return f"{code} {words}".strip()


def main() -> None:
    asked = json.load(sys.stdin)
    die_with_parent(asked["parent"])
    try:
        if asked["ping"]:
            error = ping(asked["url"], asked["body"])
        else:
            error = send(asked["url"], asked["title"], asked["body"])
    except Exception as trouble:
        logger.debug("Sending failed.", exc_info=trouble)
        error = f"{type(trouble).__name__}: {trouble}"
    sys.stdout.write(json.dumps({"error": error}))
    # What apprise has started must not keep the process.
    end_process()


if __name__ == "__main__":
    main()
