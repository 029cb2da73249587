"""Two callers at once, every pair of actions in every state: as if one had come after the other, and each learns it."""

from __future__ import annotations

import threading
from itertools import combinations_with_replacement
from uuid import UUID

import pytest
from django.db import connection

from importer.exceptions import NotAllowedNow
from importer.invariants import history_leads_to_the_state
from importer.models import Failure, ImportTask, Status, Transition
from importer.task_requests import retry
from tests.importer.factories import make_chunk, make_task
from tests.importer.test_lifecycle import ACTIONS, REFUSED, TABLE

pytestmark = pytest.mark.django_db(transaction=True)

PAIRS = list(combinations_with_replacement(sorted(ACTIONS), 2))
Outcome = tuple[Status, tuple[bool, bool]]


def one_after_the_other(status: Status, first: str, second: str) -> tuple[Status, bool, bool]:
    """Return the state after both, and whether each was allowed."""
    allowed = []
    for action in (first, second):
        after = TABLE[status, action]
        allowed.append(after is not REFUSED)
        status = status if after is REFUSED else after
    return status, allowed[0], allowed[1]


def serial_outcomes(status: Status, first: str, second: str) -> set[Outcome]:
    after, one, two = one_after_the_other(status, first, second)
    reverse, two_first, one_last = one_after_the_other(status, second, first)
    return {(after, (one, two)), (reverse, (one_last, two_first))}


def at_once(task_id: UUID, *actions: str) -> tuple[bool, ...]:
    """Do all of them at the same moment; return which were allowed."""
    allowed = [True] * len(actions)
    others: list[BaseException] = []
    barrier = threading.Barrier(len(actions))

    def act(place: int) -> None:
        barrier.wait()
        try:
            ACTIONS[actions[place]](task_id)
        except NotAllowedNow:
            allowed[place] = False
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            others.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert others == []
    return tuple(allowed)


@pytest.mark.parametrize("status", Status)
def test_two_callers_at_once_are_as_one_after_the_other(status: Status) -> None:
    for first, second in PAIRS:
        ImportTask.objects.all().delete()
        task = make_task(status=status)
        allowed = at_once(task.pk, first, second)
        task.refresh_from_db()
        outcome = (Status(task.status), (allowed[0], allowed[1]))
        assert outcome in serial_outcomes(status, first, second), f"{status}: {first} and {second}"
        moves = Transition.objects.filter(task=task).count()
        assert moves <= sum(allowed), "a state change that nobody was told of"
        assert list(history_leads_to_the_state()) == []


ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@pytest.mark.parametrize("status", Status)
def test_what_failed_can_be_tried_again_once_the_task_has_ended(status: Status) -> None:
    task = make_task(status=status)
    make_chunk(task, ["600001.SH"], cursor=1, failed=1)
    Failure.objects.create(task=task, symbol="600001.SH", code="banned")
    if status not in ENDED:
        with pytest.raises(NotAllowedNow):
            retry(task.pk)
        assert ImportTask.objects.count() == 1
        return
    again = retry(task.pk).task
    assert (again.retry_of_id, again.parameters["symbols"]) == (task.pk, ["600001.SH"])
    task.refresh_from_db()
    assert task.status == status


def test_of_two_retries_at_once_one_makes_the_task_and_the_other_gets_it() -> None:
    task = make_task(status=Status.COMPLETED)
    make_chunk(task, ["600001.SH"], cursor=1, failed=1)
    Failure.objects.create(task=task, symbol="600001.SH", code="banned")
    found: list[tuple[UUID, bool]] = []
    barrier = threading.Barrier(2)

    def try_again() -> None:
        barrier.wait()
        submission = retry(task.pk)
        found.append((submission.task.pk, submission.existing))
        connection.close()

    threads = [threading.Thread(target=try_again) for _caller in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({task_id for task_id, _existing in found}) == 1
    assert sorted(existing for _task_id, existing in found) == [False, True]
