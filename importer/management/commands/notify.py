"""``python manage.py notify``: who is told, whether messages arrive, what is on its way."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from importer.exceptions import BadRequest
from importer.leaving import end_process
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.management.tables import table_lines
from importer.management.task_listing import time_text
from importer.notify.models import Delivery
from importer.notify.receivers import Receiver, ping_receiver, receivers
from importer.notify.sending import send_to_all
from importer.notify.words import test_message

LISTED = 20


class Command(ExplainingCommand):
    summary = gettext_lazy("Shows who is told what happened, sends a test message, or runs the process that sends.")
    examples = (
        ("notify", gettext_lazy("the receivers, and the newest messages")),
        ("notify test", gettext_lazy("a test message to each receiver; what goes wrong is told")),
        ("notify test 2", gettext_lazy("to the second one alone")),
        ("notify run", gettext_lazy("the process that sends, where `serve` does not run")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="ACTION", title=_("actions"))
        actions.add_parser("list", help=_("the receivers, and the newest messages (the default)"))
        test = actions.add_parser("test", help=_("send a test message to each receiver, or to one"))
        test.add_argument("number", nargs="?", type=whole_number, metavar="N", help=_("the receiver's place"))
        actions.add_parser("run", help=_("send what is due until SIGTERM; `serve` does the same"))

    def run(self, **options: Any) -> int:
        if options["action"] == "run":
            return self._run()
        if options["action"] == "test":
            return self._test(options["number"])
        self._list()
        return Exit.OK

    def _run(self) -> int:
        from importer.notify.notifier import run_notifier

        run_notifier()
        # A message that is being sent must not keep the process.
        end_process(Exit.OK)

    def _test(self, number: int | None) -> int:
        to = receivers()
        if not to:
            raise CommandError(
                _("No receiver is configured: set BARVAULT_NOTIFY_URLS. See docs/notifications.md."),
                returncode=Exit.BAD_INPUT,
            )
        if number is not None:
            if not 1 <= number <= len(to):
                raise BadRequest("number", gettext_noop("There are %(count)s receivers."), count=len(to))
            to = [to[number - 1]]
        failed = 0
        for receiver, error in send_to_all(to, test_message()):
            failed += error is not None
            self.stdout.write(_told(receiver, error))
        return Exit.FAILED if failed else Exit.OK

    def _list(self) -> None:
        to = receivers()
        count = ngettext("%(count)s receiver", "%(count)s receivers", len(to)) % {"count": len(to)}
        self.stdout.write(f"{count}: " + (", ".join(each.label for each in to) or "-"))
        self.stdout.write(_("Dead man's switch: %(state)s") % {"state": _("set") if ping_receiver() else "-"})
        newest = Delivery.objects.select_related("notice").order_by("-id")[:LISTED]
        rows = [
            (time_text(each.notice.created_at), each.notice.get_event_display(), each.label, each.get_state_display(),
             each.attempts, each.said or "-")
            for each in newest
        ]  # fmt: skip
        if rows:
            head = (_("time"), _("about"), _("receiver"), _("state"), _("tries"), _("error"))
            for line in table_lines([head, *rows]):
                self.stdout.write(line)


def _told(receiver: Receiver, error: object) -> str:
    if error is None:
        return _("%(receiver)s: sent.") % {"receiver": receiver.label}
    return _("%(receiver)s: %(error)s") % {"receiver": receiver.label, "error": error}
