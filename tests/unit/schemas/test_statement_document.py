"""Learning Locker's statement documents."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from pydantic import ValidationError

from schemas.dots import encode_dots
from schemas.statement_document import statement_document_from
from tests.golden import STATEMENT_DOCUMENTS

DOCUMENT = STATEMENT_DOCUMENTS[0]
EXTENSIONS = {"http://example.org/x.y": 1}


def test_a_document_with_all_that_learning_locker_adds() -> None:
    statement = encode_dots({**DOCUMENT["statement"], "result": {"extensions": EXTENSIONS}})
    person = {"_id": {"$oid": DOCUMENT["_id"]}, "display": "Dave"}
    read = statement_document_from({**DOCUMENT, "statement": statement, "person": person, "hash": "0f"})

    assert read.id == ObjectId(DOCUMENT["_id"])
    assert read.timestamp == datetime(2017, 9, 20, 9, 55, 50, 310_000, tzinfo=UTC)
    assert read.person is not None
    assert read.person.id == read.id
    assert read.statement.result is not None
    assert read.statement.result.extensions == EXTENSIONS
    assert read.model_extra == {"hash": "0f"}


@pytest.mark.parametrize(
    "changes", [{"organisation": None}, {"_id": "x"}, {"statement": {}}, {"timestamp": "20170920"}]
)
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        statement_document_from({**DOCUMENT, **changes})
