"""Read settings from the environment; what cannot be read is named, in a sentence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class EnvironmentValues(environ.Env):  # type: ignore[misc]
    """django-environ, whose errors say which variable is wrong. The value is not shown: it may be a password."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        try:
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except ValueError as error:
            kinds = {int: "a whole number", float: "a number"}
            raise _not_readable(var, kinds.get(cast, "what it should be")) from error

    def numbers(self, var: str) -> dict[str, float]:
        """Return a list such as ``sina=0.5,tencent=0.3`` by name; empty when the variable is not set."""
        pairs = [part.partition("=") for part in self.str(var, default="").split(",") if part.strip()]
        try:
            return {name.strip(): float(number) for name, _equals, number in pairs}
        except ValueError as error:
            raise _not_readable(var, "a list of NAME=NUMBER, separated by commas") from error

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


def _not_readable(var: str, kind: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{var} is not {kind}. Correct it in the environment or in .env.")
