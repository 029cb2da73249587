"""One shape for everything that goes wrong below /api, whoever notices it."""

from __future__ import annotations

from typing import get_args

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from importer import api_requests
from importer.api import api as the_api
from importer.api_errors import status_of
from importer.models import Kind, Status
from marketdata.adjustment import Adjust
from marketdata.models import Exchange
from marketdata.texts import ExplainedError
from tests.importer.api_caller import Caller, error_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Caller:
    return Caller()


@pytest.mark.parametrize(
    "address",
    ["/api", "/api/", "/api/data", "/api/data/", "/api/nothing", "/api/data/tasks/", "/api/data/import/",
     "/api/data/status.json", "/api/data/bars/", "/api/data/bars/a/b", "/api/docs/", "/api//data/status",
     "/api/data/tasks/1/2/3", "/api/%E4%B8%AD", "/api/data/../../admin"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_an_address_that_is_none_is_a_404_and_is_not_tried_with_a_slash(api: Caller, address: str, method: str) -> None:
    assert error_of(api.call(method, address)) == (404, "not_found", None)


@pytest.mark.parametrize("debug", [True, False])
def test_a_404_has_the_shape_also_while_debugging(api: Caller, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    assert error_of(api.call("GET", "/api/nothing")) == (404, "not_found", None)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("/api/data/import", "POST"), ("/api/data/status", "GET"), ("/api/data/tasks", "GET"),
     ("/api/data/tasks/1/cancel", "POST"), ("/api/data/bars/600519", "GET"), ("/api/data/bars/600519.csv", "GET")],
)  # fmt: skip
def test_a_method_that_is_not_taken_is_a_405_that_names_the_one_that_is(
    api: Caller, address: str, allowed: str
) -> None:
    other = "GET" if allowed == "POST" else "POST"
    for method in (other, "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = api.call(method, address)
        assert error_of(response) == (405, "method_not_allowed", None)
        assert response.headers["Allow"] == allowed
        assert allowed in response.json()["message"]


def test_what_djangos_own_machinery_refuses_has_the_shape_too(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    client = Client(headers={"Accept-Language": "en"}, raise_request_exception=False)
    assert error_of(client.get("/api/broken"))[:2] == (500, "server_error")
    assert error_of(client.get("/api/forbidden"))[:2] == (403, "forbidden")
    assert error_of(client.get("/api/bad"))[:2] == (400, "bad_request")
    page = client.get("/broken")
    assert page.status_code == 500
    assert "The server failed." in page.content.decode()
    assert "secret" not in page.content.decode()


def test_a_page_says_that_the_database_is_away(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    client = Client(headers={"Accept-Language": "en"}, raise_request_exception=False)
    page = client.get("/away")
    assert page.status_code == 503
    assert "The database does not answer now." in page.content.decode()


def test_a_page_that_is_none_is_a_page() -> None:
    response = Client(headers={"Accept-Language": "en"}).get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("language", "written"), [("en", "one of import, update, repair."), ("zh-CN", "import、update、repair")]
)
def test_what_may_be_chosen_is_listed_as_the_reader_s_language_does(language: str, written: str) -> None:
    answer = Client(headers={"Accept-Language": language}).get("/api/data/tasks?kind=other")
    assert written in answer.json()["message"]


def test_an_error_of_ours_without_a_status_of_its_own_is_a_conflict() -> None:
    assert status_of(ExplainedError("Something new.")) == 409


def test_the_names_in_the_schema_are_those_of_the_code() -> None:
    assert list(get_args(api_requests.StatusName)) == Status.values
    assert list(get_args(api_requests.KindName)) == Kind.values
    assert list(get_args(api_requests.ExchangeName)) == Exchange.values
    assert list(get_args(api_requests.AdjustName)) == list(Adjust)


NEED_A_BODY = {"make_schedule", "change_schedule"}


def test_the_document_names_each_operation_once_and_describes_its_errors() -> None:
    document = the_api.get_openapi_schema()
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        assert {422, 503} <= set(operation["responses"])
        if "requestBody" in operation:
            # A schedule has to say what and when; an import, update or repair may be asked for by an empty body.
            assert operation["requestBody"]["required"] is (operation["operationId"] in NEED_A_BODY)
            assert "default" not in str(operation["requestBody"])


def broken(request: object) -> HttpResponse:
    raise RuntimeError("a secret")


def away(request: object) -> HttpResponse:
    raise OperationalError("no connection to a secret host")


def forbidden(request: object) -> HttpResponse:
    from django.core.exceptions import PermissionDenied

    raise PermissionDenied("a secret")


def bad(request: object) -> HttpResponse:
    from django.core.exceptions import SuspiciousOperation

    raise SuspiciousOperation("a secret")


urlpatterns = [
    path("api/broken", broken),
    path("api/forbidden", forbidden),
    path("api/bad", bad),
    path("broken", broken),
    path("away", away),
]
handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.permission_denied"
handler404 = "config.error_pages.not_found"
handler500 = "config.error_pages.server_error"
