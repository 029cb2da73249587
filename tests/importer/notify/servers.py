"""Receivers of messages on 127.0.0.1: a mail server, and a web server that can be down, slow, or refuse."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "somebody", "word-of-mouth"


class _Mailbox:
    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


@dataclass
class MailServer:
    port: int
    mailbox: _Mailbox

    def url(self, password: str = PASSWORD) -> str:
        return (
            f"mailto://{USER}:{password}@127.0.0.1:{self.port}"
            "?from=barvault@example.com&to=reader@example.com&mode=insecure"
        )

    def texts(self) -> list[tuple[str, str]]:
        """Return subject and text of each mail that came."""
        found = []
        for mail in self.mailbox.mails:
            part = mail.get_body(("plain", "html"))
            assert part is not None
            found.append((str(mail["Subject"]), str(part.get_content())))
        return found


class _AnyPort(Controller):
    """aiosmtpd's server on a free port: it asks itself whether it is there, and has to know at which one."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run an SMTP server at which nobody logs in but USER with PASSWORD."""

    def judge(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=right, handled=False)

    mailbox = _Mailbox()
    controller = _AnyPort(mailbox, hostname="127.0.0.1", port=0, authenticator=judge, auth_require_tls=False)
    controller.start()
    try:
        yield MailServer(controller.port, mailbox)
    finally:
        controller.stop()


@dataclass
class WebHook:
    """``status`` and ``answer`` are what it says; it takes ``delay`` seconds to say so, or until ``hurry`` is set."""

    port: int = 0
    status: int = 200
    answer: bytes = b"{}"
    delay: float = 0.0
    bodies: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hurry: threading.Event = field(default_factory=threading.Event)

    def url(self, secret: str = "token-of-ours") -> str:
        return f"json://127.0.0.1:{self.port}/{secret}"


@contextmanager
def web_hook(port: int = 0) -> Iterator[WebHook]:
    """Run a web server that keeps what it is sent, on a free port, or on one on which it was before."""
    hook = WebHook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            if hook.delay:
                hook.hurry.wait(hook.delay)
            hook.bodies.append(body)
            hook.paths.append(self.path)
            self.send_response(hook.status)
            self.send_header("Content-Length", str(len(hook.answer)))
            self.end_headers()
            self.wfile.write(hook.answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.hurry.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
