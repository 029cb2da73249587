"""Lanes, dispatchers and people whose every transaction a test can hold up, interleave or cut off; one simulated clock.

An actor runs the product's own code in a greenlet and pauses before each transaction and while it waits for a
source. All share one connection, and one runs at a time: what a test does can be repeated to the letter. Between two
pauses an actor commits once at most, so that 'it was killed here' covers every point at which a process can die.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import greenlet
import pandas as pd
from django.db import OperationalError, connection, connections, transaction

from importer import lanes, pacing, planning
from importer.asking import AllSourcesRest, Answer, NoSourceAnswered, Refusal
from importer.dispatch import dispatch
from importer.models import ImportTask
from importer.plan_task import Plan, PlanFailed
from importer.sources.fetching import current_context
from importer.task_requests import request_of
from marketdata.models import Bar, Stock
from marketdata.texts import ExplainedError, Text

MORNING = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CHUNK = 3
# A pause more than this: something goes round in circles.
MOST_PAUSES = 3000

Message = tuple[str, int, str]


class Killed(BaseException):
    """What ends a killed actor; nothing of the product catches it."""


class Clock:
    """Stands still but for a microsecond at each look, and goes on when told."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self._set_back = timedelta()

    def now(self) -> datetime:
        self._passed += timedelta(microseconds=1)
        return MORNING + self._passed - self._set_back

    def monotonic(self) -> float:
        self._passed += timedelta(microseconds=1)
        return self._passed.total_seconds()

    @property
    def was_set_back(self) -> bool:
        return bool(self._set_back)

    def go_on(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)

    def set_back(self, seconds: float) -> None:
        """As an administrator does: the time of day is another one, ``monotonic`` is not."""
        self._set_back += timedelta(seconds=seconds)


@dataclass
class Actor:
    """Somebody at work. ``outcome`` is what the source answers, ``error`` what the database does, next."""

    world: World
    name: str
    work: Callable[[], Any]
    outcome: str = "bars"
    hangs: bool = False
    stopping: bool = False
    error: str = ""
    killed: bool = False
    lane: lanes.Lane | None = None
    result: Any = None
    refusal: ExplainedError | None = None
    pauses: int = 0
    _greenlet: greenlet.greenlet = field(init=False)

    def __post_init__(self) -> None:
        self._greenlet = greenlet.greenlet(self._run)

    @property
    def is_done(self) -> bool:
        return self._greenlet.dead

    def step(self) -> None:
        """Let it go on to its next pause."""
        if self.is_done:
            return
        self.world.current = self
        try:
            self._greenlet.switch()
        finally:
            self.world.current = None
        self.world.on_pause(self)

    def finish(self) -> None:
        while not self.is_done:
            self.step()

    def kill(self) -> None:
        """End it as SIGKILL does: what it has committed stays, and it does nothing more."""
        self.killed = True
        self.step()

    def pause(self) -> None:
        """From within: wait for the next ``step``."""
        self.pauses += 1
        if self.pauses > MOST_PAUSES and not self.killed:
            raise AssertionError(f"{self.name} goes round in circles")
        if not self.killed:
            self._greenlet.parent.switch()
        if self.killed:
            raise Killed
        if self.error:
            error, self.error = self.error, ""
            raise OperationalError(error)

    def _run(self) -> None:
        try:
            self.result = self.work()
        except ExplainedError as refusal:
            self.refusal = refusal
        except Killed:
            pass
        except OperationalError as error:
            if not str(error).startswith("simulated"):
                raise


