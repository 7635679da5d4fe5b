"""`journeys check`: can it run, what is it indexed by, what looks wrong; a refused one with the path of the fault."""

from pathlib import Path

import orjson
import pytest

from tests.unit.cli.command import Command

ORGANISATION = "59198183d8ea540933227033"
FINE = f"""
description: Onboarding
organisation: "{ORGANISATION}"
isActive: true
waypoints:
  - description: Watch
    count: 3
    conditions: {{ statement.verb.id: "https://w3id.org/xapi/video/verbs/played" }}
  - conditions: {{ statement.result.score.scaled: {{ $gte: 0.6 }} }}
"""
REFUSED = f"""
description: Broken
organisation: "{ORGANISATION}"
waypoints: [{{conditions: {{a: {{$where: "1"}}}}}}]
"""


def written(directory: Path, name: str, text: str | bytes) -> str:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_fine_journey(journey_progress: Command, tmp_path: Path) -> None:
    path = written(tmp_path, "fine.yaml", FINE)
    done = journey_progress("journeys", "check", path)
    assert (done.status, done.err) == (0, "")
    assert f"{path}: Onboarding: fine" in done.out
    assert "(order 0, count 3): statement.verb.id" in done.out
    assert "(order 1, count 1): nothing: it is evaluated for every statement" in done.out


@pytest.mark.parametrize("waypoint", ["{conditions: {}}", "{isActive: false, conditions: {a: 1}}"])
def test_a_waypoint_towards_which_nothing_counts(journey_progress: Command, tmp_path: Path, waypoint: str) -> None:
    done = journey_progress("journeys", "check", written(tmp_path, "fine.yaml", f"{FINE}  - {waypoint}\n"))
    assert done.status == 0
    assert "(order 2, count 1): inactive: nothing counts towards it" in done.out


def test_as_json(journey_progress: Command, tmp_path: Path) -> None:
    done = journey_progress("journeys", "check", written(tmp_path, "fine.yaml", FINE), "--json")
    [verdict] = orjson.loads(done.out)
    assert verdict["fault"] is None
    assert [waypoint["indexedBy"] for waypoint in verdict["waypoints"]] == [["statement.verb.id"], []]
    assert [(it["order"], it["count"], it["isActive"]) for it in verdict["waypoints"]] == [(0, 3, True), (1, 1, True)]


def test_a_journey_that_is_there_twice_is_refused(journey_progress: Command, tmp_path: Path) -> None:
    """Which of them would be in force? Each `apply` would have changed it."""
    paths = [written(tmp_path, name, FINE) for name in ("one.yaml", "two.yaml")]
    done = journey_progress("journeys", "check", *paths)
    assert done.status == 65
    assert f"{paths[1]} has a journey that {paths[0]} has, too: 'Onboarding'" in done.err


