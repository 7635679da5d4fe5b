"""The usual questions are answered from indexes: what MongoDB's profiler says of them."""

from typing import Any

import pytest

from processor.store.connect import PROGRESSES, Database
from tests.builders import JOURNEY, ORGANISATION
from tests.integration.api.world import OTHER, Api, a_progress

PATH = "/api/connection/journeyProgress"
DOCUMENTS = 600
WANTED = 20


async def profiled(api: Api, **asked: Any) -> dict[str, Any]:
    """The plan and the costs of one page."""
    database: Database = api.database
    await database.command("profile", 2)
    answer = await api.get(PATH, first=5, **asked)
    await database.command("profile", 0)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["edges"]) == 5
    [operation] = await (
        database["system.profile"]
        .find({"ns": f"{database.name}.{PROGRESSES}", "command.aggregate": PROGRESSES})
        .sort("ts", -1)
        .limit(1)
        .to_list()
    )
    return operation


def a_document(number: int) -> dict[str, Any]:
    """The wanted ones come last by id, so that no scan meets them early; half of the others are another tenant's."""
    often: list[Any] = [
        {"mbox": "mailto:often@example.org"},
        {"account": {"homePage": "http://example.org", "name": "often"}},
        JOURNEY,
    ]
    nobody = {"account": {"homePage": "http://example.org", "name": f"o{number}"}}
    is_wanted = number >= DOCUMENTS - WANTED * 3
    return a_progress(
        number,
        owner={"trackBy": "actor", "ident": often[number % 3] if is_wanted else nobody},
        journey=OTHER if number > DOCUMENTS - WANTED else JOURNEY,
        organisation=OTHER if number % 2 and not is_wanted else ORGANISATION,
    )


@pytest.mark.parametrize(
    ("asked", "plan", "sorts"),
    [
        ({}, "IXSCAN { organisation: 1, _id: 1 }", False),
        ({"sort": {"_id": -1}}, "IXSCAN { organisation: 1, _id: 1 }", False),
        ({"sort": {"updatedAt": -1}}, "IXSCAN { organisation: 1, updatedAt: 1, _id: 1 }", False),
        ({"filter": {"journey": str(OTHER)}}, "IXSCAN { organisation: 1, journey: 1, _id: 1 }", False),
        (
            {"filter": {"owner.ident.mbox": "mailto:often@example.org"}},
            "IXSCAN { $_path: 1, owner.ident.mbox: 1 }",
            True,
        ),
        ({"filter": {"owner.ident": {"$oid": str(JOURNEY)}}}, "IXSCAN { $_path: 1, owner.ident: 1 }", True),
        (
            {"filter": {"owner.ident.account.name": "often", "owner.ident.account.homePage": "http://example.org"}},
            "IXSCAN { $_path: 1, owner.ident.account.name: 1 }",
            True,
        ),
    ],
    ids=str,
)
async def test_the_indexes_are_used(api: Api, asked: dict[str, Any], plan: str, sorts: bool) -> None:
    await api.has_progress(*map(a_document, range(1, DOCUMENTS)))
    operation = await profiled(api, **asked)
    assert operation["planSummary"] == plan
    assert operation.get("hasSortStage", False) is sorts
    assert operation["docsExamined"] <= WANTED


async def test_a_later_page_by_updatedat_reads_no_more_than_the_first(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, DOCUMENTS)))
    page = (await api.get(PATH, first=DOCUMENTS - 50, sort={"updatedAt": -1})).json()
    operation = await profiled(api, sort={"updatedAt": -1}, after=page["pageInfo"]["endCursor"])
    assert operation["planSummary"] == "IXSCAN { organisation: 1, updatedAt: 1, _id: 1 }"
    assert operation["docsExamined"] <= WANTED
    assert operation["keysExamined"] <= WANTED
