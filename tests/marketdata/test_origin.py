from __future__ import annotations

import pytest
from django.db import transaction

from marketdata.exceptions import MixedOrigins
from marketdata.models import Origin
from marketdata.origin import claim_origin, current_origin

pytestmark = pytest.mark.django_db


def test_an_empty_database_has_no_origin() -> None:
    assert current_origin() is None


@pytest.mark.parametrize(("simulated", "kind"), [(True, Origin.SIMULATED), (False, Origin.REAL)])
def test_the_first_claim_stands_and_may_be_repeated(simulated: bool, kind: str) -> None:
    claim_origin(simulated)
    claim_origin(simulated)
    assert current_origin() == kind


@pytest.mark.parametrize(
    ("simulated", "stored", "sentence"),
    [(True, Origin.SIMULATED, "holds a simulated market"), (False, Origin.REAL, "holds the real market")],
)
def test_the_other_kind_is_refused_with_both_kinds_named(simulated: bool, stored: str, sentence: str) -> None:
    claim_origin(simulated)
    with pytest.raises(MixedOrigins, match=sentence) as caught:
        claim_origin(not simulated)
    assert caught.value.text.values["stored"] == stored
    assert current_origin() == stored


def test_a_claim_that_is_rolled_back_leaves_the_database_open() -> None:
    class GivesUp(Exception):
        pass

    def claim_and_give_up() -> None:
        with transaction.atomic():
            claim_origin(True)
            raise GivesUp

    with pytest.raises(GivesUp):
        claim_and_give_up()
    assert current_origin() is None
