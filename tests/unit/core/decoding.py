"""What the tests of decoding are asked through: JSON in, what became of it out."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from processor.core.decode import Tenancy, decode
from processor.core.records import Reason, Rejected, StatementRecord
from tests.builders import ORGANISATION, a_record

NOBODY = Tenancy()
OURS = Tenancy(organisation=ORGANISATION)


def decoded(
    value: Any, tenancy: Tenancy = OURS, headers: Sequence[tuple[str, bytes]] = (), **record: Any
) -> list[StatementRecord | Rejected]:
    """What a record holds; a value that is not bytes is written as JSON."""
    content = value if isinstance(value, bytes | None) else orjson.dumps(value)
    return decode(a_record(content, headers=headers, **record), tenancy)


def statement_in(value: Any, tenancy: Tenancy = OURS, **rest: Any) -> StatementRecord:
    """The one statement of a record."""
    [found] = decoded(value, tenancy, **rest)
    assert isinstance(found, StatementRecord), found
    return found


def refused(value: Any, tenancy: Tenancy = OURS, **rest: Any) -> Rejected:
    """Why the one statement of a record was refused."""
    [found] = decoded(value, tenancy, **rest)
    assert isinstance(found, Rejected), found
    return found


def outcomes(found: Sequence[StatementRecord | Rejected]) -> list[tuple[int | None, Reason | None]]:
    """For each item its position, and its reason when it was refused."""
    return [(entry.item, entry.reason if isinstance(entry, Rejected) else None) for entry in found]


def without(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: child for name, child in value.items() if name not in names}
