"""A task is found by its id, however it is written, or by the beginning of it."""

from __future__ import annotations

import uuid

import pytest

from importer.exceptions import BadRequest, UnknownTask
from importer.finding_tasks import find_task
from tests.importer.factories import make_task

pytestmark = pytest.mark.django_db

ID = uuid.UUID("1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d")
OTHER = uuid.UUID("1a2b9999-5e6f-4a7b-8c9d-0e1f2a3b4c5d")


@pytest.fixture(autouse=True)
def tasks() -> None:
    make_task(id=ID)
    make_task(id=OTHER)


@pytest.mark.parametrize(
    "text",
    [
        str(ID),
        ID.hex,
        str(ID).upper(),
        f" {ID} ",
        "1a2b3",
        "1a2b3c4d",
        "1a2b3c4d-",
        "1a2b3c4d-5e6f",
        "1a2b3c4d5e6f4",
        "1a2b3c4d-5e6f-4a7b-8c9d-0e1f",
        str(ID)[:-1],
    ],
)
def test_the_id_or_its_beginning_finds_the_task(text: str) -> None:
    assert find_task(text).pk == ID


@pytest.mark.parametrize(
    "text", ["", "zzzz", "1a2b3c4e", "9f3c1d20-0000-4000-8000-000000000001", f"{ID}0", "%", "----"]
)
def test_anything_else_is_an_unknown_task(text: str) -> None:
    with pytest.raises(UnknownTask):
        find_task(text)


@pytest.mark.parametrize("text", ["1a2", "1"])
def test_a_beginning_that_is_too_short_is_refused_with_the_length_that_is_needed(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        find_task(text)
    assert "at least the first 4 characters" in str(refusal.value)


def test_a_beginning_that_several_share_is_refused() -> None:
    with pytest.raises(BadRequest) as refusal:
        find_task("1a2b")
    assert "Give more of the id" in str(refusal.value)
