"""Somebody freezes before each of its transactions in turn, the world goes on, and it wakes up: all is in order.

A suspended laptop, a debugger, a machine without memory: a process may stop anywhere for any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from importer import lifecycle
from importer.invariants import violations
from importer.models import ImportChunk, ImportTask, Status
from importer.sources.base import ListedStock
from importer.task_requests import build_request, submit
from marketdata.store import save_listing
from marketdata.texts import Text
from tests.importer.actors import Actor, World, forget_everything

pytestmark = pytest.mark.django_db(transaction=True)

SYMBOLS = [f"60000{number}.SH" for number in range(1, 5)]
STEPS_OF_A_PLAN = 9
MOMENTS_AFTER_WAKING = 1


def submit_task(priority: int = 0) -> ImportTask:
    request = build_request(
        "import", source="simulated", start="2024-12-20", end="2024-12-25", symbols=SYMBOLS,
        priority=priority, refresh=bool(priority),
    )  # fmt: skip
    return submit(request).task


def nobody_asks() -> None:
    pass


def ask(action: Callable[..., object]) -> None:
    for task in ImportTask.objects.filter(status=Status.RUNNING):
        action(task.pk)


def pause_and_resume() -> None:
    ask(lifecycle.pause)
    for task in ImportTask.objects.filter(status=Status.PAUSED):
        lifecycle.resume(task.pk)


EVENTS: dict[str, Callable[[], object]] = {
    "nothing": nobody_asks,
    "a cancel": partial(ask, lifecycle.cancel),
    "a pause and a resume": pause_and_resume,
    "an urgent task": partial(submit_task, 5),
    "a full disk": partial(ask, lambda task_id: lifecycle.fail(task_id, Text("The disk is full."))),
}


@contextmanager
def frozen(who: str, steps: int) -> Iterator[tuple[World, Actor]]:
    """Yield somebody who has stopped after so many transactions in the middle of an import."""
    forget_everything()
    world = World()
    with world.in_place():
        save_listing([ListedStock(symbol) for symbol in SYMBOLS], simulated=True)
        submit_task()
        world.start_dispatch(1).finish()
        first = world.start_lane(world.messages.pop())
        if who != "the lane that plans":
            step(first, STEPS_OF_A_PLAN)
            world.start_dispatch(2).finish()
        sleeper = {
            "the lane that plans": lambda: first,
            "a lane": lambda: world.start_lane(world.messages.pop()),
            "a dispatcher": lambda: world.start_dispatch(3),
        }[who]()
        step(sleeper, steps)
        try:
            yield world, sleeper
        finally:
            world.end()


def step(actor: Actor, times: int) -> None:
    for _time in range(times):
        actor.step()


def in_order() -> None:
    assert [str(text) for text in violations()] == []


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("who", ["the lane that plans", "a lane", "a dispatcher"])
def test_whoever_wakes_up_late_puts_nothing_out_of_order(who: str, event: str) -> None:
    # Every other moment, and the next event the others: each is tried, in half the time.
    steps, is_done = list(EVENTS).index(event) % 2, False
    while not is_done:
        with frozen(who, steps) as (world, sleeper):
            is_done = sleeper.is_done
            world.clock.go_on(9)
            EVENTS[event]()
            world.start_dispatch(2).finish()
            for message in world.messages[:2]:
                step(world.start_lane(message), 12)
            for _moment in range(MOMENTS_AFTER_WAKING):
                sleeper.step()
                in_order()
            sleeper.finish()
            in_order()
            assert not ImportChunk.objects.exclude(task__status=Status.RUNNING).exclude(lane=None).exists()
        steps += 2
    assert steps > 5


@pytest.mark.parametrize("steps", range(STEPS_OF_A_PLAN))
def test_a_lane_that_hears_late_of_no_list_does_not_fail_what_another_one_has_planned(steps: int) -> None:
    with frozen("the lane that plans", steps) as (world, late):
        world.clock.go_on(9)
        world.start_dispatch(1).finish()
        if world.messages:
            step(world.start_lane(world.messages.pop()), STEPS_OF_A_PLAN + 3)
        late.outcome = "refuses"
        late.finish()
        task = ImportTask.objects.get()
        assert (task.status == Status.FAILED) == (task.planned_at is None)
