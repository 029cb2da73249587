"""What all our commands have in common: the user's language, sentences instead of tracebacks, exit statuses."""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import InterfaceError, OperationalError
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext

from config.database_state import DOES_NOT_ANSWER, database_problem
from importer.storage_trouble import disk_full_text
from marketdata.texts import ExplainedError, Text

CHINESE = "zh-hans"
ENGLISH = "en"
# What POSIX programs look at, in this order, for the language of their messages.
LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


class Exit(IntEnum):
    OK = 0  # done, and nothing to complain about
    FAILED = 1  # the task failed
    BAD_INPUT = 2  # bad input, no worker alive, no usable database: nothing was changed
    WITH_FAILURES = 3  # completed with failures; a check with findings
    CANCELLED = 4  # somebody cancelled the task
    DETACHED = 130  # Ctrl-C: the work goes on, or goes on where it was when it is started again
    BROKEN_PIPE = 141  # whoever read the output has gone


def command_language(asked: str, environment: Mapping[str, str]) -> str:
    """Return the command line's language: the one ``asked`` for, else English in an English locale, else Chinese."""
    if not asked:
        asked = next((environment[name] for name in LOCALE_VARIABLES if environment.get(name)), "")
    return ENGLISH if asked.lower().startswith("en") else CHINESE


def whole_number(text: str) -> int:
    """Return the number that an option was given. Raises ArgumentTypeError with a sentence."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(gettext("“%(text)s” is not a whole number.") % {"text": text}) from None


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """End as after Ctrl-C when the process is asked to: the display is left in order, half a file is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _HelpFormatter(DjangoHelpFormatter):
    """Django's formatter, which keeps the lines of the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.startswith("\n"):
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text[1:].splitlines(keepends=True))


class ExplainingCommand(BaseCommand):
    """A command of ours. Subclasses write ``run``, which returns the exit status.

    An ExplainedError (or CommandError) becomes its sentence on stderr and exit status 2. Called by
    ``call_command``, it is a CommandError, and a status other than 0 is a SystemExit.
    """

    # What --help says; translated when it is shown.
    summary: ClassVar[str | Promise] = ""
    # Command lines and what each of them does, shown at the end of --help.
    examples: ClassVar[Sequence[tuple[str, str | Promise]]] = ()
    needs_database = True
    # They cost a tenth of a second, and what they find is for developers.
    requires_system_checks = ()
    _from_command_line = False

    def run(self, **options: Any) -> int:
        """Do the work and return the exit status."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        if self.needs_database and (problem := database_problem()) is not None:
            raise CommandError(str(problem), returncode=Exit.BAD_INPUT)
        status = self.run(**options)
        if status:
            sys.exit(status)

    def run_from_argv(self, argv: list[str]) -> None:
        self._from_command_line = True
        _speak_the_users_language()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character must not end an import.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        super().run_from_argv(argv)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        _speak_the_users_language()
        super().print_help(prog_name, subcommand)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("formatter_class", _HelpFormatter)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.description = str(self.summary or self.help)
        if self.examples:
            lines = [f"  python manage.py {line}\n      {meaning}\n" for line, meaning in self.examples]
            parser.epilog = "\n" + gettext("Examples:") + "\n" + "".join(lines)
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            output = super().execute(*args, **options)
            self.stdout.flush()
            return output
        except BrokenPipeError:
            if not self._from_command_line:
                raise
            # What is still in the buffer has no reader: Python must not try to write it when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(Exit.BROKEN_PIPE)
        except KeyboardInterrupt:
            if not self._from_command_line:
                raise
            sys.exit(Exit.DETACHED)
        except CommandError as error:
            self._explain(str(error), error, error.returncode, options)
        except ExplainedError as error:
            self._explain(str(error), error, Exit.BAD_INPUT, options)
        except (OperationalError, InterfaceError) as error:
            name = str(settings.DATABASES["default"]["NAME"])
            no_answer = Text(DOES_NOT_ANSWER, {"name": name, "error": str(error).strip().rstrip(".")})
            text = disk_full_text(error) or no_answer
            self._explain(str(text), error, Exit.BAD_INPUT, options)
        return None

    def _explain(self, sentence: str, error: Exception, status: int, options: Mapping[str, Any]) -> None:
        if self._from_command_line and not options.get("traceback"):
            self.stderr.write(sentence)
            sys.exit(status)
        raise CommandError(sentence, returncode=status) from error


def _speak_the_users_language() -> None:
    translation.activate(command_language(settings.COMMAND_LANGUAGE, os.environ))
