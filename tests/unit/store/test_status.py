"""What MongoDB tells of itself, to who may ask."""

from types import SimpleNamespace
from typing import cast

import pytest
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from processor.errors import StoreUnavailable
from processor.store.connect import Database
from processor.store.status import seconds_writing


def a_database(answer: object) -> Database:
    """A database whose server gives this answer, or raises it."""

    async def command(_: str) -> object:
        if isinstance(answer, PyMongoError):
            raise answer
        return answer

    return cast("Database", SimpleNamespace(client=SimpleNamespace(admin=SimpleNamespace(command=command))))


async def test_it_is_told_in_seconds() -> None:
    assert await seconds_writing(a_database({"opLatencies": {"writes": {"latency": 1_500_000}}})) == 1.5


@pytest.mark.parametrize(
    "answer",
    [
        OperationFailure("not authorized on admin to execute command { serverStatus: 1 }", 13),
        OperationFailure("command serverStatus is not allowed", 8000),
        OperationFailure("no such command", 59),
        {},
    ],
    ids=["no right to ask", "Atlas", "unknown", "not in it"],
)
async def test_who_is_not_told_measures_without_it(answer: object) -> None:
    assert await seconds_writing(a_database(answer)) is None


async def test_a_server_that_is_away_is_not_taken_for_one_that_does_not_tell() -> None:
    with pytest.raises(StoreUnavailable):
        await seconds_writing(a_database(AutoReconnect("connection closed")))
