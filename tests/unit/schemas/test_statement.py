"""What the statement model takes and refuses beyond the conformance suite."""

import copy
import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.statement import first_fault, validate_statement

AGENT = {"mbox": "mailto:ana@example.org"}
VOIDED = {"id": "http://adlnet.gov/expapi/verbs/voided"}
STATEMENT_REF = {"objectType": "StatementRef", "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"}
SUB_STATEMENT = {
    "objectType": "SubStatement",
    "actor": AGENT,
    "verb": {"id": "http://e.org/v"},
    "object": STATEMENT_REF,
}
ATTACHMENT = {
    "usageType": "http://example.org/essay",
    "display": {"en": "Essay"},
    "contentType": "text/plain; charset=utf-8",
    "length": 0,
    "sha2": "0" * 64,
}
CONTEXT_AGENT = {"objectType": "contextAgent", "agent": AGENT, "relevantTypes": ["http://example.org/proctor"]}
CONTEXT_GROUP = {"objectType": "contextGroup", "group": {"objectType": "Group", "member": [AGENT]}}


def a_statement(**changes: Any) -> dict[str, Any]:
    return {
        "actor": AGENT,
        "verb": {"id": "http://example.org/did"},
        "object": {"id": "http://example.org/it"},
        **changes,
    }


def fault_of(statement: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        validate_statement(statement)
    return first_fault(caught.value)


def interaction(**definition: Any) -> dict[str, Any]:
    return {"object": {"id": "http://example.org/it", "definition": definition}}


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": {"mbox": "mailto:root@localhost"}},
        {"actor": {"objectType": "Group", "member": [AGENT]}},
        {"actor": {"objectType": "Group", "mbox": "mailto:team@example.org", "name": "Team"}},
        {"verb": VOIDED, "object": STATEMENT_REF},
        {"object": SUB_STATEMENT},
        {"object": {"objectType": "Agent", **AGENT}},
        {"result": {"score": {"scaled": -1, "raw": 0, "min": 0, "max": 1.5}}},
        {"result": {"extensions": {"http://example.org/x": None, "http://example.org/y": {"deep": [None]}}}},
        {"result": {"duration": "P1Y2M3DT4H5M6.5S"}},
        {"result": {"duration": "PT0,5H"}},
        {"context": {"language": "zh-cmn-Hans-CN"}},
        {"context": {"language": "de-CH-1996"}},
        {"context": {"language": "en-GB-oed"}},
        {"context": {"language": "sl-rozaj-biske"}},
        {"context": {"contextActivities": {"parent": {"id": "http://example.org/course"}}}},
        {"context": {"contextAgents": [CONTEXT_AGENT], "contextGroups": [CONTEXT_GROUP]}},
        {"context": {"contextAgents": [CONTEXT_AGENT]}, "version": "2.0.0"},
        {"context": {"platform": "web", "revision": "1"}},
        {"attachments": [ATTACHMENT]},
        {"timestamp": "2021-11-04T00:05:23.283475+01:00"},
        {"timestamp": "2021-11-04t00:05:23z"},
        {"timestamp": "2021-11-04"},
        interaction(interactionType="likert", scale=[{"id": "1", "description": {"en": "one"}}]),
        interaction(interactionType="other", correctResponsesPattern=["(35.93,-86.46)"]),
        *({"version": version} for version in ("1.0", "1.0.0", "1.0.3", "1.0.32", "2.0", "2.0.0")),
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)
def test_accepts(changes: dict[str, Any]) -> None:
    validate_statement(a_statement(**changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"actor": {"name": "Ana"}}, "actor: an Agent needs exactly one of"),
        ({"actor": {**AGENT, "openid": "http://ana.example.org"}}, "actor: an Agent needs exactly one of"),
        ({"actor": {"objectType": "Group"}}, "actor: a Group without an identifier needs members"),
        ({"actor": {"objectType": "Group", "member": []}}, "actor: a Group without an identifier needs members"),
        ({"actor": {"objectType": "Group", "member": [{"name": "x"}]}}, "actor.member[0]: an Agent needs exactly"),
        ({"actor": {"objectType": "Group", "member": [CONTEXT_GROUP["group"]]}}, "actor.member[0].objectType: "),
        ({"actor": {"objectType": "Person", **AGENT}}, "actor.objectType: Input should be 'Agent'"),
        ({"actor": {"mbox": "ana@example.org"}}, "actor.mbox: 'ana@example.org' is not a mailto IRI"),
        ({"actor": {**AGENT, "name": 5}}, "actor.name: Input should be a valid string"),
        ({"actor": {**AGENT, "name": None}}, "actor.name: null is not allowed, leave the key out"),
        ({"actor": None}, "actor: null is not allowed, leave the key out"),
        ({"verb": {"ID": "http://example.org/did"}}, "verb.id: Field required"),
        ({"verb": {"id": "did"}}, "verb.id: 'did' is not an absolute IRI"),
        ({"verb": {"id": "http://example.org/a b"}}, "verb.id: "),
        ({"verb": {"id": "http://example.org/did", "display": {"something": "x"}}}, "verb.display.something.[key]: "),
        ({"verb": VOIDED}, "object of a voiding statement is a StatementRef"),
        ({"object": {"objectType": "Thing", "id": "http://e.org"}}, "object.objectType: Input should be 'Activity'"),
        ({"object": {**SUB_STATEMENT, "object": SUB_STATEMENT}}, "object.object: a SubStatement holds no further one"),
        *(
            ({"object": {**SUB_STATEMENT, name: value}}, f"object.{name}: Extra inputs are not permitted")
            for name, value in {
                "id": STATEMENT_REF["id"],
                "stored": "2021-11-04T00:00:00Z",
                "version": "1.0.0",
                "authority": AGENT,
            }.items()
        ),
        ({"object": {**STATEMENT_REF, "id": "{6690e6c9-3ef0-4ed3-8b37-7f3964730bee}"}}, "object.id: "),
        (interaction(correctResponsesPattern=["true"]), "object.definition: correctResponsesPattern needs an"),
        (interaction(interactionType="choice", scale=[]), "object.definition: scale does not belong to"),
        (
            interaction(interactionType="choice", choices=[{"id": "a"}, {"id": "a"}]),
            "object.definition: choices: two components have the same id",
        ),
        ({"result": {"success": "true"}}, "result.success: Input should be a valid boolean"),
        ({"result": {"score": {"raw": "5"}}}, "result.score.raw: Input should be a valid number"),
        ({"result": {"score": {"raw": True}}}, "result.score.raw: Input should be a valid number"),
        ({"result": {"score": {"scaled": 1.01}}}, "result.score.scaled: "),
        ({"result": {"score": {"raw": 5, "max": 4}}}, "result.score: raw is above max"),
        ({"result": {"score": {"raw": float("inf")}}}, "result.score.raw: Input should be a finite number"),
        *(
            ({"result": {"duration": duration}}, "result.duration: ")
            for duration in ("P", "PT", "P1Y2W", "P1.5Y2M", "1H", "PT1H2H", "pt1h", "PT1.S", "P1DT", "PT\uff11H")
        ),
        ({"result": {"extensions": {"colour": 1}}}, "result.extensions.colour.[key]: 'colour' is not an absolute IRI"),
        ({"context": {"platform": "web"}, "object": STATEMENT_REF}, "context: revision and platform belong to"),
        ({"context": {"team": AGENT}}, "context.team.objectType: Field required"),
        ({"context": {"language": "en_GB"}}, "context.language: "),
        ({"context": {"registration": "1234"}}, "context.registration: '1234' is not a UUID"),
        ({"context": {"statement": SUB_STATEMENT}}, "context.statement.objectType: "),
        ({"context": {"contextActivities": {"parents": []}}}, "context.contextActivities.parents: Extra inputs"),
        (
            {"context": {"contextAgents": [CONTEXT_AGENT]}, "version": "1.0.3"},
            "context: contextAgents and contextGroups",
        ),
        ({"context": {"contextAgents": [{"agent": AGENT}]}}, "context.contextAgents[0].objectType: Field required"),
        ({"context": {"contextAgents": [{**CONTEXT_AGENT, "relevantTypes": []}]}}, "context.contextAgents[0].relevant"),
        ({"attachments": [{**ATTACHMENT, "sha2": "0" * 60}]}, "attachments[0].sha2: "),
        ({"attachments": [{**ATTACHMENT, "length": -1}]}, "attachments[0].length: "),
        ({"attachments": [{**ATTACHMENT, "length": 1.0}]}, "attachments[0].length: "),
        ({"attachments": [{**ATTACHMENT, "contentType": "text"}]}, "attachments[0].contentType: "),
        (
            {"attachments": [{**ATTACHMENT, "usageType": "http://adlnet.gov/expapi/attachments/signature"}]},
            "attachments[0]: contentType of a signature",
        ),
        *(
            ({"timestamp": timestamp}, "timestamp: ")
            for timestamp in (
                "2021-11-04T00:05:23",
                "2021-11-04 00:05:23Z",
                "2021-11-04T00:05:23-00:00",
                "2021-02-29T00:00:00Z",
                "20211104T000523Z",
                "0000-01-01T00:00:00Z",
            )
        ),
        ({"timestamp": 1_635_984_323}, "timestamp: Input should be a valid string"),
        *(({"version": version}, "version: ") for version in ("1", "1.1.0", "2", "3.0.0", "v1.0.0", "1.0.3\n")),
        ({"authority": CONTEXT_GROUP["group"]}, "authority: an authority Group is anonymous and has two members"),
        ({"id": STATEMENT_REF["id"][:-1]}, "id: "),
        ({"Actor": AGENT}, "Actor: Extra inputs are not permitted"),
        ({"extensions": {}}, "extensions: Extra inputs are not permitted"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_refuses(changes: dict[str, Any], fault: str) -> None:
    assert fault_of(a_statement(**changes)).startswith(fault)


@pytest.mark.parametrize("name", ["actor", "verb", "object"])
def test_refuses_a_statement_without(name: str) -> None:
    statement = a_statement()
    del statement[name]

    assert fault_of(statement) == f"{name}: Field required"


def test_a_fault_is_one_line_and_short() -> None:
    fault = fault_of(a_statement(verb={"id": "no iri\n" * 1_000}))

    assert "\n" not in fault
    assert len(fault) < 150


def test_leaves_the_statement_alone() -> None:
    statement = a_statement(context={"contextActivities": {"parent": {"id": "http://example.org/course"}}})
    before = copy.deepcopy(statement)

    assert len(validate_statement(statement).context.contextActivities.parent) == 1  # type: ignore[union-attr, arg-type]
    assert statement == before
