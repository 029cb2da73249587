"""What another web site, a rebound name or a forgotten proxy may do with a server on localhost: nothing."""

from __future__ import annotations

from itertools import product

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from config.guard import POLICY, Sent, judge
from config.tokens import token_number
from importer.models import ImportTask

pytestmark = pytest.mark.django_db

SERVER = "localhost:5000"
START = "/api/data/import"
STATUS = "/api/data/status"
TOKEN = "a-long-random-word-for-tests"


def client(**headers: str) -> Client:
    return Client(enforce_csrf_checks=True, headers={"Host": SERVER, **headers})


def start(**headers: str) -> HttpResponse:
    return client(**headers).post(START, "{}", content_type="application/json")


def code_of(response: HttpResponse) -> str:
    assert response.json()["success"] is False
    return str(response.json()["error"])


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "localhost"])
def test_a_script_on_this_machine_may_do_everything(host: str) -> None:
    assert client(Host=host).get(STATUS).status_code == 200
    assert client(Host=host).post(START, "{}", content_type="application/json").status_code in (200, 202)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "localhost.evil.example", "0.0.0.0:5000", "a b"])
def test_a_name_that_was_rebound_to_this_machine_is_no_name_of_ours(host: str) -> None:
    for response in (client(Host=host).get(STATUS), client(Host=host).post(START, "{}", "application/json")):
        assert (response.status_code, code_of(response)) == (400, "strange_host")
    page = client(Host=host).get("/admin/")
    assert page.status_code == 400
    assert "BARVAULT_ALLOWED_HOSTS" in page.content.decode()
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    "how",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {},
    ],
)
def test_another_site_reads_nothing(site: str, how: dict[str, str]) -> None:
    response = client(**{"Sec-Fetch-Site": site, **how}).get(STATUS)
    assert (response.status_code, code_of(response)) == (403, "other_site")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_opens_a_page_and_changes_nothing(site: str) -> None:
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client(**followed).get(STATUS).status_code == 200
    assert code_of(start(**followed)) == "other_site"
    assert not ImportTask.objects.exists()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "https://localhost:5000", "http://[", ""]
)
def test_a_form_on_another_site_starts_nothing(origin: str) -> None:
    response = start(Origin=origin)
    assert response.status_code == (202 if origin == "" else 403)
    assert ImportTask.objects.exists() is (origin == "")


def test_our_own_page_may_do_everything() -> None:
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert start(Origin=f"http://{SERVER}", **own).status_code == 202


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"]
)
def test_what_a_form_can_send_is_refused_also_without_an_origin(content_type: str) -> None:
    response = client().post(START, b"{}", content_type=content_type)
    assert (response.status_code, code_of(response)) == (415, "not_json")
    assert not ImportTask.objects.exists()


def test_a_body_without_a_content_type_is_refused() -> None:
    response = client().generic("POST", START, b"{}", content_type="")
    assert (response.status_code, code_of(response)) == (415, "not_json")


def test_no_body_needs_no_content_type() -> None:
    assert client().generic("POST", START, b"", content_type="").status_code == 202


def test_json_with_a_charset_is_json() -> None:
    assert client().post(START, b"{}", content_type="application/json; charset=utf-8").status_code == 202


def test_a_form_of_our_own_page_needs_its_token() -> None:
    response = client().post("/login/", {"username": "u", "password": "p"})
    assert response.status_code == 403
    browser = client()
    browser.get("/login/")
    token = browser.cookies["barvault_csrf"].value
    response = browser.post("/login/", {"username": "u", "password": "p", "csrfmiddlewaretoken": token})
    assert response.status_code == 200


def test_a_script_with_a_token_may_come_from_anywhere_if_it_has_no_cookies(settings: Settings) -> None:
    settings.API_TOKENS = [TOKEN]
    foreign = {"Origin": "https://notebook.example", "Sec-Fetch-Site": "cross-site"}
    assert start(Authorization=f"Bearer {TOKEN}", **foreign).status_code == 202
    assert start(Authorization=f"Bearer {TOKEN}", Cookie="barvault_session=x", **foreign).status_code == 403
    assert start(Authorization="Bearer wrong", **foreign).status_code == 403


