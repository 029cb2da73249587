from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.utils import translation
from pytest_django import Settings

from config.safety import exposure_problem, is_loopback

pytestmark = pytest.mark.django_db


def make_user() -> None:
    get_user_model().objects.create_user(username="u", password="a long password")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_a_loopback_address_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert exposure_problem(host, []) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "bars.example.com", ""])
def test_any_other_address_is_within_reach_of_others(host: str) -> None:
    assert not is_loopback(host)
    assert exposure_problem(host, []) is not None


def test_a_further_allowed_host_is_a_way_in() -> None:
    assert exposure_problem("127.0.0.1", ["bars.example.com"]) is not None


def test_a_login_and_a_token_are_enough(settings: Settings) -> None:
    make_user()
    settings.API_TOKENS = ["long-and-random"]
    assert exposure_problem("0.0.0.0", []) is None


def test_without_a_token_it_says_how_to_set_one(settings: Settings) -> None:
    make_user()
    settings.API_TOKENS = []
    assert "BARVAULT_API_TOKEN" in str(exposure_problem("0.0.0.0", []))


def test_who_lacks_both_is_told_of_both_at_once(settings: Settings) -> None:
    settings.API_TOKENS = []
    with translation.override("en"):
        problem = str(exposure_problem("127.0.0.1", ["bars.example.com"]))
    for named in ("createsuperuser", "BARVAULT_API_TOKEN", "without BARVAULT_ALLOWED_HOSTS"):
        assert named in problem


@pytest.mark.parametrize("values", [{"is_active": False}, {"password": None}])
def test_a_user_who_cannot_log_in_does_not_count(settings: Settings, values: dict[str, object]) -> None:
    settings.API_TOKENS = ["long-and-random"]
    get_user_model().objects.create_user(username="u", **{"password": "a long password", **values})
    with translation.override("en"):
        assert "nobody can log in" in str(exposure_problem("0.0.0.0", []))
