"""Signs of life in shared memory: what the pusher reads from them."""

from __future__ import annotations

import pytest

from importer.cluster_signs import Cell, SignsOfLife


@pytest.fixture
def signs() -> SignsOfLife:
    return SignsOfLife(workers=2)


def worker(signs: SignsOfLife, *, busy: bool) -> None:
    """Have a worker take a place; it is this process, which is alive."""
    signs.prepare_place()
    signs.take_place()
    signs.set_busy(busy)


def test_messages_are_left_to_others_while_every_worker_is_busy(signs: SignsOfLife) -> None:
    worker(signs, busy=True)
    assert signs.leaves_messages_to_others()
    worker(signs, busy=False)
    assert not signs.leaves_messages_to_others()


def test_messages_are_taken_before_the_first_worker_is_ready(signs: SignsOfLife) -> None:
    assert not signs.leaves_messages_to_others()


def test_messages_are_left_to_others_while_the_host_is_out_of_service(signs: SignsOfLife) -> None:
    worker(signs, busy=False)
    signs.set(Cell.OUT_OF_SERVICE, 1.0)
    assert signs.leaves_messages_to_others()