def test_a_token_is_no_way_around_json(settings: Settings) -> None:
    settings.API_TOKENS = [TOKEN]
    response = client(Authorization=f"Bearer {TOKEN}").post(START, "{}", content_type="text/plain")
    assert response.status_code == 415


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host"])
def test_a_proxy_that_nobody_told_us_of_lets_nobody_in(header: str) -> None:
    response = client(**{header: "192.0.2.1"}).get(STATUS)
    assert (response.status_code, code_of(response)) == (403, "behind_proxy")


def test_behind_a_proxy_that_was_named_its_pages_are_our_own(settings: Settings) -> None:
    settings.LOGIN_REQUIRED = True
    settings.API_TOKENS = [TOKEN]
    settings.ALLOWED_HOSTS = ["bars.example.com"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://bars.example.com", "https://*.other.example"]
    known = {"Host": "bars.example.com", "X-Forwarded-For": "192.0.2.1", "Authorization": f"Bearer {TOKEN}"}
    for origin in ("https://bars.example.com", "https://deep.other.example"):
        assert client(Origin=origin, Cookie="a=b", **known).get(STATUS).status_code == 200
    for origin in ("https://example.com", "http://deep.other.example", "https://other.example.evil"):
        assert client(Origin=origin, Cookie="a=b", **known).get(STATUS).status_code == 403


def test_every_answer_carries_the_policy() -> None:
    for address in (STATUS, "/api/nothing", "/admin/login/", "/nothing", "/healthz", "/api/docs"):
        response = client().get(address)
        assert response.headers["Content-Security-Policy"] == POLICY, address
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin", address
        assert response.headers["X-Content-Type-Options"] == "nosniff", address
        assert response.headers["Referrer-Policy"] == "same-origin", address
        assert response.headers["X-Frame-Options"] == "DENY", address
    refused = client(Host="evil.example").get(STATUS)
    assert refused.headers["Content-Security-Policy"] == POLICY


def test_the_policy_allows_no_script_made_from_text_and_no_other_host() -> None:
    assert "unsafe-eval" not in POLICY
    assert "script-src" not in POLICY
    assert "//" not in POLICY
    assert "frame-ancestors 'none'" in POLICY


def test_answers_of_the_api_are_not_kept() -> None:
    assert client().get(STATUS).headers["Cache-Control"] == "no-store"


def test_a_refusal_speaks_the_callers_language() -> None:
    english = client(Host="evil.example", **{"Accept-Language": "en"}).get(STATUS).json()
    chinese = client(Host="evil.example").get(STATUS).json()
    assert english["error"] == chinese["error"]
    assert english["message"].startswith("This server does not answer under that name.")


def test_nothing_foreign_that_changes_something_is_let_through() -> None:
    """Whatever a browser says of another site's request, in any combination, it is refused."""
    sites, modes = ("", "cross-site", "same-site"), ("", "navigate", "cors", "no-cors")
    destinations, methods = ("", "document", "empty", "iframe"), ("POST", "PUT", "PATCH", "DELETE")
    for site, mode, destination, method in product(sites, modes, destinations, methods):
        for origin in ("https://evil.example", "null"):
            for_api = Sent(method, True, site, mode, destination, origin, "application/json", True)
            assert judge(for_api, lambda origin: origin == "http://localhost:5000") is not None


def test_only_the_whole_token_counts() -> None:
    tokens = ["first", "second"]
    assert [token_number(sent, tokens) for sent in tokens] == [1, 2]
    for wrong in ("", "firs", "firstx", "first ", "第一", None):
        assert token_number(wrong, tokens) is None


def test_a_csrf_failure_below_the_api_has_the_apis_shape(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    response = client().post("/api/form", "{}", content_type="application/json")
    assert (response.status_code, code_of(response)) == (403, "csrf")


urlpatterns = [path("api/form", lambda request: HttpResponse("changed"))]
