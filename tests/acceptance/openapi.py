"""Drives an OpenAPI document against the running process that it describes."""

from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

OPERATIONS = 19
EXAMPLES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 8}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
]
ASKING = [ignored_auth, unsupported_method]
"""Checks that send requests of their own; they go with data that the document allows."""


def drive(url: str, auth: httpx.BasicAuth) -> None:
    """Call every operation, with data that the document allows and with data that it does not."""
    authorization = {"Authorization": auth._auth_header}
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == OPERATIONS
    for operation in operations:
        for mode in GenerationMode:
            checks = CHECKS + ASKING if mode is GenerationMode.POSITIVE else CHECKS
            try:
                hold(operation.as_strategy(generation_mode=mode), EXAMPLES[mode], checks, authorization)
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "there is nothing to get wrong"


def hold(strategy: Any, examples: int, checks: list[Any], headers: dict[str, str]) -> None:
    """Call an operation with so many cases, and hold each answer against the checks."""

    @hypothesis_settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def answers(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    answers()
