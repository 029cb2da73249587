"""What went wrong, in the API's one shape: which HTTP status each of our errors has, and words for bad input."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_noop
from ninja.errors import ValidationError

from importer.api_answers import problem
from importer.api_paths import told
from importer.estimate import NotEnoughSpace
from importer.exceptions import BadRequest, EmptyDatabase, NotAllowedNow, NothingToRetry, UnknownSchedule, UnknownTask
from marketdata.exceptions import BadSymbol, IncompleteDay, MixedOrigins, UnknownStock
from marketdata.export import ExportError, ExportFailed
from marketdata.texts import ExplainedError, Text, listed

logger = logging.getLogger(__name__)

# 409: well asked, but not as things stand now.
_STATUS_OF: Mapping[type[ExplainedError], int] = {
    BadRequest: 422,
    BadSymbol: 422,
    UnknownTask: 404,
    UnknownSchedule: 404,
    UnknownStock: 404,
    ExportError: 404,
    ExportFailed: 503,
    EmptyDatabase: 409,
    MixedOrigins: 409,
    IncompleteDay: 409,
    NotAllowedNow: 409,
    NothingToRetry: 409,
    NotEnoughSpace: 409,
}

_UNAVAILABLE = Text(gettext_noop("The database does not answer now. Try again in a moment."))
_SERVER_ERROR = Text(gettext_noop("The server failed. Its log says why."))
_BAD_JSON = Text(gettext_noop("The body is not valid JSON."))
_TOO_LARGE = Text(gettext_noop("The request is too large."))
_NO_OBJECT = Text(gettext_noop("The body must be a JSON object, such as {}."))
_UNKNOWN_FIELD = gettext_noop("There is no field “%(field)s”. The fields are %(names)s.")
_NO_FIELDS = gettext_noop("There is no field “%(field)s”: this call has none.")
_TWICE = gettext_noop("“%(field)s” must be given once only.")
_NOT_VALID = gettext_noop("The value of “%(field)s” is not valid.")
_ONE_OF = gettext_noop("“%(field)s” must be one of %(names)s.")

# By pydantic's type of error. ``bound`` is the limit that was passed.
_WORDS: Mapping[str, str] = {
    "missing": gettext_noop("The field “%(field)s” is missing."),
    "string_type": gettext_noop("“%(field)s” must be a text."),
    "int_type": gettext_noop("“%(field)s” must be a whole number."),
    "int_parsing": gettext_noop("“%(field)s” must be a whole number."),
    "bool_type": gettext_noop("“%(field)s” must be true or false."),
    "list_type": gettext_noop("“%(field)s” must be a list."),
    "greater_than_equal": gettext_noop("“%(field)s” must be at least %(bound)s."),
    "less_than_equal": gettext_noop("“%(field)s” must be at most %(bound)s."),
    "string_too_long": gettext_noop("“%(field)s” must be at most %(bound)s characters long."),
    "too_long": gettext_noop("“%(field)s” must have at most %(bound)s entries."),
    "string_pattern_mismatch": gettext_noop("“%(field)s” must not contain control characters."),
    "bad_date": gettext_noop("“%(value)s” is not a date. Write it as 2024-12-25."),
    "bad_time": gettext_noop("“%(value)s” is not a time of day. Write it as 16:30."),
    "bad_moment": gettext_noop("“%(value)s” is not a time. Write it as 2024-12-25 or 2024-12-25T16:00:00+08:00."),
}
_BOUNDS = ("ge", "le", "max_length")


class InvalidInput(ValidationError):
    """Input that a schema refuses; ``field`` is the first one that is wrong, ``body`` for the body as a whole."""

    def __init__(self, field: str, text: Text, code: str = BadRequest.code) -> None:
        super().__init__([])
        self.field = field
        self.text = text
        self.code = code


def status_of(error: ExplainedError) -> int:
    """Return the HTTP status for an error of ours; 409 for one that has none of its own."""
    return next((_STATUS_OF[kind] for kind in type(error).__mro__ if kind in _STATUS_OF), 409)


def field_of(error: ExplainedError) -> str | None:
    if isinstance(error, BadRequest):
        return error.field or None
    return "symbol" if isinstance(error, BadSymbol) else None


def input_error(details: Mapping[str, Any], known: Mapping[str, Any]) -> InvalidInput:
    """Return the error for what pydantic found: one of its ``errors()``, and the fields that there are."""
    place = details["loc"]
    kind, context = details["type"], details.get("ctx", {})
    if len(place) == 1 and kind in ("model_type", "model_attributes_type", "dict_type"):
        return InvalidInput("body", _NO_OBJECT)
    # The name of the parameter that holds the schema comes first, for a value in the path it is the name.
    field = str(place[1] if len(place) > 1 else place[0])
    if kind == "extra_forbidden":
        return unknown_field(field, known)
    if kind == "literal_error":
        return InvalidInput(field, Text(_ONE_OF, {"field": field, "names": _choices(context["expected"])}))
    bound = next((str(context[name]) for name in _BOUNDS if name in context), "")
    values = {"field": field, "bound": bound, "value": str(details.get("input", ""))[:40]}
    return InvalidInput(field, Text(_WORDS.get(kind, _NOT_VALID), values))


def unknown_field(field: str, known: Mapping[str, Any]) -> InvalidInput:
    """Return the error that names a field (or parameter) nobody knows, and those that there are."""
    values = {"field": field[:40], "names": listed(list(known))}
    return InvalidInput(field[:40], Text(_UNKNOWN_FIELD if known else _NO_FIELDS, values), "unknown_field")


def field_twice(field: str) -> InvalidInput:
    """Return the error for a parameter that is in the URL more than once."""
    return InvalidInput(field, Text(_TWICE, {"field": field}))


def on_explained_error(_request: HttpRequest, error: ExplainedError) -> HttpResponse:
    return problem(status_of(error), error.code, told(str(error)), field_of(error))


def on_invalid_input(_request: HttpRequest, error: InvalidInput) -> HttpResponse:
    return problem(422, error.code, str(error.text), error.field)


def on_bad_json(_request: HttpRequest, _error: Exception) -> HttpResponse:
    """Django Ninja raises HttpError for one thing alone: a body that its parser refuses."""
    return problem(422, "bad_json", str(_BAD_JSON), "body")


def on_large_body(_request: HttpRequest, _error: Exception) -> HttpResponse:
    return problem(413, "too_large", str(_TOO_LARGE))


def on_database_trouble(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.warning("%s %s: the database does not answer: %s", request.method, request.path, error)
    return problem(503, "unavailable", str(_UNAVAILABLE))


def on_unexpected_error(request: HttpRequest, _error: Exception) -> HttpResponse:
    logger.exception("%s %s failed", request.method, request.path)
    return problem(500, "server_error", str(_SERVER_ERROR))


def _choices(expected: str) -> dict[str, Any]:
    """Turn pydantic's ``'a', 'b' or 'c'`` into a list that is written as the reader's language does."""
    return listed(expected.replace(" or ", ", ").replace("'", "").split(", "))
