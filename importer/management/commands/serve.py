"""``python manage.py serve``: the web server and the workers in one, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import socket
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils.translation import gettext as _

from config.database_state import database_problem
from config.safety import exposure_problem
from importer.listening import CannotListen, open_listening_socket, url_of
from importer.serving import Child, Supervisor, cluster_child, web_child
from marketdata.texts import Text

BAD_INPUT = 2


class Command(BaseCommand):
    help = _("Runs the web server and the workers that import in the background, until Ctrl-C or SIGTERM.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-web", action="store_true", help=_("workers only: for a further machine"))
        parser.add_argument("--host", default=settings.HOST, help=_("address to listen on (default: %(default)s)"))
        parser.add_argument("--port", type=int, default=settings.PORT, help=_("port (default: %(default)s)"))
        parser.add_argument("--workers", type=int, default=settings.WORKERS, help=_("workers (default: %(default)s)"))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check what can be checked, open the socket, then start the children and look after them."""
        if options["workers"] < 1:
            raise CommandError(_("There must be at least one worker."), returncode=BAD_INPUT)
        _refuse(database_problem())
        environment = {"BARVAULT_WORKERS": str(options["workers"])}
        children: list[Child] = []
        listener = None
        if not options["no_web"]:
            listener = self._listen(options["host"], options["port"])
            # The settings of the web server follow the address: who must log in, which names it answers to.
            address = {"BARVAULT_HOST": options["host"], "BARVAULT_PORT": str(listener.getsockname()[1])}
            children.append(web_child(listener, settings.BASE_DIR, {**environment, **address}))
        children.append(cluster_child(settings.BASE_DIR, environment))
        connections.close_all()
        Supervisor(children, ready=lambda: self._say_ready(listener)).run()

    def _listen(self, host: str, port: int) -> socket.socket:
        try:
            listener = open_listening_socket(host, port)
        except CannotListen as error:
            raise CommandError(str(error), returncode=BAD_INPUT) from error
        _refuse(exposure_problem(host, settings.EXTRA_ALLOWED_HOSTS))
        return listener

    def _say_ready(self, listener: socket.socket | None) -> None:
        if listener is None:
            self.stdout.write(_("The workers are ready. Ctrl-C stops them."))
        else:
            self.stdout.write(_("Barvault is ready at %(url)s (Ctrl-C stops it).") % {"url": url_of(listener)})
        self.stdout.flush()


def _refuse(problem: Text | None) -> None:
    if problem is not None:
        raise CommandError(str(problem), returncode=BAD_INPUT)
