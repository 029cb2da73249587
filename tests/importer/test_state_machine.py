"""Whatever happens in whatever order, to the transaction: the invariants hold, and every task comes to its end.

Rules start, hold up, interleave and kill the product's own lanes, dispatchers and callers (``actors.py``). After each
transaction the tables are looked at; at the end everybody left is let go on, and nothing may be lost.
BARVAULT_TEST_EXAMPLES says how many courses of events are tried.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from importer import lifecycle
from importer.invariants import violations
from importer.models import ACTIVE, FINISHED, ImportChunk, ImportTask, LaneSlot, Status, Transition
from importer.sources.base import ListedStock
from importer.task_requests import build_request, retry, submit
from marketdata.store import save_listing, verify_summaries
from tests.importer.actors import Actor, Message, World, forget_everything

# Hundreds of steps, each with threads: minutes on a busy machine.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]

EXAMPLES = int(os.environ.get("BARVAULT_TEST_EXAMPLES", "15"))
SYMBOLS = [f"60000{number}.SH" for number in range(1, 9)]
MOST_TASKS = 4
ROUNDS_TO_THE_END = 200
STEPS_OF_A_PLAN = 9

P, R, Z = Status.PENDING, Status.RUNNING, Status.PAUSED
LEGAL = {
    ("", P), (P, R), (R, Status.COMPLETED), (R, Status.FAILED), (R, P), (R, Z), (P, Z),
    (R, Status.CANCELLED), (P, Status.CANCELLED), (Z, Status.CANCELLED), (Z, P), (Status.FAILED, P),
}  # fmt: skip

ACTIONS: dict[str, Callable[[UUID], object]] = {
    "cancel": lifecycle.cancel,
    "pause": lifecycle.pause,
    "resume": lifecycle.resume,
    "raise": lambda task_id: lifecycle.set_priority(task_id, 9),
    "lower": lambda task_id: lifecycle.set_priority(task_id, -9),
    "retry": retry,
}
LOOKED_AT = ("id", "cursor", "generation", "lane", "deaths", "set_aside", "failed", "task__status")
places = st.integers(min_value=0, max_value=30)
outcomes = st.sampled_from(["bars", "bars", "bars", "refuses", "rests"])
errors = st.sampled_from(["simulated: database is locked", "simulated: database or disk is full"])


class Imports(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        forget_everything()
        self.world = World(self.look)
        self._in_place = self.world.in_place()
        self._in_place.__enter__()
        save_listing([ListedStock(symbol) for symbol in SYMBOLS], simulated=True)
        self.is_well = True
        self.tasks: list[UUID] = []
        self.progress: dict[UUID, int] = {}
        self.chunks: dict[int, dict[str, Any]] = {}
        # Chunks, by id and generation, that somebody held who was killed.
        self.held_by_the_dead: set[tuple[int, int]] = set()

    # What can happen

    @initialize(symbols=st.lists(st.sampled_from(SYMBOLS), min_size=4, max_size=8, unique=True))
    def a_first_task(self, symbols: list[str]) -> None:
        self.submit(symbols, 0, refresh=False)
        self.dispatch(wanted=2, whole=True)
        self.a_message_is_delivered(place=0, again=False, steps=STEPS_OF_A_PLAN)
        self.dispatch(wanted=2, whole=True)

    @precondition(lambda self: len(self.tasks) < MOST_TASKS)
    @rule(
        symbols=st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=8, unique=True),
        priority=st.sampled_from([0, 5]),
        refresh=st.booleans(),
    )
    def submit(self, symbols: list[str], priority: int, refresh: bool) -> None:
        request = build_request(
            "import", source="simulated", start="2024-12-20", end="2024-12-25",
            symbols=symbols, priority=priority, refresh=refresh,
        )  # fmt: skip
        self.begin("submit", lambda: submit(request), whole=True)
        self.learn_tasks()

    @rule(place=places, action=st.sampled_from(sorted(ACTIONS)), whole=st.booleans())
    def somebody_asks(self, place: int, action: str, whole: bool) -> None:
        task_id = self.tasks[place % len(self.tasks)]
        self.begin(action, lambda: ACTIONS[action](task_id), whole=whole)

    @rule(wanted=st.integers(1, 3), whole=st.booleans())
    def dispatch(self, wanted: int, whole: bool) -> None:
        actor = self.world.start_dispatch(wanted)
        if whole:
            actor.finish()

    @precondition(lambda self: self.world.messages)
    @rule(place=places, again=st.booleans(), steps=st.integers(0, 60))
    def a_message_is_delivered(self, place: int, again: bool, steps: int) -> None:
        message = self.take_message(place, keep=again)
        self.go_on(self.world.start_lane(message), steps)

    @precondition(lambda self: self.world.messages)
    @rule(place=places)
    def a_message_is_lost(self, place: int) -> None:
        self.take_message(place, keep=False)

    @precondition(lambda self: self.world.at_work())
    @rule(place=places, steps=st.integers(1, 60), outcome=outcomes, hangs=st.booleans())
    def somebody_goes_on(self, place: int, steps: int, outcome: str, hangs: bool) -> None:
        actor = self.actor(place)
        actor.outcome, actor.hangs = outcome, hangs
        self.go_on(actor, steps)
        actor.outcome, actor.hangs = "bars", False

    @precondition(lambda self: self.world.at_work())
    @rule(place=places)
    def somebody_ends(self, place: int) -> None:
        self.actor(place).finish()

    @precondition(lambda self: self.world.at_work())
    @rule(place=places)
    def somebody_is_killed(self, place: int) -> None:
        self.actor(place).kill()

    @precondition(lambda self: self.world.at_work())
    @rule(place=places, error=errors)
    def the_database_is_in_trouble(self, place: int, error: str) -> None:
        actor = self.actor(place)
        actor.step()
        actor.error = error
        actor.step()
        actor.error = ""

    @precondition(lambda self: self.world.at_work())
    @rule(place=places)
    def a_process_is_asked_to_stop(self, place: int) -> None:
        self.actor(place).stopping = True

    @precondition(lambda self: self.world.at_work())
    @rule(place=places)
    def a_death_is_noticed(self, place: int) -> None:
        dead = self.actor(place)
        dead.kill()
        self.world.clock.go_on(9)
        self.dispatch(wanted=2, whole=True)
        if dead.lane is not None and (held := dead.lane.claimed) is not None:
            same = ImportChunk.objects.filter(pk=held.chunk_id, generation=held.generation, cursor__lt=F("size"))
            assert not same.exists(), "the chunk of a dead lane was not taken from it"

    @rule(times=st.integers(2, 6))
    def a_stock_kills_its_lanes(self, times: int) -> None:
        for _time in range(times):
            self.dispatch(wanted=1, whole=True)
            if not self.world.messages:
                break
            self.a_lane_dies_at_its_first_stock(place=-1)
        self.dispatch(wanted=1, whole=True)

    @rule(place=places, found=st.lists(st.booleans(), min_size=2, max_size=6))
    def lanes_die_in_turn(self, place: int, found: list[bool]) -> None:
        """The next one may be there before the dispatcher has ``found`` the one before dead."""
        self.dispatch(wanted=2, whole=True)
        for is_found in found:
            if not self.world.messages:
                break
            self.a_lane_dies_at_its_first_stock(place)
            if is_found:
                self.dispatch(wanted=2, whole=True)

    def a_lane_dies_at_its_first_stock(self, place: int) -> None:
        lane = self.world.start_lane(self.take_message(place, keep=False))
        while not lane.is_done and (lane.lane is None or lane.lane.claimed is None):
            lane.step()
        lane.kill()
        self.world.clock.go_on(9)

    @precondition(lambda self: self.world.at_work())
    @rule(place=places, action=st.sampled_from(["", *sorted(ACTIONS)]), steps=st.integers(0, 30))
    def somebody_sleeps_and_wakes_up_late(self, place: int, action: str, steps: int) -> None:
        actor = self.actor(place)
        self.world.clock.go_on(9)
        if action:
            self.somebody_asks(place, action, whole=True)
        self.dispatch(wanted=2, whole=True)
        if self.world.messages:
            self.a_message_is_delivered(place, again=False, steps=steps)
        self.go_on(actor, 30)

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.go_on(seconds)

    @precondition(lambda self: not self.world.clock.was_set_back)
    @rule()
    def the_clock_is_set_back(self) -> None:
        self.world.clock.set_back(3600)

    # What must be true all the while

    @invariant()
    def everything_is_in_order(self) -> None:
        self.is_well = False
        assert [str(text) for text in violations()] == []
        for task in ImportTask.objects.all():
            assert task.progress >= self.progress.get(task.pk, 0), "progress went back"
            self.progress[task.pk] = task.progress
        # A new priority is a row of the history, too, and no change of state.
        moves = set(Transition.objects.exclude(old=F("new")).values_list("old", "new"))
        assert moves <= LEGAL, f"{moves - LEGAL} is no state change"
        self.is_well = True

    def look(self, actor: Actor) -> None:
        """After at most one transaction of ``actor``: who moved a cursor held the chunk, and nobody else holds it."""
        self.is_well = False
        after = {chunk["id"]: chunk for chunk in ImportChunk.objects.values(*LOOKED_AT)}
        for pk, chunk in after.items():
            before = self.chunks.get(pk)
            if before is None:
                continue
            assert chunk["generation"] >= before["generation"], "a generation went back"
            if chunk["generation"] > before["generation"]:
                self.look_at_who_takes(actor, before, chunk)
            elif chunk["cursor"] > before["cursor"] and actor.lane is not None:
                held = actor.lane.claimed
                assert held is not None, f"{actor.name} moved a cursor without a chunk"
                assert (held.chunk_id, held.generation) == (pk, before["generation"]), f"{actor.name} wrote late"
                assert before["lane"] == actor.lane.hold.number, f"{actor.name} wrote into another lane's chunk"
        self.chunks = after
        if actor.killed and actor.lane is not None and (held := actor.lane.claimed) is not None:
            chunk = after.get(held.chunk_id)
            if chunk and chunk["generation"] == held.generation and chunk["lane"] is not None:
                self.held_by_the_dead.add((held.chunk_id, held.generation))
        claims = [other.lane.claimed for other in self.world.at_work() if other.lane is not None]
        valid = [held.chunk_id for held in claims if held and self.is_valid(held)]
        assert len(valid) == len(set(valid)), "two lanes hold one lease"
        self.is_well = True

    def look_at_who_takes(self, actor: Actor, before: dict[str, Any], chunk: dict[str, Any]) -> None:
        """From a dead lane a chunk of the running task is not taken without a word: the stock in flight is blamed."""
        blamed = sum(chunk[name] - before[name] for name in ("set_aside", "failed"))
        assert chunk["task__status"] != Status.RUNNING or chunk["cursor"] - before["cursor"] == blamed, (
            f"{actor.name} moved the cursor of a chunk that it took"
        )
        was_held = (chunk["id"], before["generation"]) in self.held_by_the_dead
        if was_held and chunk["task__status"] == Status.RUNNING:
            assert blamed or chunk["deaths"] > before["deaths"], f"{actor.name} took a dead lane's chunk without a word"

    def is_valid(self, held: Any) -> bool:
        chunk = self.chunks.get(held.chunk_id)
        return chunk is not None and chunk["generation"] == held.generation

    # How it ends

    def teardown(self) -> None:
        try:
            if self.is_well:
                self.everything_comes_to_its_end()
        finally:
            self.world.end()
            self._in_place.__exit__(None, None, None)

    def everything_comes_to_its_end(self) -> None:
        late = list(self.world.at_work())
        self.work_off()
        for actor in late:
            actor.finish()
        # A caller that comes late may have resumed a task, or asked for what failed once more.
        self.work_off()
        for task in ImportTask.objects.all():
            assert task.status in FINISHED, f"{task.status} for ever: {task.message}"
            if task.status == Status.COMPLETED:
                assert task.done + task.failed + task.skipped == task.total == len(task.parameters["symbols"])
        assert verify_summaries() == []
        assert not LaneSlot.objects.exists()

    def work_off(self) -> None:
        for task in ImportTask.objects.filter(status=Status.PAUSED):
            lifecycle.resume(task.pk)
        for _round in range(ROUNDS_TO_THE_END):
            if not ImportTask.objects.filter(status__in=ACTIVE).exists():
                break
            self.dispatch(wanted=2, whole=True)
            messages, self.world.messages = self.world.messages, []
            for message in messages:
                self.world.start_lane(message).finish()
            self.world.clock.go_on(2)
        self.everything_is_in_order()

    # What the rules are made of

    def begin(self, name: str, work: Callable[[], Any], *, whole: bool) -> None:
        actor = self.world.start(name, work)
        if whole:
            actor.finish()
        else:
            actor.step()

    def go_on(self, actor: Actor, steps: int) -> None:
        for _step in range(steps):
            if actor.is_done:
                break
            actor.step()
        self.learn_tasks()

    def actor(self, place: int) -> Actor:
        actors = self.world.at_work()
        return actors[place % len(actors)]

    def take_message(self, place: int, *, keep: bool) -> Message:
        place %= len(self.world.messages)
        return self.world.messages[place] if keep else self.world.messages.pop(place)

    def learn_tasks(self) -> None:
        self.tasks = list(ImportTask.objects.order_by("transitions__id").distinct().values_list("pk", flat=True))


def test_whatever_happens_the_tables_are_in_order_and_nothing_is_lost() -> None:
    run_state_machine_as_test(
        Imports,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
        ),
    )
