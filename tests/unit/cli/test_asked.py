"""A command needs the settings of the servers that it asks, and no credentials of others (OPERATING.md, Rights)."""

import re
from pathlib import Path

import pytest

from tests.unit.cli.command import Command

KAFKA, MONGODB = "KAFKA_BOOTSTRAP_SERVERS", "MONGO_URL"
ID = "5" * 24


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["topics", "create"], [KAFKA]),
        (["statements", "publish", "lines.jsonl"], [KAFKA]),
        (["dead-letters", "list"], [KAFKA]),
        (["dead-letters", "show", "statements-0@1"], [KAFKA]),
        (["dead-letters", "replay", "--all"], [KAFKA]),
        (["journeys", "apply", "lines.jsonl"], [MONGODB]),
        (["journeys", "list"], [MONGODB]),
        (["clients", "create", "dashboard"], [MONGODB]),
        (["clients", "list"], [MONGODB]),
        (["clients", "revoke", "key"], [MONGODB]),
        (["locks", "list"], [MONGODB]),
        (["progress", "show"], [MONGODB]),
        (["explain", "--journey", ID, "--statement", "lines.jsonl"], [MONGODB]),
        (["recalculate", ID], [MONGODB]),
        (["recalculate", ID, "--dry-run"], [KAFKA, MONGODB]),
        (["serve"], [MONGODB]),
        (["status"], [KAFKA, MONGODB]),
        *(([part], [KAFKA, MONGODB]) for part in ("run", "ingest", "promote", "relay")),
    ],
    ids=" ".join,
)
def test_what_has_to_be_set(journey_progress: Command, arguments: list[str], names: list[str]) -> None:
    Path("lines.jsonl").write_text("{}", encoding="utf-8")
    done = journey_progress(*arguments)
    assert done.status == 78
    assert sorted(re.findall(r"JOURNEY_PROGRESS_(\w+) is not set", done.err)) == names
    assert len(done.err.splitlines()) == 1
