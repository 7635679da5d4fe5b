"""The commands from outside: what they print, and what their exit codes mean."""

import gzip
from pathlib import Path

import orjson
import pytest
from pydantic import SecretStr

from processor.settings import Settings
from processor.store.connect import Database
from tests.acceptance.commands import journey_progress, ran, running
from tests.acceptance.serving import until
from tests.acceptance.world import until_quiet

JOURNEY = """
description: Two talks
isActive: true
waypoints:
  - description: a talk
    count: 2
    conditions: { "statement.verb.id": "http://adlnet.gov/expapi/verbs/attended" }
"""

STATEMENTS = [
    {
        "id": f"6690e6c9-3ef0-4ed3-8b37-7f3964730be{number}",
        "actor": {"mbox": "mailto:ana@example.org"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/attended"},
        "object": {"id": "http://example.org/talks/1"},
        "timestamp": f"2026-01-01T10:00:0{number}Z",
    }
    for number in range(3)
]


@pytest.fixture
def journey_file(tmp_path: Path) -> Path:
    path = tmp_path / "journey.yaml"
    path.write_text(JOURNEY)
    return path


async def test_a_first_session(
    settings: Settings, mongo_database: Database, tmp_path: Path, journey_file: Path
) -> None:
    missing = await ran(settings, "run")
    assert missing.returncode == 78
    assert "topics create" in missing.stderr

    created = await ran(settings, "topics", "create", "--json")
    assert [topic["created"] for topic in orjson.loads(created.stdout)] == [True, True, True]
    assert "was there" in (await ran(settings, "topics", "create")).stdout

    assert "created" in (await ran(settings, "journeys", "apply", str(journey_file))).stdout
    assert "unchanged" in (await ran(settings, "journeys", "apply", str(journey_file))).stdout
    assert "running" in (await ran(settings, "journeys", "list")).stdout

    lines = tmp_path / "statements.jsonl.gz"
    with gzip.open(lines, "wb") as file:
        file.write(b"\n".join([*map(orjson.dumps, STATEMENTS), b"not json", b""]))
    published = await ran(settings, "statements", "publish", str(lines))
    assert published.stdout == "4 statements published\n"
    assert orjson.loads((await ran(settings, "locks", "list", "--json")).stdout) == []
    waiting = orjson.loads((await ran(settings, "status", "--json")).stdout)
    assert sum(waiting["lag"].values()) == 4

    with running(settings, tmp_path / "run.log") as process:
        await until_quiet(settings)
        [entry] = orjson.loads((await ran(settings, "progress", "show", "--json")).stdout)
        assert process.stop() == 0
    assert entry["isCompleted"] is True
    assert entry["duration"] == 1000
    assert [len(attempt["waypoints"]) for attempt in entry["completions"]] == [1]
    assert orjson.loads((await ran(settings, "progress", "show", entry["_id"])).stdout) == entry

    [letter] = orjson.loads((await ran(settings, "dead-letters", "list", "--json")).stdout)
    assert letter["reason"] == "not-json"
    done = orjson.loads((await ran(settings, "status", "--json")).stdout)
    assert done["dead_letters"] == 1
    assert not sum(done["lag"].values())


@pytest.mark.parametrize("part", ["ingest", "promote", "relay", "recalculation"])
async def test_each_part_starts_and_drains_on_its_own(
    settings: Settings, mongo_database: Database, tmp_path: Path, part: str
) -> None:
    await ran(settings, "topics", "create")
    with running(settings, tmp_path / "part.log", part) as process:

        async def says_what_it_runs() -> bool:
            assert process.process.poll() is None, process.log.read_text()
            return any(part in entry["loops"] for entry in process.logged("running"))

        await until(says_what_it_runs, "it runs")
        assert process.stop() == 0


def test_a_refused_journey_names_its_fault_and_nothing_is_saved(settings: Settings, journey_file: Path) -> None:
    broken = journey_file.with_name("broken.json")
    broken.write_text('{"description": "x", "waypoints": [{"conditions": {"a": {"$where": "1"}}}]}')
    checked = journey_progress(settings, "journeys", "check", str(broken))
    assert checked.returncode == 65
    assert "waypoints[0].conditions.a.$where" in checked.stdout
    applied = journey_progress(settings, "journeys", "apply", str(journey_file), str(broken))
    assert applied.returncode == 65
    assert "nothing was saved" in applied.stderr
    assert orjson.loads(journey_progress(settings, "journeys", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("change", "status", "names"),
    [
        ({"http_port": 9, "http_host": "192.0.2.1"}, 78, "JOURNEY_PROGRESS_HTTP_HOST"),  # never our address
        ({"lease": 2.0}, 78, "JOURNEY_PROGRESS_LEASE"),
        ({"duration_unit": "hours"}, 78, "JOURNEY_PROGRESS_DURATION_UNIT"),
        ({"mongo_url": SecretStr("localhost:27017")}, 78, "JOURNEY_PROGRESS_MONGO_URL"),
        ({"kafka_bootstrap_servers": "kafka"}, 78, "JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS"),
        ({"kafka_security_protocol": "SASL_SSL"}, 78, "JOURNEY_PROGRESS_KAFKA_SASL_USERNAME"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    settings: Settings, change: dict[str, object], status: int, names: str
) -> None:
    if change.get("http_port") == 1:
        change = {"http_port": 9, "http_host": "192.0.2.1"}  # an address that is never ours
    done = journey_progress(settings.model_copy(update=change), "run")
    assert done.returncode == status
    assert names in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_setting_is_named_with_an_example(settings: Settings, tmp_path: Path) -> None:
    done = journey_progress(settings.model_copy(update={"kafka_bootstrap_servers": None}), "run", cwd=tmp_path)
    assert done.returncode == 78
    assert "JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS is not set" in done.stderr


def test_an_env_file_is_honoured(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}\n")
    done = journey_progress(
        settings.model_copy(update={"kafka_bootstrap_servers": None}), "topics", "create", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_organisation_of_an_env_file_is_taken(
    settings: Settings, mongo_database: Database, tmp_path: Path, journey_file: Path
) -> None:
    (tmp_path / ".env").write_text(f"JOURNEY_PROGRESS_DEFAULT_ORGANISATION={settings.default_organisation}\n")
    without = settings.model_copy(update={"default_organisation": None})
    applied = journey_progress(without, "journeys", "apply", str(journey_file), cwd=tmp_path)
    assert (applied.returncode, "created" in applied.stdout) == (0, True), applied.stderr
    made = journey_progress(without, "clients", "create", "a dashboard", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    [client] = orjson.loads(journey_progress(without, "clients", "list", "--json", cwd=tmp_path).stdout)
    assert client["organisation"] == settings.default_organisation
