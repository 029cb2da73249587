"""The HTTP API: ``/api/data/...``, described by OpenAPI at ``/api/docs``. docs/API.md is its manual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext_noop
from ninja import NinjaAPI, Swagger
from ninja.errors import HttpError, ValidationErrorContext
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from importer import api_errors
from importer.api_data import router as data_router
from importer.api_errors import InvalidInput
from importer.api_requests import StrictParser
from importer.api_schedules import router as schedule_router
from importer.api_tasks import router as task_router
from importer.hosts import code_version
from marketdata.texts import ExplainedError


class BarvaultAPI(NinjaAPI):
    """Django Ninja with our words for what a schema refuses, and short names in the document."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in document["paths"].values():
            for operation in path.values():
                _simplify_body(operation.get("requestBody"))
        return document

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return str(operation.view_func.__name__)

    def validation_error_from_error_contexts(self, error_contexts: list[ValidationErrorContext[Any]]) -> InvalidInput:
        context = error_contexts[0]
        details = context.pydantic_validation_error.errors(include_url=False)[0]
        return api_errors.input_error(details, _fields_of(context.model, details["loc"]))


def _simplify_body(body: dict[str, Any] | None) -> None:
    """A body that may be left out carries a default that only repeats the defaults of its fields: drop it."""
    for content in body["content"].values() if body else ():
        content["schema"] = content["schema"].get("allOf", [content["schema"]])[0]


def _fields_of(model: Any, place: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of the schema that the parameter at ``place`` has."""
    schema = model.model_fields[place[0]].annotation
    return dict(getattr(schema, "model_fields", {}))


api = BarvaultAPI(
    title="Barvault",
    version=code_version(),
    description=str(
        gettext_noop(
            "Import Chinese A-share daily bars, watch the imports, and read what is stored. Errors have one shape: "
            "a code that never changes, and a sentence in the language of Accept-Language."
        )
    ),
    urls_namespace="api",
    parser=StrictParser(),
    # Without the last one the page would ask another host whether the document is valid.
    docs=Swagger(settings={"deepLinking": True, "persistAuthorization": True, "validatorUrl": None}),
    openapi_extra={"security": [{}, {"token": []}]},
)
api.add_router("/data", task_router)
api.add_router("/data", data_router)
api.add_router("/data", schedule_router)

_HANDLERS: tuple[tuple[type[Exception], Any], ...] = (
    (ExplainedError, api_errors.on_explained_error),
    (InvalidInput, api_errors.on_invalid_input),
    (HttpError, api_errors.on_bad_json),
    (RequestDataTooBig, api_errors.on_large_body),
    (OperationalError, api_errors.on_database_trouble),
    (InterfaceError, api_errors.on_database_trouble),
    (Exception, api_errors.on_unexpected_error),
)
for _errors, _handler in _HANDLERS:
    api.add_exception_handler(_errors, _handler)
