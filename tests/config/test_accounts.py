"""Once others can reach the server, every page and call needs an account or a token."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from config.addresses import is_every_address, names_of, origins_of
from importer.models import ImportTask
from tests.importer.processes import Installation

pytestmark = pytest.mark.django_db

TOKENS = ["first-long-random-word", "second-long-random-word"]
STATUS = "/api/data/status"
# They tell whether the process lives, and nothing else; and somebody who is to log in needs the form.
OPEN = {"/healthz", "/readyz", "/login/", "/admin/login/", "/language/"}


@pytest.fixture(autouse=True)
def exposed(settings: Settings) -> None:
    settings.LOGIN_REQUIRED = True
    settings.API_TOKENS = TOKENS


def client(**headers: str) -> Client:
    return Client(enforce_csrf_checks=True, headers=headers)


def make_user(**values: object) -> None:
    get_user_model().objects.create_user(username="alice", password="a long password", **values)


def addresses(resolver: URLResolver | None = None, prefix: str = "/") -> list[str]:
    found = []
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
        if isinstance(pattern, URLPattern):
            found.append(route)
        else:
            found += addresses(pattern, route)
    return found


SAMPLES = {"uuid": "6ba97c19-778a-4b84-a6d2-9cf96debcf3f", "int": "1", "slug": "a", "path": "a", "str": "600519"}


def plain_addresses() -> list[str]:
    """Return the addresses that are ours, with something in place of each parameter."""
    ours = [address for address in addresses() if not address.startswith("/admin/") and "?P<" not in address]
    filled = {re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES[found[1] or "str"], address) for address in ours}
    return sorted(filled | {"/admin/"})


@pytest.mark.parametrize("address", plain_addresses())
def test_nothing_is_shown_to_a_stranger(address: str) -> None:
    response = client().get(address)
    if address in OPEN:
        assert response.status_code in (200, 503) or response.headers["Location"] == "/"
    elif address.startswith(("/api", "/metrics")):
        assert response.status_code == 401
        assert response.json()["error"] == "login_required"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    else:
        assert response.status_code == 302
        assert "login" in response.headers["Location"]


@pytest.mark.parametrize(
    ("referer", "page"),
    [
        ("http://testserver/data/tasks/?page=2", "/data/tasks/%3Fpage%3D2"),
        ("http://elsewhere.example/data/tasks/", "/data/"),
        ("//elsewhere.example/", "/data/"),
        ("", "/data/"),
    ],
)
def test_whose_session_has_ended_at_a_button_goes_on_at_the_button_s_page(referer: str, page: str) -> None:
    browser = Client(headers={"referer": referer} if referer else {})
    response = browser.post("/data/tasks/6ba97c19-778a-4b84-a6d2-9cf96debcf3f/pause/")
    assert (response.status_code, response.headers["Location"]) == (302, f"/login/?next={page}")


def test_a_stranger_starts_nothing() -> None:
    response = client().post("/api/data/import", "{}", content_type="application/json")
    assert response.status_code == 401
    assert not ImportTask.objects.exists()


def test_health_tells_a_stranger_status_words_only() -> None:
    told = client().get("/readyz").json()
    assert set(told["checks"].values()) <= {"ok", "missing"}
    assert set(told) == {"success", "error", "message", "missing", "checks"}


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_opens_the_api(token: str) -> None:
    assert client(Authorization=f"Bearer {token}").get(STATUS).status_code == 200
    assert client(Authorization=f"bearer  {token} ").get(STATUS).status_code == 200


@pytest.mark.parametrize("sent", ["Bearer wrong", "Bearer ", "Bearer", f"Token {TOKENS[0]}", "Basic YTpi", TOKENS[0]])
def test_anything_else_does_not(sent: str) -> None:
    assert client(Authorization=sent).get(STATUS).status_code == 401


def test_a_token_does_not_open_the_admin() -> None:
    response = client(Authorization=f"Bearer {TOKENS[0]}").get("/admin/")
    assert response.status_code == 302


def test_a_wrong_token_is_refused_also_where_none_is_needed(settings: Settings) -> None:
    settings.LOGIN_REQUIRED = False
    response = client(Authorization="Bearer wrong").get(STATUS)
    assert (response.status_code, response.json()["error"]) == (401, "bad_token")
    settings.API_TOKENS = []
    assert client(Authorization="Bearer wrong").get(STATUS).status_code == 200


def test_somebody_who_logs_in_sees_everything_and_comes_back_to_the_page_asked_for() -> None:
    make_user()
    browser = client()
    form = browser.get("/login/?next=/api/docs")
    assert form.status_code == 200
    response = browser.post(
        "/login/",
        {
            "username": "alice",
            "password": "a long password",
            "next": "/api/docs",
            "csrfmiddlewaretoken": browser.cookies["barvault_csrf"].value,
        },
    )
    assert (response.status_code, response.headers["Location"]) == (302, "/api/docs")
    assert browser.get(STATUS).status_code == 200


def test_a_login_leads_to_no_other_site() -> None:
    make_user()
    browser = client()
    browser.get("/login/")
    token = browser.cookies["barvault_csrf"].value
    values = {"username": "alice", "password": "a long password", "csrfmiddlewaretoken": token}
    response = browser.post("/login/", {**values, "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_who_asked_is_written_down_and_the_token_is_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        started = client(Authorization=f"Bearer {TOKENS[1]}").post(
            "/api/data/import", "{}", content_type="application/json"
        )
        client(Authorization=f"Bearer {TOKENS[1]}x").get(STATUS)
    task = ImportTask.objects.get(pk=started.json()["task_id"])
    assert task.requested_by == "api: token 2, 127.0.0.1"
    assert TOKENS[1] not in caplog.text


def test_an_account_is_named_in_the_tasks_history() -> None:
    make_user()
    browser = client()
    browser.force_login(get_user_model().objects.get())
    browser.post("/api/data/import", "{}", content_type="application/json")
    assert ImportTask.objects.get().requested_by == "api: alice, 127.0.0.1"


def test_a_server_on_an_address_answers_to_it_beside_the_loopback_names() -> None:
    assert names_of("192.0.2.7") == ["192.0.2.7"]
    assert names_of("2001:db8::1") == ["[2001:db8::1]"]
    assert names_of("bars.example.com") == ["bars.example.com"]
    assert names_of("0.0.0.0") == names_of("::") == names_of("127.0.0.1") == names_of("") == []
    assert is_every_address("[::]")


def test_pages_behind_a_proxy_are_our_own_with_and_without_https() -> None:
    assert origins_of(["bars.example.com", ".other.example", "*"], 5000) == [
        "https://bars.example.com",
        "http://bars.example.com",
        "http://bars.example.com:5000",
        "https://*.other.example",
        "http://*.other.example",
        "http://*.other.example:5000",
    ]


def test_djangos_own_checks_for_deployment_find_nothing() -> None:
    call_command("check", deploy=True, fail_level="WARNING")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "needed"),
    [
        ({}, False),
        ({"BARVAULT_HOST": "192.0.2.7"}, True),
        ({"BARVAULT_HOST": "0.0.0.0"}, True),
        ({"BARVAULT_ALLOWED_HOSTS": "bars.example.com"}, True),
        ({"BARVAULT_HOST": "localhost"}, False),
    ],
)
def test_a_server_within_reach_of_others_asks_for_a_login(
    tmp_path: Path, environment: dict[str, str], needed: bool
) -> None:
    code = "from django.conf import settings; print(settings.LOGIN_REQUIRED, settings.ALLOWED_HOSTS)"
    printed = Installation(tmp_path).manage("shell", "--no-imports", "-c", code, **environment).stdout
    assert printed.startswith(str(needed))
    assert environment.get("BARVAULT_ALLOWED_HOSTS", "localhost") in printed
