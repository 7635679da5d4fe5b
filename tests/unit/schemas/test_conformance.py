"""The statement model against ADL's conformance suite for xAPI 1.0.3, and against a real course."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from schemas.statement import validate_statement
from tests.unit.schemas.samples import CONFORMANCE, COURSE, lines, needs

CASING = (
    "An LRS rejects with error code 400 Bad Request a Statement where the case of a key does not match the case "
    "specified in this specification. (Data 2.2.s4.b1.b5, XAPI-00008, XAPI-00010)"
)

EXCEPTIONS: dict[tuple[str, str, str], str] = {
    ("formatting.js", CASING, 'should fail when not using "id"'): (
        "the sample is a correct statement: it has no id, which is optional; the suite spells the key when it sends it"
    ),
}
"""The cases that do not concern the statement itself, each with its reason: a closed list."""


def accepts(statement: Mapping[str, Any]) -> bool:
    try:
        validate_statement(statement)
    except ValidationError:
        return False
    return True


def key(case: Mapping[str, Any]) -> tuple[str, str, str]:
    return case["file"], case["group"], case["name"]


@needs(CONFORMANCE)
def test_every_valid_case_is_accepted() -> None:
    valid = [case for case in lines(CONFORMANCE) if case["valid"]]

    assert len(valid) == 343
    assert [key(case) for case in valid if not accepts(case["statement"])] == []


@needs(CONFORMANCE)
def test_every_other_case_is_refused_but_the_listed_ones() -> None:
    """Equality, so that an exception which is no longer needed fails as well."""
    invalid = [case for case in lines(CONFORMANCE) if not case["valid"]]

    assert len(invalid) == 607
    assert [key(case) for case in invalid if accepts(case["statement"])] == list(EXCEPTIONS)


@needs(COURSE)
def test_every_statement_of_the_course_is_accepted() -> None:
    statements = lines(COURSE)

    assert len(statements) == 4_000
    assert all(map(accepts, statements))
