"""``python manage.py serve``: the web server and the workers in one, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config.safety import exposure_problem
from importer.belonging import join
from importer.leaving import end_process
from importer.listening import open_listening_socket, url_of
from importer.management.base import Exit, ExplainingCommand, whole_number
from importer.serving import Child, Supervisor, cluster_child, notifier_child, web_child


class Command(ExplainingCommand):
    summary = gettext_lazy(
        "Runs the web server and the workers that import in the background, until Ctrl-C or SIGTERM."
    )
    examples = (
        ("serve", gettext_lazy("on this machine alone, at http://127.0.0.1:5000/")),
        ("serve --port 5001 --workers 4", gettext_lazy("on another port, with four workers")),
        ("serve --no-web", gettext_lazy("workers only: a further machine on the same database")),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-web", action="store_true", help=_("workers only: for a further machine"))
        parser.add_argument("--host", default=settings.HOST, help=_("address to listen on (default: %(default)s)"))
        parser.add_argument("--port", type=whole_number, default=settings.PORT, help=_("port (default: %(default)s)"))
        parser.add_argument(
            "--workers", type=whole_number, default=settings.WORKERS, help=_("workers (default: %(default)s)")
        )

    def run(self, **options: Any) -> int:
        """Check what can be checked, open the socket, then start the children and look after them."""
        if options["workers"] < 1:
            raise CommandError(_("There must be at least one worker."), returncode=Exit.BAD_INPUT)
        if problem := join():
            raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
        environment = {"BARVAULT_WORKERS": str(options["workers"])}
        children: list[Child] = []
        listener = None
        if not options["no_web"]:
            listener = self._listen(options["host"], options["port"])
            # The settings of the web server follow the address: who must log in, which names it answers to.
            address = {"BARVAULT_HOST": options["host"], "BARVAULT_PORT": str(listener.getsockname()[1])}
            environment |= address
            children.append(web_child(listener, settings.BASE_DIR, environment))
        children.append(cluster_child(settings.BASE_DIR, environment))
        children.append(notifier_child(settings.BASE_DIR, environment))
        connections.close_all()
        Supervisor(children, ready=lambda: self._say_ready(listener)).run()
        end_process(Exit.OK)

    def _listen(self, host: str, port: int) -> socket.socket:
        listener = open_listening_socket(host, port)
        if problem := exposure_problem(host, settings.EXTRA_ALLOWED_HOSTS):
            listener.close()
            raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
        return listener

    def _say_ready(self, listener: socket.socket | None) -> None:
        if listener is None:
            self.stdout.write(_("The workers are ready. Ctrl-C stops them."))
        else:
            self.stdout.write(
                _("Barvault is ready at %(url)s. You may close the page, but not this window (Ctrl-C stops it).")
                % {"url": url_of(listener)}
            )
        self.stdout.flush()
