"""The answers as the OpenAPI document describes them. Tests compare each answer with its schema."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from importer.api_requests import AdjustName, ExchangeName, KindName, StatusName, WhenName

# A class with a field ``date`` cannot say ``date`` for its type.
ISODate = date
Count = Annotated[int, Field(ge=0)]
Absent = SkipJsonSchema[None]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    success: Literal[True]


class Error(BaseModel):
    """``error`` never changes, ``message`` is a sentence in the caller's language."""

    model_config = ConfigDict(extra="forbid")

    success: Literal[False]
    error: Annotated[str, Field(examples=["bad_request"])]
    message: str
    field: Annotated[str | Absent, Field(description="the part of the request that is wrong")] = None


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Accepted(Answer):
    task_id: UUID
    message: str
    existing: Annotated[bool, Field(description="a task for the same request waits, runs or is paused: this is it")]
    warning: Annotated[str | Absent, Field(description="no worker is alive: the task waits for one")] = None


class Parameters(Row):
    start_date: date | None
    end_date: date | None
    symbols: list[str] | None
    source: str | None
    path: str | None
    refresh: bool


class Task(Row):
    task_id: UUID
    kind: KindName
    status: StatusName
    progress: Annotated[int, Field(ge=0, le=100)]
    message: str
    total: Annotated[Count, Field(description="stocks")]
    done: Count
    failed: Count
    skipped: Annotated[Count, Field(description="stocks that needed nothing, or were suspended")]
    rows_written: Count
    eta_seconds: Annotated[Count | None, Field(description="time left; null while it is not known")]
    requested_action: Annotated[
        Literal["", "pause", "cancel", "step_aside"], Field(description="asked, and in effect after the present stock")
    ]
    waiting_until: datetime | None
    priority: int
    parameters: Parameters
    retry_of: UUID | None
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None


class OneTask(Answer):
    data: Task


class Tasks(Answer):
    data: list[Task]
    total: Count


class ScheduleRow(Row):
    schedule_id: int
    name: str
    when: WhenName
    time: str | None
    weekday: int | None
    date: Annotated[ISODate | None, Field(description="of a single run")]
    cron: str | None
    kind: KindName
    symbols: list[str] | None
    source: str | None
    start_date: ISODate | None
    end_date: ISODate | None
    path: str | None
    refresh: bool
    priority: int
    description: Annotated[str, Field(description="when and what, in words")]
    note: Annotated[str, Field(description="what to know about it; often empty")]
    paused: bool
    next_run_at: Annotated[datetime | None, Field(description="null while paused, and after a single run")]
    next_run_assumed: Annotated[bool, Field(description="the exchange's calendar is not published that far")]
    next_run: Annotated[str, Field(description="the same in words; why it waits when it is due")]
    last_run_at: datetime | None
    last_run_meant_for: Annotated[datetime | None, Field(description="null when it was run by hand")]
    last_result: Literal["", "started", "joined", "refused"]
    last_run: Annotated[str, Field(description="the last run in words, with the reason if it could not start")]
    last_task_id: UUID | None
    last_task_status: StatusName | None
    created_by: str
    created_at: datetime


class OneSchedule(Answer):
    data: ScheduleRow


class Schedules(Answer):
    data: list[ScheduleRow]
    total: Count


class Failed(Row):
    symbol: str
    source: str
    code: str
    reason: str
    attempts: Count
    finding: Annotated[bool, Field(description="a single row that was not stored; the stock itself did not fail")]
    at: datetime


class Failures(Answer):
    data: list[Failed]
    total: Count


class Host(Row):
    name: str
    workers: Count
    started_at: datetime
    seen_at: datetime
    restarts: Count
    trouble: str
    version: str


class Source(Row):
    source: str
    label: str
    breaker: Literal["closed", "open", "half_open"]
    reason: str
    next_try: Annotated[
        datetime | None,
        Field(description="nobody asks before; null while the breaker is open: the next request tries it again"),
    ]
    refusals: Count
    interval: Annotated[float, Field(description="seconds between two requests now")]
    requests_today: Count
    requests: Count
    successes: Count
    troubles: Count
    last_success_at: datetime | None
    last_trouble_at: datetime | None


