"""`explain` for a journey in a file: no server is asked."""

import re
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from processor.cli.main import app
from processor.errors import InvalidInput
from tests.builders import a_statement
from tests.unit.cli.command import Command

JOURNEY = """
description: Two steps
organisation: 59198183d8ea540933227033
isActive: true
isSequential: true
waypoints:
  - conditions: { statement.verb.id: "http://example.org/did" }
  - conditions:
      $or:
        - statement.object.id: "http://example.org/other"
        - statement.result.score.scaled: { $gte: 0.6 }
"""


@pytest.fixture
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "journey.yaml"
    path.write_text(JOURNEY)
    return str(path)


def explained(journey: str, statement: bytes, *options: str) -> str:
    arguments = ["explain", "--journey", journey, "--statement", "-", *options]
    return CliRunner().invoke(app, arguments, input=statement, catch_exceptions=False).stdout


def test_piped_it_is_plain_lines(journey: str) -> None:
    lines = explained(journey, orjson.dumps(a_statement())).splitlines()
    assert re.fullmatch(r"journey [0-9a-f]{24} 'Two steps' \(version 1\), statement [0-9a-f]{24} of 2026-.*Z", lines[0])
    assert re.sub("[0-9a-f]{24}", "<id>", "\n".join(lines[1:])) == (
        "  waypoint <id> (order 0, count 1): evidence\n"
        '    ✓ statement.verb.id $eq "http://example.org/did": found "http://example.org/did"\n'
        "    as this owner's first evidence it counts in attempt 1\n"
        "  waypoint <id> (order 1, count 1): no evidence: conditions-not-met\n"
        "    ✗ $or\n"
        '      ✗ statement.object.id $eq "http://example.org/other": found "http://example.org/it"\n'
        "      ✗ statement.result.score.scaled $gte 0.6: found nothing"
    )


def test_a_journey_that_is_nowhere_is_told_before_any_setting_is_asked_for(
    journey_progress: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOURNEY_PROGRESS_MONGO_URL", raising=False)
    Path("statement.json").write_bytes(orjson.dumps(a_statement()))
    done = journey_progress("explain", "--journey", "misspelt.yaml", "--statement", "statement.json")
    assert (done.status, done.err.count("misspelt.yaml")) == (65, 1)
    assert "is neither a file nor an id" in done.err


def test_out_of_sequence_is_told(journey: str) -> None:
    statement = a_statement(object={"id": "http://example.org/other"}, verb={"id": "http://example.org/saw"})
    assert "does not count: out-of-sequence" in explained(journey, orjson.dumps(statement))


def test_json_for_scripts(journey: str) -> None:
    told = orjson.loads(explained(journey, orjson.dumps(a_statement()), "--json"))
    assert [it["isEvidence"] for it in told["waypoints"]] == [True, False]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (b"not json", "would be parked as not-json"),
        (b"[]", "holds 0 statements"),
        (orjson.dumps([a_statement(1), a_statement(2)]), "holds 2 statements"),
        (orjson.dumps({"verb": {}}), "wrong-shape"),
    ],
)
def test_what_is_no_statement(journey: str, statement: bytes, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        explained(journey, statement)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (JOURNEY.replace("$gte", "$like"), r"cannot run: waypoints\[1\].conditions.*unknown operator \$like"),
        ("[]", "holds 0 journeys"),
        ("- 1", "a journey is an object"),
    ],
)
def test_what_is_no_journey(journey: str, content: str, fault: str) -> None:
    Path(journey).write_text(content)
    with pytest.raises(InvalidInput, match=fault):
        explained(journey, orjson.dumps(a_statement()))


def test_neither_a_file_nor_an_id(journey: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("JOURNEY_PROGRESS_MONGO_URL", "mongodb://localhost")
    with pytest.raises(InvalidInput, match="neither a file nor an id"):
        explained("absent.yaml", orjson.dumps(a_statement()))