class World:
    """The clock, the queue, everybody at work, and what the product finds in place of the network and the threads."""

    def __init__(self, on_pause: Callable[[Actor], None] = lambda _actor: None) -> None:
        self.clock = Clock()
        self.messages: list[Message] = []
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.on_pause = on_pause

    def ring(self, task_id: str, number: int, token: str) -> None:
        """Put a message into the queue: part of the transaction, as with the database as the queue."""
        transaction.on_commit(lambda: self.messages.append((task_id, number, token)))

    def start(self, name: str, work: Callable[[], Any]) -> Actor:
        actor = Actor(self, name, work)
        self.actors.append(actor)
        return actor

    def start_dispatch(self, wanted: int) -> Actor:
        return self.start("dispatcher", lambda: dispatch(bell=self.ring, lanes=lambda: wanted))

    def start_lane(self, message: Message) -> Actor:
        return self.start(f"lane {message[1]}", lambda: lanes.work_in_lane(*message, bell=self.ring))

    def at_work(self) -> list[Actor]:
        self.actors = [actor for actor in self.actors if not actor.is_done]
        return self.actors

    def end(self) -> None:
        """Kill everybody who is left, so that no greenlet outlives the test."""
        self.on_pause = lambda _actor: None
        for actor in self.at_work():
            actor.kill()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the clock, the pauses, the source and the plan in place."""
        with ExitStack() as stack:
            for target, value in self._replacements().items():
                stack.enter_context(patch(target, value))
            stack.enter_context(connection.execute_wrapper(self._before_sql))
            logging.disable(logging.CRITICAL)
            stack.callback(logging.disable, logging.NOTSET)
            yield

    def _replacements(self) -> dict[str, Any]:
        return {
            "django.utils.timezone.now": self.clock.now,
            **{f"{module}.db_now": self.clock.now for module in _users_of_the_clock()},
            # One connection is everybody's: nobody closes it.
            "importer.lanes.close_old_connections": lambda: None,
            "importer.lanes.connection": SimpleNamespace(close=lambda: None),
            "importer.lanes.time": SimpleNamespace(monotonic=self.clock.monotonic),
            "importer.lanes.stop_requested": lambda: self.current is not None and self.current.stopping,
            "importer.lanes.ThreadPoolExecutor": lambda **_options: _Helper(),
            "importer.lanes.futures.wait": self._wait_for_source,
            "importer.lanes.Lane": self._make_lane,
            "importer.plan_task.fetch_plan": self._plan,
            "importer.plan_task.split": lambda symbols, _size=CHUNK: planning.split(symbols, CHUNK),
            "importer.stock_work.get_source": lambda name, path=None: SimpleNamespace(name=name, local=False),
            "importer.stock_work.ask": self._ask,
            "django.db.transaction.Atomic.__enter__": self._enter_transaction(transaction.Atomic.__enter__),
        }

    def _enter_transaction(self, enter: Callable[[transaction.Atomic], None]) -> Callable[[transaction.Atomic], None]:
        def pause_and_enter(block: transaction.Atomic) -> None:
            if self.current is not None and not connection.in_atomic_block:
                self.current.pause()
                with self._undisturbed():
                    enter(block)
            else:
                enter(block)

        return pause_and_enter

    def _before_sql(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.current is not None and not connection.in_atomic_block:
            self.current.pause()
        return execute(sql, params, many, context)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        actor, self.current = self.current, None
        try:
            yield
        finally:
            self.current = actor

    def _make_lane(self, *arguments: Any) -> lanes.Lane:
        lane = _LANE(*arguments)
        assert self.current is not None
        self.current.lane = lane
        return lane

    def _wait_for_source(self, waited_for: list[_LazyFuture], timeout: float) -> Any:
        actor = self.current
        assert actor is not None
        actor.pause()
        if actor.hangs:
            self.clock.go_on(timeout)
            return SimpleNamespace(done=())
        waited_for[0].run()
        return SimpleNamespace(done=waited_for)

    def _plan(self, task: Any) -> Plan:
        assert self.current is not None
        if self.current.outcome == "rests":
            failed = PlanFailed("Nobody lists stocks now.")
            failed.until = self.clock.now() + timedelta(seconds=30)
            raise failed
        if self.current.outcome == "refuses":
            raise PlanFailed("Nobody lists stocks.")
        return Plan(request_of(task).symbols or ())

    def _ask(self, _sources: Any, symbol: str, *_range: Any, **_options: Any) -> Answer:
        assert self.current is not None
        context = current_context()
        assert context is not None
        context.raise_if_stopping()
        if self.current.outcome == "rests":
            raise AllSourcesRest(self.clock.now() + timedelta(seconds=30))
        if self.current.outcome == "refuses":
            raise NoSourceAnswered([Refusal("simulated", "bad_data", Text("It cannot be right."))], 1)
        return Answer(bars_of(symbol), "simulated", (), simulated=True)


def bars_of(symbol: str) -> pd.DataFrame:
    """Return the two bars that every source has of a stock: its code is its price in cents."""
    price = int(symbol[:6]) / 100
    return pd.DataFrame(
        {
            "date": pd.to_datetime(["2024-12-24", "2024-12-25"]),
            **{name: [price, price] for name in ("open", "high", "low", "close")},
            "volume": [100, 200],
            "amount": [price * 100, price * 200],
        }
    )


def forget_everything() -> None:
    """Empty the tables between two courses of events of one test."""
    # With all that hangs on them; bars and stocks have nothing that does.
    ImportTask.objects.all().delete()
    for model in (Bar, Stock):
        model.objects.all()._raw_delete("default")


_LANE = lanes.Lane


def _users_of_the_clock() -> list[str]:
    return [name for name, module in sys.modules.items() if name.startswith("importer.") and hasattr(module, "db_now")]


class _LazyFuture(Future[Any]):
    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self._function = function

    def run(self) -> None:
        if self.done():
            return
        try:
            self.set_result(self._function())
        except Exception as error:  # noqa: BLE001 - whoever waits for the result gets it
            self.set_exception(error)


class _Helper:
    """In place of a lane's helper thread: works when the lane waits for the result."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        if function in (pacing.flush, connections.close_all):
            return Future()
        return _LazyFuture(partial(function, *arguments))

    def shutdown(self, **_options: Any) -> None:
        pass