@pytest.mark.parametrize("field", ["deadline: 2026-01-01", "size: 99999999999999999999", "more: {$set: 1}"])
def test_what_mongodb_cannot_hold_is_refused_before_it_is_tried(
    journey_progress: Command, tmp_path: Path, field: str
) -> None:
    done = journey_progress("journeys", "check", written(tmp_path, "odd.yaml", f"{FINE}{field}\n"))
    assert done.status == 65
    assert "refused: " in done.out


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_refused_journey_is_65_with_the_path_of_the_fault(
    journey_progress: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    paths = [written(tmp_path, "fine.yaml", FINE), written(tmp_path, "refused.yaml", REFUSED)]
    done = journey_progress("journeys", "check", *paths, *options)
    assert done.status == 65
    assert "waypoints[0].conditions.a.$where" in done.out
    assert "Onboarding" in done.out  # the others are judged all the same


def test_apply_saves_nothing_when_one_is_refused_and_needs_no_server_to_say_so(
    journey_progress: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS", "nowhere:9092")
    monkeypatch.setenv("JOURNEY_PROGRESS_MONGO_URL", "mongodb://nowhere")
    paths = [written(tmp_path, "fine.yaml", FINE), written(tmp_path, "refused.yaml", REFUSED)]
    done = journey_progress("journeys", "apply", *paths)
    assert (done.status, done.out) == (65, "")
    assert "nothing was saved" in done.err
    assert f"{paths[1]}: waypoints[0].conditions.a.$where" in done.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a journey is an object"),
        ("- 1", "a journey is an object"),
        ("{", "neither YAML nor JSON"),
        (b"\xff\xfe\x00", "neither YAML nor JSON"),
        ('description: "\\ud83d"', "neither YAML nor JSON"),
        ("&a [*a]", "neither YAML nor JSON"),
        ("[" * 500, "neither YAML nor JSON"),
        ("description: x", "organisation: every journey needs one"),
        (
            "organisation: 591981830840933227033000",
            "organisation: every journey needs one",
        ),  # YAML reads it as a number
        (f'organisation: "{ORGANISATION}"', "description: a journey without an `_id` needs one"),
        (f'organisation: "{ORGANISATION}"\n_id: 7', "_id: 7 is not an id"),
    ],
)
def test_what_is_no_journey_is_65_and_one_sentence(
    journey_progress: Command, tmp_path: Path, text: str | bytes, says: str
) -> None:
    done = journey_progress("journeys", "check", written(tmp_path, "x.yaml", text))
    assert (done.status, done.out) == (65, "")
    assert "x.yaml" in done.err
    assert says in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{\n\t"description": "Tabs",\n\t"organisation": "59198183d8ea540933227033"\n}',
        '{"description": "\\ud83d\\ude00", "organisation": "59198183d8ea540933227033"}',
        '[{"description": "In a list", "organisation": {"$oid": "59198183d8ea540933227033"}}]',
    ],
    ids=["tabs", "surrogate pair", "list"],
)
def test_json_is_read_as_json(journey_progress: Command, tmp_path: Path, text: str) -> None:
    done = journey_progress("journeys", "check", written(tmp_path, "journey.json", text))
    assert (done.status, done.err) == (0, "")
    assert "fine" in done.out


def test_an_organisation_is_given_to_journeys_that_name_none(
    journey_progress: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "x.yaml", "description: x")
    assert journey_progress("journeys", "check", path, "--organisation", ORGANISATION).status == 0
    wrong = journey_progress("journeys", "check", path, "--organisation", "us")
    assert (wrong.status, "organisation: 'us'" in wrong.err) == (65, True)
    assert journey_progress("journeys", "check", path).status == 65
    env_file = written(tmp_path, "other.env", f"JOURNEY_PROGRESS_DEFAULT_ORGANISATION={ORGANISATION}")
    assert journey_progress("--env-file", env_file, "journeys", "check", path).status == 0
    monkeypatch.setenv("JOURNEY_PROGRESS_DEFAULT_ORGANISATION", ORGANISATION)
    assert journey_progress("journeys", "check", path).status == 0


def test_what_looks_wrong_is_warned_of(journey_progress: Command, tmp_path: Path) -> None:
    inactive = FINE.replace("isActive: true", "isActive: false")
    assert "set isActive: true" in journey_progress("journeys", "check", written(tmp_path, "a.yaml", inactive)).out
    without = f'description: x\norganisation: "{ORGANISATION}"\nisActive: true\nwaypoints: [{{conditions: {{}}}}]'
    assert "can never be completed" in journey_progress("journeys", "check", written(tmp_path, "b.yaml", without)).out


def test_a_misspelt_setting_is_warned_of(
    journey_progress: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEY_PROGRESS_LEASSE", "secret")
    done = journey_progress("journeys", "check", written(tmp_path, "fine.yaml", FINE))
    assert done.status == 0
    assert "JOURNEY_PROGRESS_LEASSE is no setting, and ignored: did you mean JOURNEY_PROGRESS_LEASE?" in done.err
    assert "secret" not in done.err
