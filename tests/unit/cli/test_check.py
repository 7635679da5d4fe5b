"""`journeys check`: whether a journey compiles, what it is indexed by, and what can never match."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from processor.cli.main import app

PERSON = "59c23b28f6463f3569446bd1"


def checked(tmp_path: Path, *conditions: Any) -> dict[str, Any]:
    path = tmp_path / "journey.json"
    waypoints = [{"conditions": asked} for asked in conditions]
    document = {"description": "x", "organisation": PERSON, "isActive": True, "waypoints": waypoints}
    path.write_bytes(orjson.dumps(document))
    done = CliRunner().invoke(app, ["journeys", "check", "--json", str(path)])
    [verdict] = orjson.loads(done.stdout)
    assert done.exit_code == (65 if verdict["fault"] else 0)
    return dict(verdict)


@pytest.mark.parametrize(
    ("conditions", "paths"),
    [
        ({"statement.verb.id": "x"}, ["statement.verb.id"]),
        ({"$and": [{"a": 1, "b": {"$in": [1, 2]}}]}, ["a", "b"]),
        ({"$or": [{"a": 1, "b": 1}, {"$and": [{"b": 2}, {"c": 1}]}]}, ["b"]),
        ({"$or": [{"a": 1}, {"b": 2}]}, ["a", "b"]),
        ({"a": {"$elemMatch": {"b": 1}}}, ["a.b"]),
        ({"person._id": {"$oid": PERSON}}, ["person._id"]),
        ({"a": {"$gte": 1}}, []),
        ({"a": None}, []),
        ({"$or": [{"a": 1}, {"b": {"$gt": 1}}]}, []),
        ({"a": {"$not": {"$eq": 1}}}, []),
        ({"a": {"$in": [1, {"$regex": "x"}]}}, []),
    ],
)
def test_what_a_waypoint_is_indexed_by(tmp_path: Path, conditions: Any, paths: list[str]) -> None:
    [waypoint] = checked(tmp_path, conditions)["waypoints"]
    assert waypoint["indexedBy"] == paths


SCORE = "statement.result.score.scaled"


@pytest.mark.parametrize(
    ("conditions", "warning"),
    [
        ({"verb.id": "x"}, "a statement document has no `verb`; perhaps `statement.verb.id`"),
        ({"$or": [{"statement.verbs.id": "x"}]}, "a statement has no `verbs`"),
        ({"statement.verb.id": {"$in": []}}, "an empty $in matches nothing"),
        ({"statement.verb.id": {"$all": []}}, "an empty $all matches nothing"),
        ({"$and": [{"statement.verb.id": "x"}, {"statement.verb.id": "y"}]}, "no value is $eq 'x' and $eq 'y' at once"),
        ({SCORE: {"$gt": 0.8, "$lt": 0.6}}, "no value is $gt 0.8 and $lt 0.6 at once"),
        ({SCORE: {"$gt": 0.8, "$lte": 0.8}}, "at once"),
        ({SCORE: {"$gt": 1}, "$and": [{SCORE: {"$in": [0, 1]}}]}, "at once"),
        ({SCORE: {"$gt": 1, "$lt": "2"}}, "at once"),
        ({"statement.timestamp": {"$gte": "2026-02-01", "$lt": "2026-01-01"}}, "$gte 2026-02-01T00:00:00.000Z and $lt"),
        ({"statement.object.id": {"$gt": "b", "$lt": "a"}}, "at once"),
        ({"_id": {"$gt": {"$oid": f"{6:024x}"}, "$lt": {"$oid": f"{7:024x}"}}}, "at once"),
        ({"timestamp": {"$gt": {"$date": 5}, "$lt": {"$date": 6}}}, "at once"),
        ({"timestamp": {"$gt": "2026-01-01"}}, 'a date is never a string; write {"$dte": "…"}'),
        ({"statement.timestamp": {"$regex": "^2026"}}, "a date matches no regular expression"),
        ({"voided": True}, "a voided statement never counts"),
    ],
)
def test_what_can_never_match_is_warned_of(tmp_path: Path, conditions: Any, warning: str) -> None:
    [told] = checked(tmp_path, conditions)["warnings"]
    assert warning in told


@pytest.mark.parametrize(
    "conditions",
    [
        {"statement.verb.id": {"$in": ["x", "y"]}, "$and": [{"statement.verb.id": "y"}]},
        {SCORE: {"$gt": 0.6, "$lt": 0.8}},
        {SCORE: {"$gte": 0.6, "$lte": 0.6}},
        {SCORE: {"$gt": 0.6, "$lt": 0.6000001}},
        {SCORE: {"$gt": 0.6, "$lt": 1e301}},
        {SCORE: {"$gt": 1e301, "$lt": 1e302}},
        {SCORE: {"$gt": 2**53, "$lt": 2**53 + 2}},
        {"_id": {"$gt": {"$oid": "a" * 24}, "$lt": {"$oid": "c" * 24}}},
        {"$or": [{"statement.verb.id": "x"}, {"statement.verb.id": "y"}]},
        {"$and": [{"statement.context.contextActivities.parent.id": "x"}, {"tags": 1}][:1]},
        {"statement.context.contextActivities.parent.id": {"$all": ["x", "y"]}},
        {"statement.timestamp": {"$gt": "2026-01-01", "$lt": "2026-02-01"}},
        {"statement.object.id": {"$gte": "a", "$lt": "b"}},
        {"statement.object.id": {"$in": ["x", {"$regex": "^y"}], "$gt": "y"}},
        {"timestamp": {"$gt": {"$dte": "2026-01-01"}}},
    ],
)
def test_what_can_match_is_not(tmp_path: Path, conditions: Any) -> None:
    assert checked(tmp_path, conditions)["warnings"] == []


def test_a_refused_journey_tells_the_path(tmp_path: Path) -> None:
    verdict = checked(tmp_path, {"a": 1}, {"$and": [{"a": {"$near": 1}}]})
    assert verdict["fault"].startswith("waypoints[1].conditions.$and[0].a.$near: ")


def test_lines_for_people(tmp_path: Path) -> None:
    path = tmp_path / "journey.json"
    path.write_bytes(
        orjson.dumps({"description": "x", "organisation": PERSON, "waypoints": [{"conditions": {"verb": {"$ne": 1}}}]})
    )
    told = CliRunner().invoke(app, ["journeys", "check", str(path)]).stdout
    assert "fine" in told
    assert "nothing: it is evaluated for every statement" in told
    assert "perhaps `statement.verb`" in told
    assert "the journey is not active" in told
