"""What a caller may send: strict JSON, strict types, and no field that nobody reads."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from typing import Annotated, Any, Literal, get_args

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja.parser import Parser
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from importer.api_errors import field_twice, unknown_field
from importer.sources.registry import AUTO, source_names
from marketdata.trading_days import EXCHANGE_TIME

LIMIT = 50
LIMIT_MAX = 500
SYMBOLS_MAX = 10_000

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,12}", re.ASCII)
# SQLite and PostgreSQL keep no NUL, and no name or path has a control character in it.
_PLAIN = r"^[^\x00-\x1f\x7f]*$"


def _to_date(value: Any) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("bad_date", "not an ISO date")


def _to_moment(value: Any) -> datetime:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return datetime.combine(date.fromisoformat(value), time(), EXCHANGE_TIME).astimezone(UTC)
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            moment = datetime.fromisoformat(value)
            # In UTC, because databases do not take every offset that ISO 8601 allows.
            return (moment if moment.tzinfo else moment.replace(tzinfo=EXCHANGE_TIME)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("bad_moment", "not an ISO time")


def _to_time(value: Any) -> time:
    if isinstance(value, str) and _TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise PydanticCustomError("bad_time", "not a time of day")


def _to_last_moment(value: Any) -> datetime:
    moment = _to_moment(value)
    # A day belongs to the range to its end.
    if not _DATE.fullmatch(value):
        return moment
    try:
        return moment + timedelta(days=1, microseconds=-1)
    except OverflowError as error:
        raise PydanticCustomError("bad_moment", "not an ISO time") from error


def _to_number(value: Any) -> int:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    raise PydanticCustomError("int_parsing", "not a whole number")


def _to_bool(value: Any) -> bool:
    if value in ("true", "false"):
        return bool(value == "true")
    raise PydanticCustomError("bool_type", "not a boolean")


def _to_asked_source(value: str) -> str:
    names = [AUTO, *source_names()]
    if value in names:
        return value
    raise PydanticCustomError("literal_error", "not a source", {"expected": ", ".join(names)})


_DATE_SCHEMA = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$", "examples": ["2024-12-25"]}
IsoDate = Annotated[date, BeforeValidator(_to_date), WithJsonSchema(_DATE_SCHEMA)]
# A day, or a time; without an offset it is exchange time.
Moment = Annotated[
    datetime,
    BeforeValidator(_to_moment),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
            "examples": ["2024-12-25T16:00:00+08:00"],
        }
    ),
]
_TIME_SCHEMA = {"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["16:30"]}
ClockTime = Annotated[time, BeforeValidator(_to_time), WithJsonSchema(_TIME_SCHEMA)]
# The end of a day, or a time.
LastMoment = Annotated[
    datetime,
    BeforeValidator(_to_last_moment),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
            "examples": ["2024-12-25"],
        }
    ),
]
Plain = Annotated[str, Field(pattern=_PLAIN)]
Symbol = Annotated[Plain, Field(max_length=20, examples=["600519.SH"])]
SourceName = Annotated[
    Plain,
    Field(min_length=1, max_length=40),
    WithJsonSchema({"type": "string", "enum": [AUTO, *source_names()], "default": AUTO}),
]
# To choose among tasks: one that is no source would choose none, without a word.
AskedSource = Annotated[
    str, AfterValidator(_to_asked_source), WithJsonSchema({"type": "string", "enum": [AUTO, *source_names()]})
]
# In the query all values are texts, and one that is missing is not null.
BoolText = Annotated[bool, BeforeValidator(_to_bool), WithJsonSchema({"type": "boolean"})]
Missing = SkipJsonSchema[None]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(_to_number)]
Offset = Annotated[int, Field(ge=0, le=10**9), BeforeValidator(_to_number)]


# Written out, so that the documentation and mypy know them; a test compares them with the enumerations.
StatusName = Literal["pending", "running", "paused", "completed", "failed", "cancelled"]
KindName = Literal["import", "update", "repair"]
WhenName = Literal["trading_day", "weekly", "once", "cron"]
ExchangeName = Literal["SH", "SZ", "BJ"]
AdjustName = Literal["none", "qfq", "hfq", "broker"]
IncompleteName = Literal["mark", "refuse"]


class Body(BaseModel):
    """Each field may be left out; ``null`` is the same as leaving it out where a value may be missing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class UpdateBody(Body):
    symbols: Annotated[list[Symbol], Field(max_length=SYMBOLS_MAX)] | None = None
    source: SourceName | None = None
    priority: Annotated[int, Field(ge=-10, le=10)] = 0


class RepairBody(UpdateBody):
    start_date: IsoDate | None = None
    end_date: IsoDate | None = None


