"""Read settings from the environment; what cannot be read is named, in a sentence."""

from __future__ import annotations

import math
import re
import warnings
from datetime import datetime, time
from io import StringIO
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config.hidden import Hidden


class EnvironmentValues(environ.Env):  # type: ignore[misc]
    """django-environ, whose errors say which variable is wrong. The value is not shown: it may be a password.

    A value that begins with ``$`` is what it says, a key or a password, and not the name of another variable.
    """

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        text = self.ENVIRON.get(var)
        try:
            if isinstance(text, str) and text.startswith("$"):
                return self.parse_value(text, cast)
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except ValueError as error:
            kinds = {int: "a whole number", float: "a number"}
            raise _not_readable(var, kinds.get(cast, "what it should be")) from error

    def read_file(self, path: Path) -> None:
        """Take settings from the lines of a file, where there is one; what the environment names already stays.

        Spaces around ``=`` do not count. Raises ImproperlyConfigured for a line that is no setting, without showing
        it: it may hold a password.
        """
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ImproperlyConfigured(f"The settings in {path} cannot be read ({reason}).") from error
        kept = []
        for number, line in enumerate(lines, start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            setting = re.fullmatch(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*", line, re.ASCII)
            if setting is None:
                raise ImproperlyConfigured(f"Line {number} of {path} is no setting: write NAME=value.")
            kept.append(f"{setting[1]}={setting[2]}")
        self.read_env(StringIO("\n".join(kept)))

    def numbers(self, var: str) -> dict[str, float]:
        """Return a list such as ``sina=0.5,tencent=0.3`` by name; empty when the variable is not set."""
        pairs = [part.partition("=") for part in self.str(var, default="").split(",") if part.strip()]
        try:
            return {name.strip(): _not_negative(float(number)) for name, _equals, number in pairs}
        except ValueError as error:
            raise _not_readable(var, "a list of NAME=NUMBER, separated by commas, none below zero") from error

    def seconds(self, var: str, default: float, *, above_zero: bool = False) -> float:
        """Return a time in seconds: not below zero, and not zero either with ``above_zero``."""
        seconds: float = self.float(var, default=default)
        try:
            _not_negative(seconds)
        except ValueError as error:
            raise _not_readable(var, "a number of seconds") from error
        if above_zero and not seconds:
            raise _not_readable(var, "a number of seconds above zero")
        return seconds

    def words(self, var: str) -> list[str]:
        """Return a list such as ``sina, tencent``, each word once; empty when the variable is not set."""
        return list(dict.fromkeys(word for part in self.str(var, default="").split(",") if (word := part.strip())))

    def clock(self, var: str, default: str = "") -> time | None:
        """Return a time of day such as ``18:30``; None when the variable is empty."""
        text = self.str(var, default=default).strip()
        return _clock(var, text) if text else None

    def hours(self, var: str) -> tuple[time, time] | None:
        """Return the two times of day of ``22:30-07:30``; None when the variable is not set."""
        text = self.str(var, default="").strip()
        if not text:
            return None
        begin, _dash, end = text.partition("-")
        try:
            return _time_of(begin), _time_of(end)
        except ValueError as error:
            raise _not_readable(var, "two times of day: write 22:30-07:30") from error

    def addresses(self, var: str) -> list[Hidden]:
        """Return addresses such as ``mailtos://…``, separated by spaces or commas (which may also be in them)."""
        text = self.str(var, default="").strip()
        parts = re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", text)
        return [Hidden(part) for part in dict.fromkeys(part.strip(" ,") for part in parts) if part]

    def web_address(self, var: str) -> Hidden:
        """Return an address such as ``https://…``, or an empty one. Raises ImproperlyConfigured for any other kind."""
        text = self.str(var, default="").strip()
        if text and not re.match(r"https?://[^/\s]", text, re.IGNORECASE):
            raise _not_readable(var, "a web address: write https://…")
        return Hidden(text)

    def servers(self, var: str, port: int) -> list[tuple[str, int]]:
        """Return a list such as ``192.0.2.1:7709,192.0.2.2`` as hosts and ports; ``port`` where none is named."""
        found = []
        for text in self.str(var, default="").split(","):
            host, colon, number = text.strip().partition(":")
            if not text.strip():
                continue
            if not host or (colon and not (number.isdigit() and 0 < int(number) < 65536)):
                raise _not_readable(var, "a list of HOST or HOST:PORT, separated by commas")
            found.append((host, int(number) if colon else port))
        return found

    def db_url(self, var: str, default: Any = environ.Env.NOTSET) -> dict[str, Any]:
        """Return a database as Django wants it. Raises ImproperlyConfigured for an address that names none."""
        with warnings.catch_warnings():
            # It only repeats what is raised below.
            warnings.simplefilter("ignore")
            database: dict[str, Any] = super().db_url(var, default=default)
        if not database.get("ENGINE"):
            raise ImproperlyConfigured(f"{var} is no address of a database: write sqlite:///… or postgres://….")
        return database


def make_folder(path: Path) -> Path:
    """Return the folder, which is there afterwards. Raises ImproperlyConfigured when it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder {path} cannot be made ({error.strerror}). Let this user make it, or set BARVAULT_VAR_DIR."
        ) from error
    return path


def _not_negative(number: float) -> float:
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("a number that cannot be waited for")
    return number


def _time_of(text: str) -> time:
    return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 a time of day has no zone


def _clock(var: str, text: str) -> time:
    try:
        return _time_of(text)
    except ValueError as error:
        raise _not_readable(var, "a time of day: write 18:30") from error


def _not_readable(var: str, kind: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{var} is not {kind}. Correct it in the environment or in .env.")
