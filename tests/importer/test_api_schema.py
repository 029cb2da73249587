"""The server keeps what its OpenAPI document says, whatever is sent: no 5xx, no answer that is not in the document."""

from __future__ import annotations

from datetime import date

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.openapi import from_wsgi
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.wsgi import application
from importer.models import Failure, Status
from marketdata.models import Stock
from tests.importer.factories import make_schedule, make_task

TASK = "6ba97c19-778a-4b84-a6d2-9cf96debcf3f"
SCHEDULE = 41

# The real application closes connections: a transaction around the test would be lost.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


schema = from_wsgi("/api/openapi.json", application)


@pytest.fixture(autouse=True)
def something_stored() -> None:
    task = make_task(id=TASK, status=Status.COMPLETED)
    Failure.objects.create(task=task, symbol="600519.SH", code="bad_data")
    make_schedule(SCHEDULE, last_task=task)
    Stock.objects.create(
        symbol="600519.SH", code="600519", exchange="SH", name="贵州茅台", bar_count=1,
        first_bar=date(2024, 1, 2), last_bar=date(2024, 1, 2),
    )  # fmt: skip


@schema.parametrize()
@settings(
    max_examples=25, derandomize=True, deadline=None, database=None,
    # The database is made once for all examples of an operation: none relies on what another one left.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
def test_every_answer_is_in_the_document(case: schemathesis.Case) -> None:
    """What the document allows may still be refused: it cannot say that a date is in the future."""
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


KNOWN = {"task_id": TASK, "symbol": "600519", "day": "2024-01-02", "schedule_id": str(SCHEDULE)}
OPERATIONS = [(path, method) for path, methods in schema.raw_schema["paths"].items() for method in methods]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_answer_about_something_that_exists_is_in_the_document(path: str, method: str) -> None:
    """Random ids and symbols are never those of something."""
    names = {name: value for name, value in KNOWN.items() if f"{{{name}}}" in path}
    schema[path][method.upper()].Case(path_parameters=names).call_and_validate()