class Turnover(Row):
    exchange: ExchangeName
    of_index: Annotated[float, Field(description="turnover of the exchange's composite index, yuan")]
    of_stocks: Annotated[float, Field(description="sum of the amounts of the stored bars, yuan")]


class DayFigures(Row):
    date: ISODate
    complete: bool
    expected: Count
    present: Count
    missing: Count
    suspended: Count
    index: Annotated[
        Literal["agrees", "differs", "unknown"],
        Field(description="whether the stored bars add up to the turnover of the exchanges' indexes"),
    ]
    turnovers: Annotated[list[Turnover], Field(description="empty while the index is unknown")]


class Status(Row):
    stock_count: Count
    stocks_with_bars: Count
    bar_count: Count
    first_date: date | None
    last_date: date | None
    newest_finished_day: date
    newest_day: Annotated[DayFigures, Field(description="how complete the newest finished day is")]
    stocks_up_to_date: Count
    origin: Annotated[Literal["real", "simulated"] | None, Field(description="null while nothing is stored")]
    bytes_used: Count
    bytes_free: Count | None
    active_task: Annotated[Task | None, Field(description="the running task, else the next one, else a paused one")]
    waiting_tasks: Count
    workers: Annotated[Count, Field(description="workers that are alive")]
    hosts: list[Host]
    sources: Annotated[list[Source], Field(description="the sources that were ever asked")]


class StatusAnswer(Answer):
    data: Status


class Stock(Row):
    symbol: str
    code: str
    exchange: ExchangeName
    name: str
    board: str
    listed_on: date | None
    delisted_on: date | None
    first_bar: date | None
    last_bar: date | None
    bar_count: Count
    covered_from: date | None
    covered_until: date | None


class Stocks(Answer):
    data: list[Stock]
    total: Count


class Bar(Row):
    date: date
    open: Annotated[float, Field(description="yuan, as all prices")]
    high: float
    low: float
    close: float
    volume: Annotated[int | float, Field(description="shares; with adjust_volume those of the anchor day")]
    amount: Annotated[float, Field(description="yuan")]


class Bars(Answer):
    symbol: str
    adjust: AdjustName
    anchor: Annotated[date | None, Field(description="the day whose prices stay as traded; null when none is adjusted")]
    as_of: date | None
    adjust_volume: bool
    notes: Annotated[list[str], Field(description="what to know about adjusted prices of this stock")]
    data: list[Bar]
    total: Count


class ProofRow(Row):
    ex_date: ISODate
    code: Annotated[str, Field(description="what became of it; never changes", examples=["applied", "waits"])]
    status: Annotated[str, Field(description="the same in the caller's language")]
    cash_per_share: Annotated[float, Field(description="yuan before tax")]
    new_shares_per_share: float
    rights_per_share: float
    rights_price: Annotated[float, Field(description="yuan")]
    theoretical: Annotated[float | None, Field(description="yuan, unrounded: the price from which the step comes")]
    previous_close: Annotated[float | None, Field(description="yuan: the exchange's own, where it is known")]
    step: Annotated[float, Field(description="1 where the action does not count")]
    difference: Annotated[float | None, Field(description="relative, against the exchange's previous close")]
    flagged: Annotated[bool, Field(description="differs by more than 0.1 %, or the facts are unknown or impossible")]
    flag: Annotated[str | None, Field(description="what a reader of adjusted prices has to know, as in their flags")]
    note: Annotated[str | None, Field(description="the same in a sentence")]


class ProofAnswer(Answer):
    symbol: str
    flagged: Count
    data: list[ProofRow]
    total: Count


class DayRow(DayFigures):
    missing_symbols: list[str]
    message: str


class DayAnswer(Answer):
    data: DayRow


class EstimateRow(Row):
    stocks: Annotated[Count, Field(description="stocks to fetch")]
    skipped: Annotated[Count, Field(description="stocks that are complete already")]
    requests: Count
    bars: Annotated[Count, Field(description="bars to come, at most")]
    seconds: Count | None
    bytes_needed: Count
    bytes_free: Count | None
    fits: bool


class EstimateAnswer(Answer):
    data: EstimateRow