class ImportBody(RepairBody):
    path: Annotated[Plain, Field(min_length=1, max_length=1000)] | None = None
    refresh: bool = False


def _kept() -> Any:
    """The default of a field that stays as it is when it is left out; nobody reads it."""
    return None


class ScheduleParts(Body):
    """What a schedule may say beside when and what; ``null`` is as if it had never been said."""

    name: Annotated[Plain, Field(max_length=80)] | None = None
    time: Annotated[ClockTime | None, Field(description="exchange time; of every kind but cron")] = None
    weekday: Annotated[int, Field(ge=1, le=7, description="of weekly ones: 1 is Monday")] | None = None
    date: Annotated[IsoDate | None, Field(description="of single runs")] = None
    cron: Annotated[Plain, Field(max_length=100, examples=["30 16 * * 1-5"])] | None = None
    symbols: Annotated[list[Symbol], Field(max_length=SYMBOLS_MAX)] | None = None
    source: SourceName | None = None
    start_date: IsoDate | None = None
    end_date: IsoDate | None = None
    path: Annotated[Plain, Field(min_length=1, max_length=1000)] | None = None


class ScheduleBody(ScheduleParts):
    when: WhenName
    kind: KindName
    refresh: bool = False
    priority: Annotated[int, Field(ge=-10, le=10)] = 0
    paused: bool = False


class ScheduleEdit(ScheduleParts):
    """What is left out stays as it is."""

    when: WhenName = Field(default_factory=_kept)
    kind: KindName = Field(default_factory=_kept)
    refresh: bool = Field(default_factory=_kept)
    priority: Annotated[int, Field(ge=-10, le=10)] = Field(default_factory=_kept)


class NoBody(Body):
    """An action has no parameters: ``{}`` or nothing."""


class QueryParameters(BaseModel):
    model_config = ConfigDict(frozen=True)


class Page(QueryParameters):
    limit: Limit = LIMIT
    offset: Offset = 0


class TaskFilter(Page):
    status: StatusName | Missing = None
    kind: KindName | Missing = None
    source: AskedSource | Missing = None
    by: Annotated[Plain, Field(max_length=80)] | Missing = None
    since: Moment | Missing = None
    until: LastMoment | Missing = None


class FailureFilter(Page):
    finding: BoolText | Missing = None


class StockFilter(Page):
    search: Annotated[Plain, Field(max_length=40)] | Missing = None
    exchange: ExchangeName | Missing = None


class BarRange(QueryParameters):
    start: IsoDate | Missing = None
    end: IsoDate | Missing = None
    adjust: AdjustName = "none"
    as_of: IsoDate | Missing = None
    adjust_volume: BoolText = False


class PanelRange(BarRange):
    # Separated by commas; all stocks when it is left out.
    symbols: Annotated[Plain, Field(max_length=100_000)] | Missing = None
    # The same; all six when they are left out.
    fields: Annotated[Plain, Field(max_length=100, examples=["close,volume"])] | Missing = None
    incomplete: IncompleteName = "mark"


class DayQuery(QueryParameters):
    incomplete: IncompleteName = "mark"


class EstimateQuery(QueryParameters):
    kind: KindName = "import"
    start_date: IsoDate | Missing = None
    end_date: IsoDate | Missing = None
    # Separated by commas.
    symbols: Annotated[Plain, Field(max_length=100_000)] | Missing = None
    source: SourceName | Missing = None
    path: Annotated[Plain, Field(min_length=1, max_length=1000)] | Missing = None
    refresh: BoolText = False


class StrictParser(Parser):
    """JSON as the standard has it: UTF-8, no NaN, no text that is not Unicode."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return what the body says. Raises ValueError or RecursionError."""
        text = request.body.decode("utf-8")
        content = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            # Half of a surrogate pair can be written in JSON and nowhere else.
            json.dumps(content, ensure_ascii=False).encode("utf-8")
        return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def strict(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Refuse parameters in the URL that the view does not read: a misspelt filter must not answer something else.

    It reads the fields of the model of its ``query``, each once: of a second value nobody would know.
    """
    signature = inspect.signature(view, eval_str=True)
    parameter = signature.parameters.get("query")
    model: Any = get_args(parameter.annotation)[0] if parameter else None
    known: dict[str, Any] = dict(model.model_fields) if model else {}

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        for name, values in request.GET.lists():
            if name not in known:
                raise unknown_field(name, known)
            if len(values) > 1:
                raise field_twice(name)
        return view(request, *args, **kwargs)

    # Django Ninja reads annotations; as texts it would look them up in this module.
    checked.__signature__ = signature  # type: ignore[attr-defined]
    return checked
